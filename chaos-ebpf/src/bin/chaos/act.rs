//! The one table that turns a verdict into what the kernel does.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::map, maps::ProgramArray, programs::TcContext};
use chaos_abi::maps::{ACTION_ANSWER, MAX_ACTIONS};
use chaos_ebpf::filter::Direction;

use crate::{
    counters,
    line::{self, Sent},
    packet,
    rules::{self, Verdict},
};

/// What a verdict needs more room for than one program has.
#[map]
static ACTIONS: ProgramArray = ProgramArray::with_max_entries(MAX_ACTIONS, 0);

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
    let passes = !matches!(verdict, Verdict::Drop | Verdict::Answer { .. });
    if passes && seen.corrupting != 0 && packet::flip_bit(ctx, seen.flow.payload.into(), seen.noise)
    {
        counters::corrupted(target, seen);
    }
    match verdict {
        Verdict::Drop => packet::discard(),
        Verdict::Answer { slot } => {
            // SAFETY: all programs there are classifiers, and take this context.
            unsafe { ACTIONS.tail_call(ctx, ACTION_ANSWER) };
            counters::dropped(slot, seen.size);
            packet::discard()
        }
        Verdict::Pass => {
            let mut sent = 0;
            while sent < MAX_COPIES && sent < seen.copies {
                packet::send_copy(ctx, packet::target(ctx), target.ifindex, direction);
                sent += 1;
            }
            TC_ACT_UNSPEC
        }
        Verdict::Hold => {
            let (near, departure_ns) = seen.departure();
            let sent = line::send(ctx, near, departure_ns, seen.copies);
            counters::held(target, seen, sent);
            match sent {
                Sent::Taken | Sent::Lost => packet::discard(),
                Sent::Refused => TC_ACT_UNSPEC,
            }
        }
    }
}
