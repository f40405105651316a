//! How a command fails: what happened, what to do about it, and the exit code that says so to a script.
//!
//! Every module has its own error type; this is the one place where they become a kind, hints and a code.

use std::error::Error;
use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct CommandError {
    /// Sets the exit code.
    pub kind: ErrorKind,
    /// Its text is one sentence for a person.
    pub source: Box<dyn Error + Send + Sync>,
    /// What to do next, each in one line.
    pub hints: Vec<String>,
}

/// Kinds of failure, one for each exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The agent refused, or something broke: exit code 1.
    Failed,
    /// The command line is wrong: exit code 2.
    Usage,
    /// The experiment ran, but no packet matched: exit code 3.
    NothingHit,
    /// No agent answers: exit code 4.
    Unreachable,
    /// A threshold of a drill was crossed: exit code 99, as of k6.
    Threshold,
}

impl ErrorKind {
    /// The exit code; 0 is for success alone.
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NothingHit => 3,
            Self::Unreachable => 4,
            Self::Threshold => 99,
        }
    }
}

impl From<ErrorKind> for ExitCode {
    fn from(kind: ErrorKind) -> Self {
        Self::from(kind.code())
    }
}

/// The cause closest to the kernel says most: "Connection refused" and not "transport error".
pub fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

impl CommandError {
    /// An error without hints.
    pub fn new(kind: ErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            source: source.into(),
            hints: Vec::new(),
        }
    }

    /// The same error with one more thing to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What lies beneath the sentence, outermost first: for `-v`.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = self.source.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes
    }
}
