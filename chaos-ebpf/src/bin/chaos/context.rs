//! What the decisions need of a packet, wherever the kernel shows it: to a classifier, or before there is a socket buffer.

use aya_ebpf::{helpers::bpf_xdp_load_bytes, programs::TcContext, programs::XdpContext};

use crate::{
    arrival,
    packet::{self, Size},
};

/// A packet as one kind of program gets it.
pub(crate) trait Context {
    /// Number of the target that it belongs to; one that no target has where it belongs to none.
    fn target(&self) -> u32;
    /// Where its linear part begins and ends.
    fn bounds(&self) -> (usize, usize);
    /// Makes the headers part of it, where a driver left them outside and there is a way. Where that fails, less is read,
    /// and the packet passes.
    fn pull_headers(&self);
    /// Four bytes, wherever they are.
    fn four(&self, offset: usize) -> Option<[u8; 4]>;
    /// Size on the wire.
    fn size(&self) -> Size;
}

impl Context for TcContext {
    #[inline(always)]
    fn target(&self) -> u32 {
        packet::target(self)
    }

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
}

/// One packet of the wire, without what its card has already taken off, such as a VLAN tag.
impl Context for XdpContext {
    #[inline(always)]
    fn target(&self) -> u32 {
        arrival::target(self)
    }

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
}
