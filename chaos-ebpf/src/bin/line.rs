//! The far end of a delay line: puts packets back on the target's interface, the way that they were going.
//!
//! There is one line for each target and direction, so all that the program needs is a constant. It has
//! no map and asks nobody: packets that are in the line when the agent dies still arrive.
#![no_std]
#![no_main]
#![expect(
    clippy::cast_possible_truncation,
    clippy::inline_always,
    reason = "verdicts fit into 32 bits; a program is one function"
)]
#![expect(
    clippy::needless_pass_by_value,
    missing_docs,
    unreachable_pub,
    reason = "`#[classifier]` makes public functions of its own"
)]

use aya_ebpf::{
    bindings::BPF_F_INGRESS, helpers::bpf_redirect, macros::classifier, programs::TcContext,
};
use chaos_abi::line::returned;

/// Number of the target's interface.
#[unsafe(no_mangle)]
static IFINDEX: u32 = 0;

/// Number of the target.
#[unsafe(no_mangle)]
static TARGET: u32 = 0;

/// For packets that leave the target.
#[classifier]
pub fn chaos_out(ctx: TcContext) -> i32 {
    put_back(&ctx, 0)
}

/// For packets that arrive at the target.
#[classifier]
pub fn chaos_in(ctx: TcContext) -> i32 {
    put_back(&ctx, u64::from(BPF_F_INGRESS))
}

#[inline(always)]
fn put_back(ctx: &TcContext, flags: u64) -> i32 {
    let skb = ctx.skb.skb;
    // SAFETY: the context pointer is valid for the whole run, and classifiers may write both fields. A zero
    // timestamp forgets the departure time, or lets the kernel take a new one where a receiver asks for it.
    unsafe {
        (*skb).tc_index = returned(constant(&raw const TARGET));
        (*skb).tstamp = 0;
    }
    // SAFETY: the helper only notes where to; an interface that is gone frees the packet.
    unsafe { bpf_redirect(constant(&raw const IFINDEX), flags) as i32 }
}

#[inline(always)]
fn constant(of: *const u32) -> u32 {
    // SAFETY: it is read-only data; volatile, because the loader sets it.
    unsafe { core::ptr::read_volatile(of) }
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
