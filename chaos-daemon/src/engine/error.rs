//! What can go wrong with an experiment.

use std::time::Duration;

use humantime::format_duration;
use ipnet::IpNet;

use super::{datapath::DatapathError, dns::NameError, service::ServiceError};

/// Why a request makes no sense: one sentence each, with what was given and what may be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No rules, or too many.
    #[error("an experiment has 1 to {most} rules, not {count}")]
    RuleCount {
        /// As given.
        count: usize,
        /// As may be.
        most: usize,
    },
    /// Out of range.
    #[error("a duration is above 0 and at most 24 h, not {}", format_duration(*.0))]
    Duration(Duration),
    /// None, or too many.
    #[error(
        "an experiment has 1 to {most} pods on a node, not {count}: to let the last one go, stop the experiment"
    )]
    PodCount {
        /// As given.
        count: usize,
        /// As may be.
        most: usize,
    },
    /// Not what such a name is made of.
    #[error("{given:?} is no {what}: letters, digits, - and . are what it is made of")]
    PodName {
        /// What it is the name of.
        what: &'static str,
        /// As given.
        given: String,
    },
    /// Nothing that pods are chosen from.
    #[error("pods are chosen from {known}, not from {given:?}")]
    OriginKind {
        /// As given.
        given: String,
        /// What there is.
        known: String,
    },
    /// Chosen from what is elsewhere.
    #[error(
        "pods of namespace {pods:?} cannot have been chosen from something in namespace {origin:?}"
    )]
    OriginElsewhere {
        /// Of a pod.
        pods: String,
        /// Of what it was chosen from.
        origin: String,
    },
    /// Not what an id is made of.
    #[error(
        "{0:?} cannot be an experiment's id: lower-case letters, digits, - and . are what it is made of, at most 63, the first a letter or a digit"
    )]
    Id(String),
    /// Out of range.
    #[error("a pulse is on and off for 1 ms to 1 h each")]
    Pulse,
    /// Out of range.
    #[error("a delay is above 0 and at most 60 s, not {}", format_duration(*.0))]
    Latency(Duration),
    /// Larger than the delay.
    #[error(
        "jitter is at most the delay ({}), not {}: a packet cannot leave before it came",
        format_duration(*.latency),
        format_duration(*.jitter)
    )]
    Jitter {
        /// As given.
        jitter: Duration,
        /// As given.
        latency: Duration,
    },
    /// Out of range.
    #[error("a ramp takes 1 ms to 24 h, and one of a delay begins at 0 to 60 s")]
    Ramp,
    /// A model without a share.
    #[error("a ramp changes the percentage of a loss, and a model has none: leave out one of them")]
    RampOfModel,
    /// A share of packets, of connections that stay where they went.
    #[error(
        "connections are sent elsewhere as a whole, and no share of their packets: leave out the ramp, or the other address and port"
    )]
    ShareOfSteered,
    /// A middle that there is not.
    #[error("a ramp changes a constant or uniform delay: leave out the ramp or the distribution")]
    RampOfDistribution,
    /// Out of range.
    #[error("a measured distribution has 2 to 1025 quantiles, not {0}")]
    QuantileCount(usize),
    /// Not what they should be.
    #[error("the quantiles of a distribution go upwards, and end above 0 and at most at 60 s")]
    Quantiles,
    /// Out of range.
    #[error("{what} is above 0 and at most 100 percent, not {} percent", percent(*.ppm))]
    Share {
        /// Of what.
        what: &'static str,
        /// As given.
        ppm: u32,
    },
    /// Out of range.
    #[error("a correlation is at least 0 and below 100 percent, not {} percent", percent(*.0))]
    Correlation(u32),
    /// Out of range.
    #[error("probabilities, and those of one state together, are at most 100 percent, not {} percent", percent(*.0))]
    Probability(u32),
    /// A model that does not move.
    #[error(
        "the model never leaves a state: the probabilities of entering and of leaving loss must be above 0"
    )]
    Stuck,
    /// Out of range.
    #[error("a count of packets is at most 1000000 and, apart from a gap, at least 1, not {0}")]
    Count(u32),
    /// Out of range.
    #[error("a bandwidth is 8 kbit/s to 1 Tbit/s, not {0} bytes per second")]
    Rate(u64),
    /// Out of range.
    #[error("a burst is at most 1 GiB, not {0} bytes")]
    Burst(u64),
    /// Too long.
    #[error("a queue of {bytes} bytes takes {} at this bandwidth, and 60 s is the most", format_duration(*.wait))]
    Queue {
        /// As given.
        bytes: u64,
        /// What they take.
        wait: Duration,
    },
    /// Out of range.
    #[error("a grace period is at most 5 min, not {}", format_duration(*.0))]
    Grace(Duration),
    /// Too many.
    #[error("a rule has at most {most} port ranges, not {count}")]
    PortRangeCount {
        /// As given.
        count: usize,
        /// As may be.
        most: usize,
    },
    /// Not a range.
    #[error("ports are 1 to 65535 and a range goes upwards, not {first}-{last}")]
    PortRange {
        /// As given.
        first: u32,
        /// As given.
        last: u32,
    },
    /// Ports of a protocol that has none.
    #[error("ICMP has no ports: leave out the port or the protocol")]
    PortsOfIcmp,
    /// Too many.
    #[error("a rule has at most {most} peers and exceptions, not {count}")]
    PeerCount {
        /// As given.
        count: usize,
        /// As may be.
        most: usize,
    },
    /// In and out.
    #[error("{0} is both a peer and an exception: leave out one of them")]
    PeerAndException(IpNet),
    /// Connections of a protocol that has none.
    #[error("only TCP opens connections: give the protocol as tcp")]
    OnlyTcpConnects,
    /// Connections of a protocol that has none.
    #[error("only TCP connections can be reset: give the protocol as tcp, or leave it out")]
    OnlyTcpIsReset,
    /// Out of range.
    #[error("a connection lives for 1 ms to 24 h, or carries up to 1 TiB, before it is reset")]
    Life,
    /// One or the other.
    #[error("a connection is reset after a time or after so many bytes: leave out one of them")]
    TwoLives,
    /// Empty.
    #[error("a rewrite does not say what to write: give at least one of its parts")]
    NothingToWrite,
    /// Out of range.
    #[error("a TTL is 1 to 255, and a port 1 to 65535: 0 is neither")]
    ZeroWritten,
    /// Out of range.
    #[error("a maximum segment size is at least {least}")]
    Mss {
        /// The smallest.
        least: u16,
    },
    /// In and out.
    #[error("a TCP flag is both set and cleared: leave out one of them")]
    FlagBothWays,
    /// Another protocol.
    #[error(
        "only TCP has flags and a maximum segment size: give the protocol as tcp, or leave it out"
    )]
    OnlyTcpHasIt,
    /// Nobody, or many.
    #[error(
        "connections are sent to one other host: give its address, and none that is multicast, unspecified or loopback"
    )]
    NotOneHost,
    /// Those that are open stay.
    #[error("only new connections are sent elsewhere: leave out the connections")]
    SteersNewOnes,
    /// Where should answers go?
    #[error(
        "connections are sent elsewhere in one direction, and their answers come back: give egress or ingress"
    )]
    SteersBothWays,
    /// Out of range.
    #[error("a patch of the payload has 1 to 32 bytes, and begins within the first 1500")]
    Patch,
    /// Out of range.
    #[error(
        "a replacement has 1 to 32 bytes, as many as what it replaces, within the first 1 to 1500 bytes of the payload"
    )]
    Replacement,
    /// Questions by another protocol.
    #[error("only DNS over UDP is answered: give the protocol as udp, or leave it out")]
    OnlyUdpIsAnswered,
    /// Of a fault of requests.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Not a name.
    #[error(transparent)]
    Name(NameError),
    /// Too many.
    #[error("a rule has at most {most} names, not {count}: give *.example.com for all below one")]
    NameCount {
        /// As given.
        count: usize,
        /// As may be.
        most: usize,
    },
    /// Too many.
    #[error("a rule has at most {most} types of records, not {count}")]
    RecordTypeCount {
        /// As given.
        count: usize,
        /// As may be.
        most: usize,
    },
    /// Out of range.
    #[error("a type of records is 1 to 65535, not {0}")]
    RecordType(u32),
    /// Out of range.
    #[error("a time to live is whole seconds, at most 24 h, not {}", format_duration(*.0))]
    Ttl(Duration),
    /// None, or several of one kind, or where there are none.
    #[error(
        "an answer has one IPv4 address, or one IPv6 address, or one of each, or it is an error and has none"
    )]
    AnswerAddresses,
    /// Out of range.
    #[error("a DSCP is 0 to 63, not {0}")]
    Dscp(u32),
    /// Not a range.
    #[error("a range of lengths goes upwards, not {least} to {most}")]
    Length {
        /// As given.
        least: u32,
        /// As given.
        most: u32,
    },
}

fn percent(ppm: u32) -> f64 {
    f64::from(ppm) / 10_000.0
}

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody knows this id.
    #[error("there is no experiment {id}: `chaosctl list --all` shows those that there are")]
    NoSuchExperiment {
        /// As asked for.
        id: String,
    },
    /// Of this id there is one.
    #[error(
        "there is an experiment {id} on this node already: choose another id, or none for one that is free"
    )]
    Exists {
        /// As asked for.
        id: String,
    },
    /// A part of what is another's.
    #[error(
        "{id} would be a part of {whole}, which somebody else started on this node: choose another id"
    )]
    NotTheirs {
        /// As asked for.
        id: String,
        /// The id that all parts have in common.
        whole: String,
    },
    /// It runs already.
    #[error("experiment {id} is armed already")]
    AlreadyArmed {
        /// As asked for.
        id: String,
    },
    /// It is over.
    #[error("experiment {id} has ended: start another one")]
    Over {
        /// As asked for.
        id: String,
    },
    /// An update that is another experiment.
    #[error(
        "an update changes what the rules of {id} say ({there}), not what they are ({asked}): start another experiment beside it"
    )]
    OtherFaults {
        /// As asked for.
        id: String,
        /// Kinds of its faults.
        there: String,
        /// Kinds of the faults that were asked for.
        asked: String,
    },
    /// Connections would have to come another way.
    #[error(
        "an update changes neither the ports of requests nor how their connections get there, as {id} has them: start another experiment"
    )]
    OtherDoors {
        /// As asked for.
        id: String,
    },
    /// It has no pods to change.
    #[error("the targets of {id} are no pods, and stay what they are: start another experiment")]
    NotPods {
        /// As asked for.
        id: String,
    },
    /// A pod could not join; nothing was changed.
    #[error("cannot add {target} to {id}: {source}; nothing was changed")]
    Join {
        /// As asked for.
        id: String,
        /// Name of the target.
        target: String,
        /// The reason.
        source: DatapathError,
    },
    /// What was asked for instead makes no sense.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A changed rule could not be put in place; the old ones act on.
    #[error("cannot update {target}: {source}; nothing was changed")]
    Update {
        /// Name of the target.
        target: String,
        /// The reason.
        source: DatapathError,
    },
    /// The kernel refused in the middle; the experiment has ended.
    #[error("cannot update {id}: {detail}; it was taken away")]
    UpdateBroke {
        /// As asked for.
        id: String,
        /// The reason.
        detail: String,
    },
    /// A rule could not be put in place; nothing of the experiment is.
    #[error("cannot prepare {target}: {source}; nothing was applied")]
    Datapath {
        /// Name of the target.
        target: String,
        /// The reason.
        source: DatapathError,
    },
    /// The clock could not be started; the experiment has ended.
    #[error("cannot arm {id}: {detail}; it was taken away")]
    Arm {
        /// As asked for.
        id: String,
        /// The reason.
        detail: String,
    },
}
