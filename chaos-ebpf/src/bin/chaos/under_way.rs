//! The packet under way on this CPU, from its headers to what becomes of it.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use chaos_ebpf::{filter::Direction, flow::Flow};

use crate::{dns, packet::Size};

/// What is known of the packet under way on this CPU.
///
/// It lives in a map and not on the stack for the verifier's sake: there it would follow every combination of
/// what the rules may have left, which is more than it has patience for; of a map's memory it assumes nothing.
pub(crate) struct Packet {
    pub(crate) flow: Flow,
    pub(crate) now: u64,
    /// The tick of the kernel's clock in which this CPU last asked for the time, and what that was.
    pub(crate) tick: u64,
    pub(crate) tick_ns: u64,
    forgotten: u64,
    /// 1 when `now` is not only that of the last tick.
    pub(crate) is_exact: u32,
    /// 1 when it never arrives.
    pub(crate) drops: u32,
    /// 1 when a rule did something to it that lets it pass; else what follows has no meaning.
    pub(crate) acts: u32,
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
    /// Number of its target.
    pub(crate) number: u32,
    /// Which way it goes.
    pub(crate) direction: Direction,
}

impl Packet {
    /// Nothing is known yet of the one that is here now.
    #[inline(always)]
    pub(crate) fn begin(&mut self, direction: Direction, number: u32) {
        self.now = 0;
        self.drops = 0;
        self.acts = 0;
        self.answer = 0;
        self.question = dns::NOT_LOOKED_AT;
        self.direction = direction;
        self.number = number;
    }

    /// A rule acts on it, and lets it pass. What the first one finds is of the packet before, and cleared.
    #[inline(always)]
    pub(crate) fn act(&mut self) {
        macro_rules! clear {
            ($($field:ident),*) => {
                // SAFETY: all are this value's own; volatile, because in one piece they become a call, which is slower.
                $(unsafe { core::ptr::write_volatile(&raw mut self.$field, 0) };)*
            };
        }
        if self.acts == 0 {
            self.acts = 1;
            clear!(
                hold_ns,
                ordered,
                delaying,
                copies,
                duplicating,
                corrupting,
                rewriting,
                steered
            );
        }
    }

    /// The same value, of which the verifier no longer knows how it came about: it need not follow every way that led
    /// here.
    #[inline(always)]
    pub(crate) fn forget(&mut self, value: u64) -> u64 {
        // SAFETY: the place is this value's own.
        unsafe { through(&raw mut self.forgotten, value) }
    }

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

/// See [`Packet::forget`]. For those who have no packet in their hands, although their caller may.
#[inline(always)]
pub(crate) fn forget(value: u64) -> u64 {
    match PACKET.get_ptr_mut(0) {
        // SAFETY: the element belongs to this CPU, and nobody keeps a value there. No reference to it is made.
        Some(packet) => unsafe { through(&raw mut (*packet).forgotten, value) },
        None => value,
    }
}

/// Writes a value and reads it again: volatile, so that both are done.
///
/// # Safety
///
/// The place can be written and read.
#[inline(always)]
unsafe fn through(place: *mut u64, value: u64) -> u64 {
    // SAFETY: as the caller says.
    unsafe {
        core::ptr::write_volatile(place, value);
        core::ptr::read_volatile(place)
    }
}
