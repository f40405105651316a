//! Waiting on a condition with a deadline, instead of sleeping and hoping.

use std::{
    io::Write as _,
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

/// Lets time pass, and says `why`. Only where there is no condition to wait for: nothing is to happen meanwhile, or what
/// is waited for is time itself.
pub fn for_a_while(why: &str, time: Duration) {
    let _closed = writeln!(std::io::stderr(), "for {time:?}: {why}");
    thread::sleep(time);
}

/// Looks again and again for this time, with a pause between two looks, and ends with the first error: something is to
/// hold all the while.
pub fn throughout(
    time: Duration,
    pause: Duration,
    mut look: impl FnMut() -> Result<()>,
) -> Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        look()?;
        thread::sleep(pause);
    }
    Ok(())
}
