//! Waiting on a condition with a deadline, instead of sleeping and hoping.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Time between two looks at the condition.
const INTERVAL: Duration = Duration::from_millis(5);

/// Waits until `condition` holds. The error names `what` was awaited and for how long.
pub fn wait_until(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> bool,
) -> Result<()> {
    wait_for(what, timeout, || condition().then_some(()))
}

/// Waits until `look` finds something, and gives it. The error names `what` was awaited and for how long.
pub fn wait_for<T>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {timeout:?} in vain until {what}");
        }
        thread::sleep(INTERVAL);
    }
}
