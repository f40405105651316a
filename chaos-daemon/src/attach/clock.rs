//! Time as the programs count it.

use std::{thread, time::Duration};

/// A time in their unit.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Waits until no program runs that began before: it may still look at what has been replaced since.
pub(super) fn wait_for_programs() {
    /// From `linux/membarrier.h`: returns after a grace period of RCU, under which programs run.
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    /// A program takes microseconds.
    const LONG_FOR_A_PROGRAM: Duration = Duration::from_millis(10);
    // SAFETY: takes three numbers.
    let waited = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    // Kernels with `nohz_full` CPUs do not offer it.
    if waited != 0 {
        thread::sleep(LONG_FOR_A_PROGRAM);
    }
}

/// The programs' clock.
pub fn monotonic_ns() -> u64 {
    // The clock exists on every kernel that runs BPF.
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| nanoseconds(now.into()))
}
