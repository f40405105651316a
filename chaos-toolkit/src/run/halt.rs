//! What ends a run before its time. The reference has exceptions for it; here it is what functions return.

use crate::provider::Stopped;

/// Why the run does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// A control or Python code asked for it, or SIGTERM.
    Interrupted(String),
    /// SIGINT.
    CtrlC,
    /// SIGUSR1: rollbacks are played as their strategy has it.
    Left,
    /// SIGUSR2: everything is left as it is, but for faults.
    LeftAsIs,
    /// A guard tripped.
    Guard,
    /// Somebody who was asked said no.
    Refused,
    /// Something that the reference takes for an error of its own.
    Broken(String),
}

/// Why an activity gave nothing that does not concern the run as a whole, or that does.
pub(crate) fn of_stopped(stopped: Stopped) -> Result<crate::provider::ActivityFailed, Halt> {
    match stopped {
        Stopped::Failed(failed) => Ok(failed),
        Stopped::Interrupted(why) => Err(Halt::Interrupted(why)),
        Stopped::Crashed(why) => Err(Halt::Broken(why)),
    }
}
