//! Time, and whether the agent is still there to answer for what the programs do.

use aya_ebpf::{
    helpers::{bpf_jiffies64, bpf_ktime_get_ns},
    macros::map,
    maps::Array,
};
use chaos_abi::maps::LIVENESS_LIMIT_NS;

use crate::under_way::Packet;

#[map]
static LIVENESS: Array<u64> = Array::with_max_entries(1, 0);

/// `CLOCK_MONOTONIC`, in nanoseconds; nothing when the agent has not been heard of for too long. Unless it has to be exact,
/// it is when this CPU first asked in this tick, at most 10 ms ago: the kernel's count of ticks is read without a call.
#[inline(always)]
pub(crate) fn now_if_alive(packet: &mut Packet, exact: bool) -> Option<u64> {
    // SAFETY: takes nothing and only reads a counter.
    let tick = unsafe { bpf_jiffies64() };
    if !exact && packet.tick == tick {
        return Some(packet.tick_ns);
    }
    // SAFETY: takes nothing and only reads a clock.
    let now = unsafe { bpf_ktime_get_ns() };
    let alive = *LIVENESS.get(0)?;
    if now.saturating_sub(alive) > LIVENESS_LIMIT_NS {
        return None;
    }
    packet.tick = tick;
    packet.tick_ns = now;
    Some(now)
}
