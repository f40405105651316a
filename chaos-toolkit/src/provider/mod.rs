//! Stands in for who does the work of an activity; `python` is the part that is whole.

pub mod python;

/// An activity that failed, as the reference's `ActivityFailed`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ActivityFailed {
    /// What failed, in a sentence.
    pub message: String,
    /// The lines of the journal's `exception`.
    pub trace: Vec<String>,
}

impl ActivityFailed {
    /// One that was no exception of Python: the journal shows it as the reference would without the way to it.
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            trace: vec![format!("chaoslib.exceptions.ActivityFailed: {message}\n")],
            message,
        }
    }
}

/// Why an activity gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// It failed; the run goes on.
    #[error("{0}")]
    Failed(#[from] ActivityFailed),
    /// A python activity raised `InterruptExecution`: the whole run ends.
    #[error("{0}")]
    Interrupted(String),
    /// Python code left as programs do (`SystemExit`), or was interrupted: the whole run ends, as by a signal.
    #[error("{message}")]
    Exited {
        /// What was said.
        message: String,
        /// Whether rollbacks may be played: not after code 30, with which `chaoslib.exit.exit_ungracefully` leaves.
        rollbacks: bool,
    },
    /// It could not be done as it is written. The reference ends with a traceback of Python here: a method is `aborted`.
    #[error("{0}")]
    Crashed(String),
}

/// Where python code runs: in the foreground it has the main thread, as in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// An activity that the run waits for.
    Main,
    /// One in the background, or a probe of a hypothesis during the method.
    Background,
}

/// What is wrong with a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The key of the provider that is wrong; none: one is missing.
    pub key: Option<&'static str>,
    /// What is wrong, and what was expected.
    pub what: String,
}
