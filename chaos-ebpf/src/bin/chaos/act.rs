//! The one table that turns a verdict into what the kernel does.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, programs::TcContext};
use chaos_abi::{
    maps::{ACTION_ANSWER, ACTION_BACK, ACTION_DNS, ACTION_REWRITE},
    rule::FAULT_DNS,
    target::Target,
};
use chaos_ebpf::filter::Direction;

use crate::{
    actions, counters,
    line::{self, Sent},
    packet, rewrite,
    rules::{self, Verdict},
    steer, targets,
    under_way::{self, Packet},
};

/// Most copies that go with one packet, whatever its rules ask for.
pub(crate) const MAX_COPIES: u32 = 4;

/// Fails open: whatever goes wrong, the packet passes.
#[inline(always)]
pub(crate) fn classify(ctx: &TcContext, direction: Direction) -> i32 {
    if line::has_returned(ctx) {
        return TC_ACT_UNSPEC;
    }
    let number = packet::target(ctx);
    let Some(target) = targets::target(number) else {
        return TC_ACT_UNSPEC;
    };
    if targets::awaits_translation(target, direction) {
        actions::call(ctx, ACTION_BACK);
    }
    let Some((verdict, seen)) = rules::decide(ctx, direction, number, target) else {
        return TC_ACT_UNSPEC;
    };
    match verdict {
        Verdict::Drop => packet::discard(),
        Verdict::Answer { slot } => {
            let action = match seen.answer {
                FAULT_DNS => ACTION_DNS,
                _ => ACTION_ANSWER,
            };
            actions::call(ctx, action);
            counters::dropped(slot, seen.size);
            packet::discard()
        }
        Verdict::Pass => {
            if seen.rewriting != 0 {
                actions::call(ctx, ACTION_REWRITE);
            }
            go_on(ctx, target, seen)
        }
    }
}

/// Writes into the packet, and does the rest.
#[inline(always)]
pub(crate) fn rewritten(ctx: &TcContext) -> i32 {
    let (Some(seen), Some(target)) = (under_way::packet(), targets::target(packet::target(ctx)))
    else {
        return TC_ACT_UNSPEC;
    };
    rewrite::rewrite(ctx, seen, target);
    if seen.steered & steer::READDRESSED != 0 && matches!(seen.direction, Direction::Egress) {
        corrupt(ctx, target, seen);
        // A line knows the way to the old address only.
        counters::held(target, seen, Sent::Refused);
        return steer::send(ctx, target.ifindex);
    }
    go_on(ctx, target, seen)
}

/// What becomes of a packet that arrives sooner or later. By itself, for the sake of the stack.
#[inline(never)]
fn go_on(ctx: &TcContext, target: &Target, seen: &Packet) -> i32 {
    corrupt(ctx, target, seen);
    if seen.delaying != 0 {
        let (near, departure_ns) = seen.departure();
        let sent = line::send(ctx, near, departure_ns, seen.copies);
        counters::held(target, seen, sent);
        return match sent {
            Sent::Taken => {
                counters::duplicated(target, seen);
                packet::discard()
            }
            Sent::Lost => packet::discard(),
            Sent::Refused => TC_ACT_UNSPEC,
        };
    }
    counters::duplicated(target, seen);
    // The interface below may be a target too, and its packet this CPU's from then on.
    let (copies, direction) = (seen.copies, seen.direction);
    let mut sent = 0;
    while sent < MAX_COPIES && sent < copies {
        packet::send_copy(ctx, packet::target(ctx), target.ifindex, direction);
        sent += 1;
    }
    TC_ACT_UNSPEC
}

#[inline(always)]
fn corrupt(ctx: &TcContext, target: &Target, seen: &Packet) {
    if seen.corrupting != 0 && packet::flip_bit(ctx, seen.flow.payload.into(), seen.noise) {
        counters::corrupted(target, seen);
    }
}
