//! What can be wrong with a fault of requests.

use std::time::Duration;

use humantime::format_duration;

/// Why a fault of requests makes no sense: one sentence each, with what was given and what may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// Nothing, or more than single ports of the target.
    #[error(
        "a fault of requests needs the ports that they arrive at: 1 to 8 single ports of the target itself"
    )]
    Ports,
    /// What packets have, and requests do not.
    #[error(
        "a fault of requests takes TCP connections that arrive: leave out the filter's {0}, or use a fault of packets"
    )]
    Filter(
        /// Name of the field.
        &'static str,
    ),
    /// No workload.
    #[error(
        "a fault of requests needs a workload, and the node is none: choose pods, a service, a cgroup or a process"
    )]
    OfNode,
    /// Two ways to one port.
    #[error(
        "the rules on port {0} say different things about its connections: give all of them the same --keep-existing, --drain, --include-loopback and --local-source"
    )]
    TwoDoors(u16),
    /// Out of range.
    #[error("a drain is at most 5 min, not {}", format_duration(*.0))]
    Drain(Duration),
    /// Does nothing.
    #[error(
        "the fault does nothing to a request: give a delay, an error, or something else that is to happen"
    )]
    Nothing,
    /// Out of range.
    #[error("a delay of requests is at most 60 s, not {}", format_duration(*.0))]
    Pause(Duration),
    /// Larger than the delay.
    #[error(
        "a delay's variation is at most the delay ({}), not {}: an answer cannot leave before it came",
        format_duration(*.delay),
        format_duration(*.variation)
    )]
    Variation {
        /// As given.
        variation: Duration,
        /// As given.
        delay: Duration,
    },
    /// Of what?
    #[error("a variation, or a share of delayed requests, needs a delay: give one")]
    NoDelay,
    /// Out of range.
    #[error("the status of an error is 200 to 599, not {0}")]
    ErrorCode(u32),
    /// Out of range.
    #[error("the status of a gRPC error is 1 to 16, not {0}: 0 is success")]
    StatusCode(u32),
    /// How many?
    #[error(
        "the error does not say how many requests get it: give an error rate, or how many at the beginning"
    )]
    NoErrorShare,
    /// Out of range.
    #[error("at most 1000000 requests are failed at the beginning, not {0}")]
    First(u32),
    /// Too long.
    #[error("{what} has at most {most} bytes, not {length}")]
    Long {
        /// Of what.
        what: &'static str,
        /// As given.
        length: usize,
        /// As may be.
        most: usize,
    },
    /// An answer that has none.
    #[error("an answer of status {0} has no body: leave it out, or give another status")]
    NoBody(u16),
    /// Out of range.
    #[error("answers are slowed down to 1 to 125000000000 bytes per second, not {0}")]
    Throttle(u64),
    /// Too many.
    #[error("a rule has at most {most} {what}, not {count}")]
    Count {
        /// Of what.
        what: &'static str,
        /// As given.
        count: usize,
        /// As may be.
        most: usize,
    },
    /// Not a header field's.
    #[error(
        "{0:?} is no name of a header field: letters, digits and signs such as - are what it is made of"
    )]
    FieldName(String),
    /// Not a header field's.
    #[error("the value {value:?} of the header field {name} is not ASCII in one line")]
    FieldValue {
        /// Name of the field.
        name: String,
        /// As given.
        value: String,
    },
    /// It says how a message is framed.
    #[error(
        "the header field {0} says where a message ends, or what becomes of its connection: it stays what it is"
    )]
    Framing(String),
    /// In and out.
    #[error("the header field {0} is both set and removed, or set twice: leave out one of them")]
    FieldTwice(String),
    /// Not a method.
    #[error("{0:?} is no method of HTTP: give one such as GET, or none for all")]
    HttpMethod(String),
    /// Not a path.
    #[error("{0:?} is no path to leave alone: it begins with / and has no query")]
    Exclude(String),
    /// Not a path.
    #[error("{0:?} is no path of requests: it begins with / or *, and has no query")]
    Path(String),
    /// Neither a method nor a path.
    #[error("a match of requests says nothing: give a method, a path, or both")]
    EmptyMatch,
    /// Not a call.
    #[error("{0:?} is no gRPC service: give package.Service, or package.Service/Method")]
    Method(String),
}
