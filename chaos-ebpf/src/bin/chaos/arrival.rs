//! Packets that arrive at the node, before the kernel has spent anything on them. Only what drops them acts here.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    macros::map,
    maps::Array,
    programs::XdpContext,
};
use chaos_abi::{maps::MAX_TARGETS, target::Target};
use chaos_ebpf::filter::Direction;

use crate::{
    rules::{self, Verdict},
    targets,
};

/// One more than the number of the target, by the interface's number modulo the size of this map. There is but one
/// network namespace that packets come here from.
#[map]
static ARRIVALS: Array<u32> = Array::with_max_entries(MAX_TARGETS, 0);

/// The target whose interface the packet came in by, and its number.
#[inline(always)]
pub(crate) fn target(ifindex: u32) -> Option<(u32, &'static Target)> {
    let number = ARRIVALS.get(ifindex % MAX_TARGETS)?.checked_sub(1)?;
    let target = targets::target(number)?;
    (target.ifindex == ifindex).then_some((number, target))
}

/// Fails open, as the classifiers do.
#[inline(always)]
pub(crate) fn decide(ctx: &XdpContext) -> u32 {
    let Some((number, target)) = target(ctx.ingress_ifindex() as u32) else {
        return XDP_PASS;
    };
    match rules::decide(ctx, Direction::Arrival, number, target) {
        Some((Verdict::Drop, ..)) => XDP_DROP,
        Some((Verdict::Answer { .. } | Verdict::Pass, ..)) | None => XDP_PASS,
    }
}
