//! Packets that arrive at a socket of the node: which cgroup it belongs to is known there, and not before.

use aya_ebpf::programs::SkBuffContext;
use chaos_ebpf::filter::Direction;

use crate::rules::{self, Verdict};

const DROP: i32 = 0;
const PASS: i32 = 1;

/// Fails open, as the classifiers do.
#[inline(always)]
pub(crate) fn decide(ctx: &SkBuffContext) -> i32 {
    match rules::decide(ctx, Direction::Socket) {
        Some((Verdict::Drop, ..)) => DROP,
        Some((Verdict::Answer { .. } | Verdict::Pass, ..)) | None => PASS,
    }
}
