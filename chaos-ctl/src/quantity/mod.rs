//! Numbers with units, between a person and the wire: read from flags, written into sentences.
//!
//! Reading is exact: a value that cannot be kept exactly is refused, never rounded. Knows nothing about limits
//! that only the agent can judge (a delay of at most 60 s, a jitter below its latency).

mod count;
mod dns;
mod frequency;
mod header;
mod model;
mod number;
mod peer;
mod ports;
mod rate;
mod sample;
mod service;
mod shape;
mod share;
mod time;
mod written;

pub use count::{bytes, packets};
pub use dns::{ANY_RECORD, DnsAnswer, dns_answer, dns_name, record_in_words, record_type};
pub use frequency::{Frequency, frequency};
pub use header::{dscp, dscp_in_words, length, length_in_words};
pub use model::{burst, four_state};
pub use number::{every, first, gap, seed};
pub use peer::{Peer, PeerName, Peers, exceptions, is_name, peers};
pub use ports::{Port, port_or_name, ports_in_words, read_ports};
pub use rate::{rate, rate_in_words, size, size_in_words};
pub use sample::sample;
pub use service::{
    Body, Fraction, STATUSES, abort, body, byte_count, drain, fraction, grpc_code, header,
    header_match, http_code, pause, request_count, request_match, throttle, variation,
};
pub use shape::{Pulse, Ramp, latency_ramp, pulse, rate_ramp, share_ramp};
pub use share::{Share, correlation, percent, share_in_words};
pub use time::{
    by, duration, from_wire, grace, interval, jitter, latency, looks_negative, time_in_words, ttl,
};
pub use written::{TcpFlags, address, number, patch, port, replace, tcp_flags, tcp_flags_in_words};

/// Whether this is a unit by itself: one of time, bandwidth or size, or the sign of a percentage.
pub fn is_unit(text: &str) -> bool {
    text == "%" || time::is_unit(text) || rate::is_unit(text)
}

/// A value on the command line that cannot be read, as one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} `{value}` {problem}: {accepted}")]
pub struct InvalidQuantity {
    /// What the value was for, such as "latency".
    pub name: &'static str,
    /// What was written.
    pub value: String,
    /// What is wrong with it.
    pub problem: Problem,
    /// What would have been right, with an example.
    pub accepted: &'static str,
}

impl InvalidQuantity {
    fn new(name: &'static str, value: &str, problem: Problem, accepted: &'static str) -> Self {
        Self {
            name,
            value: value.to_owned(),
            problem,
            accepted,
        }
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing was written.
    #[error("is empty")]
    Empty,
    /// It starts with a minus sign.
    #[error("is negative")]
    Negative,
    /// It is zero where zero has no meaning.
    #[error("is zero")]
    Zero,
    /// A number without its unit.
    #[error("has no unit")]
    NoUnit,
    /// A unit that nobody knows.
    #[error("has the unknown unit `{unit}`")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
    },
    /// Something that is not a number stands where one is needed.
    #[error("is not a number with a unit")]
    NotANumber,
    /// Units must go from large to small, each once.
    #[error("has its units out of order")]
    OutOfOrder,
    /// Less than the smallest step that the wire can carry.
    #[error("is finer than {step}")]
    TooFine {
        /// The smallest step.
        step: &'static str,
    },
    /// More than can be kept.
    #[error("is too large")]
    TooLarge,
    /// Not of the form asked for.
    #[error("is not one")]
    Malformed,
    /// Something else, as the sentence has it.
    #[error("{0}")]
    Unfit(&'static str),
    /// A range whose end lies before its start.
    #[error("ends before it starts")]
    Backwards,
}
