//! What each rule did, for `chaosctl` to show: the proof that a fault hit something.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use chaos_abi::{
    counters::Counters,
    maps::MAX_RULES,
    target::{MAX_RULES_PER_TARGET, Target},
};

use crate::{line::Sent, packet::Size, under_way::Packet};

#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(MAX_RULES, 0);

#[inline(always)]
fn update(slot: u32, change: impl FnOnce(&mut Counters)) {
    if let Some(counters) = COUNTERS.get_ptr_mut(slot) {
        // SAFETY: the element belongs to this CPU, and a classifier does not preempt itself.
        change(unsafe { &mut *counters });
    }
}

/// A rule took a packet.
#[inline(always)]
pub(crate) fn matched(slot: u32, size: Size) {
    update(slot, |counters| {
        counters.matched_packets += size.packets;
        counters.matched_bytes += size.bytes;
    });
}

/// A rule dropped it.
#[inline(always)]
pub(crate) fn dropped(slot: u32, size: Size) {
    update(slot, |counters| {
        counters.dropped_packets += size.packets;
        counters.dropped_bytes += size.bytes;
    });
}

/// A rule had it answered.
#[inline(always)]
pub(crate) fn answered(slot: u32, size: Size) {
    update(slot, |counters| counters.answered_packets += size.packets);
}

/// A rule wrote into it.
#[inline(always)]
pub(crate) fn rewritten(slot: u32, size: Size) {
    update(slot, |counters| counters.rewritten_packets += size.packets);
}

/// All rules that wanted a copy of it learn that it was made.
#[inline(always)]
pub(crate) fn duplicated(target: &Target, packet: &Packet) {
    let mut index = 0;
    while index < MAX_RULES_PER_TARGET && packet.duplicating >> index != 0 {
        if packet.duplicating & (1 << index) != 0 {
            update(target.rules[index], |counters| {
                counters.duplicated_packets += packet.size.packets;
            });
        }
        index += 1;
    }
}

/// All rules that wanted a bit of it flipped learn that one was.
#[inline(always)]
pub(crate) fn corrupted(target: &Target, packet: &Packet) {
    let mut index = 0;
    while index < MAX_RULES_PER_TARGET && packet.corrupting >> index != 0 {
        if packet.corrupting & (1 << index) != 0 {
            update(target.rules[index], |counters| {
                counters.corrupted_packets += packet.size.packets;
            });
        }
        index += 1;
    }
}

/// All rules that wanted the packet delayed learn what the line said.
#[inline(always)]
pub(crate) fn held(target: &Target, packet: &Packet, sent: Sent) {
    let mut index = 0;
    while index < MAX_RULES_PER_TARGET && packet.delaying >> index != 0 {
        if packet.delaying & (1 << index) != 0 {
            update(target.rules[index], |counters| match sent {
                Sent::Taken => {
                    counters.delayed_packets += packet.size.packets;
                    counters.delayed_bytes += packet.size.bytes;
                }
                Sent::Lost => {
                    counters.dropped_packets += packet.size.packets;
                    counters.dropped_bytes += packet.size.bytes;
                }
                Sent::Refused => counters.undelayed_packets += packet.size.packets,
            });
        }
        index += 1;
    }
}
