//! Packets that arrive at the node, before the kernel has spent anything on them. Only what drops them acts here.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    macros::map,
    maps::Array,
    programs::XdpContext,
};
use chaos_abi::maps::MAX_TARGETS;
use chaos_ebpf::filter::Direction;

use crate::rules::{self, Verdict};

/// One more than the number of the target, by the interface's number modulo the size of this map. There is but one
/// network namespace that packets come here from.
#[map]
static ARRIVALS: Array<u32> = Array::with_max_entries(MAX_TARGETS, 0);

/// Number of the target whose interface the packet came in by.
#[inline(always)]
pub(crate) fn target(ifindex: u32) -> u32 {
    match ARRIVALS.get(ifindex % MAX_TARGETS) {
        Some(&number) if rules::is_target(number.wrapping_sub(1), ifindex) => number - 1,
        _ => u32::MAX,
    }
}

/// Fails open, as the classifiers do.
#[inline(always)]
pub(crate) fn decide(ctx: &XdpContext) -> u32 {
    match rules::decide(ctx, Direction::Arrival) {
        Some((Verdict::Drop, ..)) => XDP_DROP,
        Some((Verdict::Answer { .. } | Verdict::Pass, ..)) | None => XDP_PASS,
    }
}
