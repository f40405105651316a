//! What is attached to an interface: gives the packet its target's number and calls the shared program.
//!
//! Interface numbers repeat across network namespaces, and a tc program cannot ask for its namespace
//! before Linux 6.15. So each attachment gets a copy of this program, with the number as a constant
//! that the verifier folds in; the classifiers themselves are loaded once.
#![no_std]
#![no_main]
#![expect(
    missing_docs,
    unreachable_pub,
    reason = "`#[classifier]` makes public functions of its own"
)]

use aya_ebpf::{
    bindings::TC_ACT_UNSPEC,
    macros::{classifier, map},
    maps::ProgramArray,
    programs::TcContext,
};

#[unsafe(no_mangle)]
static TARGET: u32 = 0;

#[map]
static CALLS: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Calls the one program in `CALLS`; if that fails, the packet passes.
#[classifier]
pub fn chaos_entry(mut ctx: TcContext) -> i32 {
    // SAFETY: `TARGET` is read-only data of this object; volatile, because the loader sets it.
    ctx.cb_mut()[0] = unsafe { core::ptr::read_volatile(&raw const TARGET) };
    // SAFETY: every program that the agent puts into `CALLS` is a classifier and takes this context.
    unsafe { CALLS.tail_call(&ctx, 0) };
    TC_ACT_UNSPEC
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier rejects a program that could get here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
