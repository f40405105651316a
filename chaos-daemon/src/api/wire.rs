//! What reading and writing of messages share.

use std::time::Duration;

use crate::engine::{ServiceError, SpecError};

/// Why a request cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    /// A required part is not there.
    #[error("the request has no {0}")]
    Missing(&'static str),
    /// A number that no name stands for.
    #[error(
        "the request has an unknown {what} ({value}): chaosctl and chaos-daemon are of different versions"
    )]
    Unknown { what: &'static str, value: i32 },
    /// Negative, or beyond any bound.
    #[error("{what} is not a usable time: it is negative or far too long")]
    Time { what: &'static str },
    /// Not a CIDR.
    #[error(
        "{0:?} is no CIDR: give an address with a prefix length, such as 10.0.0.0/8 or fd00::/64, or an address alone"
    )]
    Peer(String),
    /// Not an address.
    #[error("{0:?} is no address: give one such as 10.0.0.7 or fd00::7")]
    Address(String),
    /// More than it has bits for.
    #[error("{value} is too large for a {what}")]
    TooLarge { what: &'static str, value: u32 },
    /// Not ports.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Not a process.
    #[error("a process number is above 0")]
    Pid,
}

impl From<ServiceError> for RequestError {
    fn from(error: ServiceError) -> Self {
        Self::Spec(error.into())
    }
}

/// Nothing, where a text is left out.
pub(super) fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// From the wire.
pub(super) fn read_time(
    what: &'static str,
    duration: prost_types::Duration,
) -> Result<Duration, RequestError> {
    Duration::try_from(duration).map_err(|_| RequestError::Time { what })
}

/// Times of experiments are bounded far below what the message holds.
pub(super) fn write_time(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}
