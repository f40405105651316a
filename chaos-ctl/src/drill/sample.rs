//! What became of one request.

use std::time::Duration;

/// One request, from the time at which it was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When it was due, since the beginning of the load.
    pub due: Duration,
    /// From then to the end of its answer, or to its failure.
    pub duration: Duration,
    /// What that time went into.
    pub timings: Timings,
    /// How it ended.
    pub end: End,
    /// Bytes on the connection, with all that is around them but TLS and what is below.
    pub sent: u64,
    /// As `sent`.
    pub received: u64,
    /// Whether each of the load's checks held, in their order.
    pub checks: Vec<bool>,
}

/// What a request's time went into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From when it was due until it had a connection.
    pub blocked: Duration,
    /// Of that: making the connection, with looking up its name.
    pub connecting: Duration,
    /// Of that: TLS.
    pub tls: Duration,
    /// Writing the request.
    pub sending: Duration,
    /// Until the first byte of the answer.
    pub waiting: Duration,
    /// From the first byte of the answer to its last.
    pub receiving: Duration,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With an answer, whose status is what was expected or is not.
    Answered {
        /// Its status.
        status: u16,
        /// Whether that is one of those that are right.
        is_expected: bool,
    },
    /// With none.
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The name has no address.
    Unresolved,
    /// Nothing listens there.
    Refused,
    /// No connection for another reason.
    Unconnected,
    /// TLS could not be agreed on.
    Tls,
    /// It was not over in time.
    TimedOut,
    /// The connection was reset.
    Reset,
    /// The connection ended before the answer did.
    Closed,
    /// What came is no HTTP.
    Malformed,
}

impl Failure {
    /// For a person.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Unresolved => "the name has no address",
            Self::Refused => "connection refused",
            Self::Unconnected => "no connection",
            Self::Tls => "TLS failed",
            Self::TimedOut => "timed out",
            Self::Reset => "connection reset",
            Self::Closed => "connection closed before the answer was complete",
            Self::Malformed => "the answer is no HTTP",
        }
    }
}

impl Sample {
    /// Its status; 0 where there was no answer.
    pub fn status(&self) -> u16 {
        match self.end {
            End::Answered { status, .. } => status,
            End::Failed(_) => 0,
        }
    }

    /// Whether it was answered, and as expected.
    pub fn is_expected(&self) -> bool {
        matches!(
            self.end,
            End::Answered {
                is_expected: true,
                ..
            }
        )
    }
}
