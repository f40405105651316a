//! What a verdict needs more room for than one program has: programs that the classifiers call.

use aya_ebpf::{
    macros::{classifier, map},
    maps::ProgramArray,
    programs::TcContext,
};
use chaos_abi::maps::MAX_ACTIONS;

use crate::{act, answer, dns, steer};

#[map]
static ACTIONS: ProgramArray = ProgramArray::with_max_entries(MAX_ACTIONS, 0);

/// Goes on with another program. Comes back only where that is not there.
#[inline(always)]
pub(crate) fn call(ctx: &TcContext, place: u32) {
    // SAFETY: all programs there are classifiers, and take this context.
    unsafe { ACTIONS.tail_call(ctx, place) };
}

/// Packets that are answered.
#[classifier]
pub fn chaos_answer(ctx: TcContext) -> i32 {
    answer::answer(&ctx)
}

/// Packets that are written to.
#[classifier]
pub fn chaos_rewrite(ctx: TcContext) -> i32 {
    act::rewritten(&ctx)
}

/// Packets that may be answers to what was sent elsewhere.
#[classifier]
pub fn chaos_back(ctx: TcContext) -> i32 {
    steer::back(&ctx)
}

/// Questions that are answered.
#[classifier]
pub fn chaos_dns(ctx: TcContext) -> i32 {
    dns::answer(&ctx)
}
