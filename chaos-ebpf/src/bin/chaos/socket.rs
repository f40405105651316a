//! Packets that arrive at a socket of the node: which cgroup it belongs to is known there, and not before.

use aya_ebpf::programs::SkBuffContext;
use chaos_ebpf::filter::Direction;

use crate::{
    arrival,
    rules::{self, Verdict},
};

const DROP: i32 = 0;
const PASS: i32 = 1;

/// Fails open, as the classifiers do.
#[inline(always)]
pub(crate) fn decide(ctx: &SkBuffContext) -> i32 {
    // SAFETY: the context pointer is valid for the whole run of the program.
    let ifindex = unsafe { (*ctx.skb.skb).ifindex };
    let Some((number, target)) = arrival::target(ifindex) else {
        return PASS;
    };
    match rules::decide(ctx, Direction::Socket, number, target) {
        Some((Verdict::Drop, ..)) => DROP,
        Some((Verdict::Answer { .. } | Verdict::Pass, ..)) | None => PASS,
    }
}
