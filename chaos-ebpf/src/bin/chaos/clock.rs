//! Time, and whether the agent is still there to answer for what the programs do.

use aya_ebpf::{
    helpers::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
    macros::map,
    maps::Array,
};
use chaos_abi::maps::LIVENESS_LIMIT_NS;

#[map]
static LIVENESS: Array<u64> = Array::with_max_entries(1, 0);

/// `CLOCK_MONOTONIC`, in nanoseconds; nothing when the agent has not been heard of for too long. Unless it has to be exact,
/// it is the time of the last tick, at most 10 ms ago, which is there for a tenth of the effort.
#[inline(always)]
pub(crate) fn now_if_alive(exact: bool) -> Option<u64> {
    // SAFETY: both take nothing and only read a clock.
    let now = unsafe {
        if exact {
            bpf_ktime_get_ns()
        } else {
            bpf_ktime_get_coarse_ns()
        }
    };
    let alive = *LIVENESS.get(0)?;
    if now.saturating_sub(alive) > LIVENESS_LIMIT_NS {
        None
    } else {
        Some(now)
    }
}
