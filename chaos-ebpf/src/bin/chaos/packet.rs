//! All access to packet memory and to the packet's kernel fields.

use core::arch::asm;

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_INGRESS},
    helpers::{bpf_redirect, bpf_skb_vlan_pop, bpf_skb_vlan_push},
    programs::TcContext,
};
use chaos_abi::line::returned;
use chaos_ebpf::{
    filter::Direction,
    flow::{ETHERTYPE_QINQ, ETHERTYPE_VLAN, Frame},
};

use crate::{context::Context, under_way};

/// Both hardware addresses come first; a tag, if any, next.
const ETHER_ADDRESSES: usize = 12;
/// Where a frame says what it carries.
const ETHERTYPE_AT: usize = 12;
/// Headers that filters look at fit into this many bytes of any sane packet.
const HEADERS: u32 = 128;

/// The linear part of a packet.
pub(crate) struct Linear<'a, C> {
    ctx: &'a C,
    start: usize,
    end: usize,
}

/// Pulls the headers into the linear part, where a driver left them outside.
#[inline(always)]
pub(crate) fn pull_headers(ctx: &TcContext) {
    let wanted = if ctx.len() < HEADERS {
        ctx.len()
    } else {
        HEADERS
    };
    if ctx.data() + wanted as usize > ctx.data_end() {
        // Where this fails, reads find less and the packet passes.
        let _ = ctx.pull_data(wanted);
    }
}

impl<'a, C: Context> Linear<'a, C> {
    /// With the headers in it.
    #[inline(always)]
    pub(crate) fn of(ctx: &'a C) -> Self {
        ctx.pull_headers();
        Self::as_it_is(ctx)
    }

    /// Without a look whether the headers are in it.
    #[inline(always)]
    pub(crate) fn as_it_is(ctx: &'a C) -> Self {
        let (start, end) = ctx.bounds();
        Self { ctx, start, end }
    }

    /// Where so many bytes of it are, if they are there.
    #[inline(always)]
    fn at(&self, offset: usize, length: usize) -> Option<usize> {
        if offset < C::MISSING {
            return None;
        }
        let mut within = offset - C::MISSING;
        if C::MISSING != 0 {
            // SAFETY: as below. The verifier takes no pointer that is moved before the packet's start on its way.
            unsafe { asm!("{0} = {0}", inout(reg) within, options(pure, nomem, nostack)) };
        }
        let mut at = self.start + within;
        // SAFETY: moves a register to itself. It keeps the compiler from computing the address a second time for
        // the read: the verifier would not know that this is the address that was compared.
        unsafe { asm!("{0} = {0}", inout(reg) at, options(pure, nomem, nostack)) };
        (at + length <= self.end).then_some(at)
    }
}

/// Reads a number of a packet in one piece. The compiler would read it byte by byte, because it need not be aligned; the
/// kernel has it aligned for machines that care, and lets others read as they like.
macro_rules! load {
    ($type:literal, $at:expr) => {{
        let value: u64;
        // SAFETY: `at` gave the address, so that the bytes are the packet's.
        unsafe {
            asm!(concat!("{0} = *(", $type, " *)({1} + 0)"), out(reg) value, in(reg) $at,
                options(pure, readonly, nostack));
        }
        value
    }};
}

impl<C: Context> Frame for Linear<'_, C> {
    #[inline(always)]
    fn byte(&self, offset: usize) -> Option<u8> {
        Some(load!("u8", self.at(offset, 1)?) as u8)
    }

    #[inline(always)]
    fn short(&self, offset: usize) -> Option<u16> {
        if C::MISSING != 0 && offset == ETHERTYPE_AT {
            return Some(self.ctx.ethertype());
        }
        Some(u16::from_be(load!("u16", self.at(offset, 2)?) as u16))
    }

    #[inline(always)]
    fn word(&self, offset: usize) -> Option<u32> {
        Some(load!("u32", self.at(offset, 4)?) as u32)
    }

    #[inline(always)]
    fn four(&self, offset: usize) -> Option<[u8; 4]> {
        self.ctx.four(offset)
    }

    #[inline(always)]
    fn forget(&self, offset: usize) -> usize {
        under_way::forget(offset as u64) as usize
    }
}

/// Wire packets and bytes that a packet stands for.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Size {
    /// Bytes of one of the packets.
    #[inline(always)]
    pub(crate) fn of_one(self) -> u64 {
        if self.packets > 1 {
            self.bytes / self.packets
        } else {
            self.bytes
        }
    }
}

#[inline(always)]
fn skb(ctx: &TcContext) -> *mut __sk_buff {
    ctx.skb.skb
}

/// Number that the entry program wrote.
#[inline(always)]
pub(crate) fn target(ctx: &TcContext) -> u32 {
    ctx.cb()[0]
}

/// Size on the wire.
#[inline(always)]
pub(crate) fn size(ctx: &TcContext) -> Size {
    // SAFETY: the context pointer is valid for the whole run of the program.
    let (segments, of_one) = unsafe { ((*skb(ctx)).gso_segs, (*skb(ctx)).gso_size) };
    let length = u64::from(ctx.len());
    // Of packets of a virtual machine's card, the number of segments is known later than their size.
    if segments <= 1 && of_one == 0 {
        return Size {
            packets: 1,
            bytes: length,
        };
    }
    // SAFETY: as above.
    let wire = unsafe { (*skb(ctx)).wire_len };
    Size {
        packets: u64::from(segments.max(1)),
        bytes: length.max(u64::from(wire)),
    }
}

/// Value of the field that marks packets from a line.
#[inline(always)]
pub(crate) fn tc_index(ctx: &TcContext) -> u32 {
    // SAFETY: see `size`.
    unsafe { (*skb(ctx)).tc_index }
}

/// Sets it.
#[inline(always)]
pub(crate) fn set_tc_index(ctx: &TcContext, value: u32) {
    // SAFETY: see `size`; the field is writable for classifiers.
    unsafe { (*skb(ctx)).tc_index = value };
}

/// Moves a VLAN tag from among the packet's bytes into its kernel fields, where the kernel keeps those that it
/// makes or receives; the frame on the wire is the same. False when it has none there.
#[inline(always)]
pub(crate) fn tag_outside(ctx: &TcContext) -> bool {
    // SAFETY: see `size`.
    if unsafe { (*skb(ctx)).vlan_present } != 0 {
        return false;
    }
    let Ok([high, low, tci_high, tci_low]) = ctx.load::<[u8; 4]>(ETHER_ADDRESSES) else {
        return false;
    };
    let protocol = u16::from_be_bytes([high, low]);
    if protocol != ETHERTYPE_VLAN && protocol != ETHERTYPE_QINQ {
        return false;
    }
    let tci = u16::from_be_bytes([tci_high, tci_low]);
    // SAFETY: see `size`; packet pointers are not used after this.
    unsafe {
        bpf_skb_vlan_pop(skb(ctx)) == 0 && bpf_skb_vlan_push(skb(ctx), protocol.to_be(), tci) == 0
    }
}

/// Flips one bit behind the headers, where there is something behind them. Checksums stay as they are.
#[inline(always)]
pub(crate) fn flip_bit(ctx: &TcContext, headers: u32, random: u64) -> bool {
    let length = ctx.len();
    if length <= headers {
        return false;
    }
    let offset = headers + (random >> 32) as u32 % (length - headers);
    let Ok(byte) = ctx.load::<u8>(offset as usize) else {
        return false;
    };
    let flipped = byte ^ (1 << (random & 7));
    ctx.store(offset as usize, &flipped, 0).is_ok()
}

/// Sends a copy the way that the packet goes, marked as if it came from a line of `target`, so that it passes.
#[inline(always)]
pub(crate) fn send_copy(ctx: &TcContext, target: u32, ifindex: u32, direction: Direction) -> bool {
    let flags = match direction {
        Direction::Egress => 0,
        Direction::Ingress | Direction::Arrival | Direction::Socket => u64::from(BPF_F_INGRESS),
    };
    set_tc_index(ctx, returned(target));
    let sent = ctx.clone_redirect(ifindex, flags).is_ok();
    set_tc_index(ctx, 0);
    sent
}

/// Verdict that frees the packet without a word to its sender.
///
/// `TC_ACT_SHOT` would answer a local TCP with `NET_XMIT_DROP`, and a tcx attachment takes
/// `TC_ACT_STOLEN` for "next program". A redirect to no interface is silent on both.
#[inline(always)]
pub(crate) fn discard() -> i32 {
    // SAFETY: only notes the interface number, 0, for the kernel to act on.
    unsafe { bpf_redirect(0, 0) as i32 }
}
