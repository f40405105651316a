//! Entry points.
#![no_std]
#![no_main]
#![expect(
    clippy::cast_possible_truncation,
    clippy::inline_always,
    reason = "verdicts and lengths fit into 32 bits; a program is one function"
)]
#![expect(
    clippy::needless_pass_by_value,
    missing_docs,
    unreachable_pub,
    reason = "`#[classifier]` makes public functions of its own"
)]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(
    internal_features,
    reason = "the BPF target has atomic add, but core offers it as an intrinsic only"
)]

mod act;
mod actions;
mod answer;
mod arrival;
mod clock;
mod context;
mod counters;
mod dns;
mod fragments;
mod hold;
mod line;
mod memory;
mod packet;
mod peers;
mod protection;
mod rewrite;
mod rules;
mod socket;
mod steer;
mod targets;
mod under_way;

use aya_ebpf::macros::{cgroup_skb, classifier, xdp};
use aya_ebpf::programs::{SkBuffContext, TcContext, XdpContext};
use chaos_ebpf::filter::Direction;

/// Packets that leave a target.
#[classifier]
pub fn chaos_egress(ctx: TcContext) -> i32 {
    act::classify(&ctx, Direction::Egress)
}

/// Packets that arrive at a target.
#[classifier]
pub fn chaos_ingress(ctx: TcContext) -> i32 {
    act::classify(&ctx, Direction::Ingress)
}

/// Packets that arrive at the node, before anything else sees them.
#[xdp]
pub fn chaos_arrival(ctx: XdpContext) -> u32 {
    arrival::decide(&ctx)
}

/// Packets that arrive at a socket of the node.
#[cgroup_skb(ingress)]
pub fn chaos_socket(ctx: SkBuffContext) -> i32 {
    socket::decide(&ctx)
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
