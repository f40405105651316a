//! Time, and whether the agent is still there to answer for what the programs do.

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::map, maps::Array};
use chaos_abi::maps::LIVENESS_LIMIT_NS;

#[map]
static LIVENESS: Array<u64> = Array::with_max_entries(1, 0);

/// `CLOCK_MONOTONIC`, in nanoseconds; nothing when the agent has not been heard of for too long.
#[inline(always)]
pub(crate) fn now_if_alive() -> Option<u64> {
    // SAFETY: takes nothing and only reads a clock.
    let now = unsafe { bpf_ktime_get_ns() };
    let alive = *LIVENESS.get(0)?;
    if now.saturating_sub(alive) > LIVENESS_LIMIT_NS {
        None
    } else {
        Some(now)
    }
}
