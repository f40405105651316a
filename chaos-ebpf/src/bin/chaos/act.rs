//! The one table that turns a verdict into what the kernel does.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, programs::TcContext};
use chaos_ebpf::filter::Direction;

use crate::{
    counters,
    line::{self, Sent},
    packet,
    rules::{self, Verdict},
};

/// Most copies that go with one packet, whatever its rules ask for.
pub(crate) const MAX_COPIES: u32 = 4;

/// Fails open: whatever goes wrong, the packet passes.
#[inline(always)]
pub(crate) fn classify(ctx: &TcContext, direction: Direction) -> i32 {
    if line::has_returned(ctx) {
        return TC_ACT_UNSPEC;
    }
    let Some((verdict, target, seen)) = rules::decide(ctx, direction) else {
        return TC_ACT_UNSPEC;
    };
    let passes = !matches!(verdict, Verdict::Drop);
    if passes && seen.corrupting != 0 && packet::flip_bit(ctx, seen.flow.payload, seen.noise) {
        counters::corrupted(target, seen);
    }
    match verdict {
        Verdict::Drop => packet::discard(),
        Verdict::Pass => {
            let mut sent = 0;
            while sent < MAX_COPIES && sent < seen.copies {
                packet::send_copy(ctx, packet::target(ctx), target.ifindex, direction);
                sent += 1;
            }
            TC_ACT_UNSPEC
        }
        Verdict::Hold { near, departure_ns } => {
            let sent = line::send(ctx, near, departure_ns, seen.copies);
            counters::held(target, seen, sent);
            match sent {
                Sent::Taken | Sent::Lost => packet::discard(),
                Sent::Refused => TC_ACT_UNSPEC,
            }
        }
    }
}
