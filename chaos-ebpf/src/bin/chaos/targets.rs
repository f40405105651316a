//! The targets, and what is known of one before its rules are looked at.

use aya_ebpf::{macros::map, maps::Array};
use chaos_abi::{
    maps::MAX_TARGETS,
    target::{EGRESS_LINE, INGRESS_LINE, Target},
};
use chaos_ebpf::filter::Direction;

use crate::under_way::packet;

#[map]
static TARGETS: Array<Target> = Array::with_max_entries(MAX_TARGETS, 0);

/// The target of this number.
#[inline(always)]
pub(crate) fn target(number: u32) -> Option<&'static Target> {
    TARGETS.get(number)
}

/// Position of the line for packets that go this way.
#[inline(always)]
pub(crate) const fn way(direction: Direction) -> usize {
    match direction {
        Direction::Egress => EGRESS_LINE,
        Direction::Ingress | Direction::Arrival | Direction::Socket => INGRESS_LINE,
    }
}

/// Whether the packet may be an answer from where a connection was sent, and nobody has looked yet.
#[inline(always)]
pub(crate) fn awaits_translation(target: &Target, direction: Direction) -> bool {
    if target.steers == 0 {
        return false;
    }
    let Some(packet) = packet() else {
        return false;
    };
    packet.direction = direction;
    let awaits = packet.is_translated == 0;
    packet.is_translated = 0;
    awaits
}
