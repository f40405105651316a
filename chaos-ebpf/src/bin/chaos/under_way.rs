//! The packet under way on this CPU, from its headers to what becomes of it.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use chaos_ebpf::{filter::Direction, flow::Flow};

use crate::packet::Size;

/// What is known of the packet under way on this CPU.
///
/// It lives in a map and not on the stack for the verifier's sake: there it would follow every combination of
/// what the rules may have left, which is more than it has patience for; of a map's memory it assumes nothing.
pub(crate) struct Packet {
    pub(crate) flow: Flow,
    pub(crate) now: u64,
    /// 1 when `now` is not only that of the last tick.
    pub(crate) is_exact: u32,
    pub(crate) hold_ns: u64,
    pub(crate) departure_ns: u64,
    pub(crate) near: u32,
    pub(crate) ordered: u32,
    /// Bit n: rule n of the target delays this packet.
    pub(crate) delaying: u32,
    pub(crate) size: Size,
    /// How many copies go with it.
    pub(crate) copies: u32,
    /// Bit n: rule n of the target wants one of them.
    pub(crate) duplicating: u32,
    /// Bit n: rule n of the target wants a bit of it flipped, which one `noise` says.
    pub(crate) corrupting: u32,
    pub(crate) noise: u64,
    /// The fault that answers it, and the slot of the rule; no fault: it is dropped silently.
    pub(crate) answer: u32,
    pub(crate) answering: u32,
    /// What is known of the question that it asks of DNS.
    pub(crate) question: u32,
    /// Bit n: rule n of the target writes into it.
    pub(crate) rewriting: u32,
    /// Bits of [`crate::steer`]: whether it goes elsewhere.
    pub(crate) steered: u32,
    /// 1 when it was looked at as an answer from where a connection was sent.
    pub(crate) is_translated: u32,
    /// Which way it goes.
    pub(crate) direction: Direction,
}

impl Packet {
    /// The line that it goes into, and when it goes on.
    ///
    /// Read from the map where it is needed, and not carried there: before Linux 6.2 the verifier would look at ways on which
    /// it is not set, and find something else in its place on the stack.
    #[inline(always)]
    pub(crate) fn departure(&self) -> (u32, u64) {
        // SAFETY: both belong to this value; volatile, so that they are read here.
        unsafe {
            (
                core::ptr::read_volatile(&raw const self.near),
                core::ptr::read_volatile(&raw const self.departure_ns),
            )
        }
    }
}

#[map]
static PACKET: PerCpuArray<Packet> = PerCpuArray::with_max_entries(1, 0);

/// This CPU's packet. Programs of one CPU do not interrupt each other.
#[inline(always)]
pub(crate) fn packet() -> Option<&'static mut Packet> {
    // SAFETY: the element belongs to this CPU, and the pointer is not kept beyond the program's run.
    PACKET.get_ptr_mut(0).map(|packet| unsafe { &mut *packet })
}
