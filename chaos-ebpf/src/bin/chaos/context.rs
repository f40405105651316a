//! What the decisions need of a packet, wherever the kernel shows it: to a classifier, or before there is a socket buffer.

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::{bpf_skb_ancestor_cgroup_id, bpf_xdp_load_bytes},
    programs::{SkBuffContext, TcContext, XdpContext},
};

use crate::{
    dns,
    packet::{self, Size},
};

/// Value of `__sk_buff`'s `pkt_type` (`linux/if_packet.h`).
const PACKET_OTHERHOST: u32 = 3;

/// A packet as one kind of program gets it.
pub(crate) trait Context {
    /// Where its linear part begins and ends.
    fn bounds(&self) -> (usize, usize);
    /// Makes the headers part of it, where a driver left them outside and there is a way. Where that fails, less is read,
    /// and the packet passes.
    fn pull_headers(&self);
    /// Four bytes, wherever they are.
    fn four(&self, offset: usize) -> Option<[u8; 4]>;
    /// Size on the wire.
    fn size(&self) -> Size;
    /// The cgroup of its socket, or the one above at this level; 0 where it has none that is known.
    fn ancestor_cgroup(&self, level: u32) -> u64;
    /// Whether it is another host's, and only comes by.
    fn is_for_another(&self) -> bool {
        false
    }
    /// Whether it asks of DNS what the rule in this slot is about.
    fn asks(&self, _slot: u32) -> bool {
        false
    }
    /// So many bytes of the frame are not there: the Ethernet header, or none.
    const MISSING: usize = 0;
    /// What the frame carries, where that is not there.
    fn ethertype(&self) -> u16 {
        0
    }
}

#[inline(always)]
fn ancestor_cgroup(skb: *mut __sk_buff, level: u32) -> u64 {
    // SAFETY: the context is the program's own.
    unsafe { bpf_skb_ancestor_cgroup_id(skb, level.cast_signed()) }
}

impl Context for TcContext {
    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        (self.data(), self.data_end())
    }

    #[inline(always)]
    fn pull_headers(&self) {
        packet::pull_headers(self);
    }

    #[inline(always)]
    fn four(&self, offset: usize) -> Option<[u8; 4]> {
        self.load(offset).ok()
    }

    #[inline(always)]
    fn size(&self) -> Size {
        packet::size(self)
    }

    #[inline(always)]
    fn ancestor_cgroup(&self, level: u32) -> u64 {
        ancestor_cgroup(self.skb.skb, level)
    }

    #[inline(always)]
    fn is_for_another(&self) -> bool {
        // SAFETY: the context pointer is valid for the whole run of the program.
        unsafe { (*self.skb.skb).pkt_type == PACKET_OTHERHOST }
    }

    #[inline(always)]
    fn asks(&self, slot: u32) -> bool {
        dns::takes(self, slot)
    }
}

/// A packet at its socket: from the header of IP on.
impl Context for SkBuffContext {
    const MISSING: usize = 14;

    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        // SAFETY: as above.
        unsafe {
            (
                (*self.skb.skb).data as usize,
                (*self.skb.skb).data_end as usize,
            )
        }
    }

    /// IP and what it carries have read their headers by now.
    #[inline(always)]
    fn pull_headers(&self) {}

    #[inline(always)]
    fn four(&self, offset: usize) -> Option<[u8; 4]> {
        self.load(offset.checked_sub(Self::MISSING)?).ok()
    }

    #[inline(always)]
    fn size(&self) -> Size {
        // SAFETY: as above.
        let segments = unsafe { (*self.skb.skb).gso_segs };
        Size {
            packets: if segments > 1 { u64::from(segments) } else { 1 },
            bytes: u64::from(self.len()) + Self::MISSING as u64,
        }
    }

    #[inline(always)]
    fn ancestor_cgroup(&self, level: u32) -> u64 {
        ancestor_cgroup(self.skb.skb, level)
    }

    #[inline(always)]
    fn ethertype(&self) -> u16 {
        // SAFETY: as above.
        u16::from_be(unsafe { (*self.skb.skb).protocol } as u16)
    }
}

/// One packet of the wire, without what its card has already taken off, such as a VLAN tag.
impl Context for XdpContext {
    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        (self.data(), self.data_end())
    }

    #[inline(always)]
    fn pull_headers(&self) {}

    #[inline(always)]
    fn four(&self, offset: usize) -> Option<[u8; 4]> {
        let mut bytes = [0; 4];
        // SAFETY: the context is the program's own, and the helper writes as many bytes as there are.
        let failed = unsafe {
            bpf_xdp_load_bytes(
                self.ctx,
                offset as u32,
                (&raw mut bytes).cast(),
                size_of_val(&bytes) as u32,
            )
        };
        (failed == 0).then_some(bytes)
    }

    #[inline(always)]
    fn size(&self) -> Size {
        Size {
            packets: 1,
            bytes: (self.data_end() - self.data()) as u64,
        }
    }
    #[inline(always)]
    fn ancestor_cgroup(&self, _: u32) -> u64 {
        0
    }
}
