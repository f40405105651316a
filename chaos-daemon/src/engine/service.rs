//! Faults of requests: what they have in common, and which filters they go with.
//!
//! What a request is, and where it ends, others know.

mod error;
mod field;
mod glob;
mod grpc;
mod http;
mod matches;
mod requests;

use std::time::Duration;

pub use error::ServiceError;
pub use field::{Edits, Field};
pub use glob::Glob;
pub use grpc::{ErrorStatus, Grpc, Method};
pub use http::{ErrorAnswer, Http};
pub use matches::{HeaderMatch, RequestMatch, excludes};
pub use requests::Requests;

use super::{
    error::SpecError,
    fault::{Fault, Ppm},
    filter::{Connections, Direction, Filter, PortRange, Protocol, Side},
    spec::{Rule, Spec, Where},
};

/// Longest time that requests are held.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Longest time that requests may run on after the end.
const LONGEST_DRAIN: Duration = Duration::from_mins(5);
/// Most requests that are failed at the beginning.
const MOST_FIRST: u32 = 1_000_000;
/// Most things of a kind that a rule leaves alone, or is narrowed to.
const MOST_MATCHES: usize = 64;
/// Most header fields of a list.
const MOST_FIELDS: usize = 32;

/// How connections get to where their requests can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Leave connections alone that are open at the start.
    pub keep_existing: bool,
    /// How long requests may run on after the end.
    pub drain: Duration,
    /// Also connections from within the target's own namespace.
    pub include_loopback: bool,
    /// Do not try to keep the client's address.
    pub local_source: bool,
}

/// Time that requests take longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Middle.
    pub delay: Duration,
    /// Evenly around it.
    pub variation: Duration,
    /// How many of the requests.
    pub share: Ppm,
}

/// A fault of requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Service<'a> {
    /// Of HTTP.
    Http(&'a Http),
    /// Of gRPC.
    Grpc(&'a Grpc),
}

impl Door {
    /// How long requests may run on, unless somebody says so.
    pub const DRAIN: Duration = Duration::from_secs(10);

    const fn check(&self) -> Result<(), ServiceError> {
        if self.drain.as_nanos() > LONGEST_DRAIN.as_nanos() {
            return Err(ServiceError::Drain(self.drain));
        }
        Ok(())
    }
}

impl Default for Door {
    fn default() -> Self {
        Self {
            keep_existing: false,
            drain: Self::DRAIN,
            include_loopback: false,
            local_source: false,
        }
    }
}

impl Pause {
    fn check(&self) -> Result<(), SpecError> {
        if self.delay > LONGEST_PAUSE {
            return Err(ServiceError::Pause(self.delay).into());
        }
        if self.variation > self.delay {
            let (variation, delay) = (self.variation, self.delay);
            return Err(ServiceError::Variation { variation, delay }.into());
        }
        self.share.check("a share of delayed requests")
    }
}

impl<'a> Service<'a> {
    /// How connections get there.
    pub const fn door(self) -> &'a Door {
        match self {
            Self::Http(http) => &http.door,
            Self::Grpc(grpc) => &grpc.door,
        }
    }
}

impl Fault {
    /// What it does to requests, where it is one of those and not one of packets.
    pub const fn service(&self) -> Option<Service<'_>> {
        match self {
            Self::Http(http) => Some(Service::Http(http)),
            Self::Grpc(grpc) => Some(Service::Grpc(grpc)),
            Self::Delay(_)
            | Self::Loss(_)
            | Self::Duplicate(_)
            | Self::Reorder { .. }
            | Self::Corrupt { .. }
            | Self::Rate(_)
            | Self::Partition { .. }
            | Self::Reset(_)
            | Self::Rewrite(_)
            | Self::Dns(_) => None,
        }
    }
}

impl Rule {
    /// Ports of the target that have a door, where the rule is one of requests.
    pub fn doors(&self) -> impl Iterator<Item = (u16, &Door)> {
        let door = self.fault.service().map(Service::door);
        let ports = self.filter.ports.iter().map(|(_, range)| range.first);
        ports.filter_map(move |port| Some((port, door?)))
    }
}

impl Spec {
    /// Whether any rule hits requests.
    pub fn hits_requests(&self) -> bool {
        self.rules.iter().any(|rule| rule.fault.service().is_some())
    }

    /// What no rule can say for itself.
    pub(super) fn check_doors(&self) -> Result<(), SpecError> {
        if !self.hits_requests() {
            return Ok(());
        }
        if self.selector.at == Where::Node {
            return Err(ServiceError::OfNode.into());
        }
        let all: Vec<_> = self.rules.iter().flat_map(Rule::doors).collect();
        for (index, (port, door)) in all.iter().enumerate() {
            let differs = |(other, there): &(u16, &Door)| other == port && there != door;
            if all[..index].iter().any(differs) {
                return Err(ServiceError::TwoDoors(*port).into());
            }
        }
        Ok(())
    }
}

/// Whether requests can be found by this filter.
fn check_filter(filter: &Filter) -> Result<(), ServiceError> {
    let only_of_packets = [
        (filter.direction != Direction::Ingress, "direction"),
        (filter.protocol != Some(Protocol::Tcp), "protocol"),
        (filter.connections != Connections::All, "connections"),
        (filter.syn_only, "syn_only"),
        (filter.dscp.is_some(), "dscp"),
        (filter.length != (0, u32::MAX), "length"),
    ];
    if let Some((_, field)) = only_of_packets.iter().find(|(given, _)| *given) {
        return Err(ServiceError::Filter(field));
    }
    let is_one = |(side, range): &(Side, PortRange)| {
        *side == Side::Target && range.first == range.last && range.first > 0
    };
    if filter.ports.is_empty() || !filter.ports.iter().all(is_one) {
        return Err(ServiceError::Ports);
    }
    Ok(())
}

fn check_first(first: u32) -> Result<(), ServiceError> {
    if first > MOST_FIRST {
        return Err(ServiceError::First(first));
    }
    Ok(())
}

/// Nothing is a share too.
fn check_share(Ppm(ppm): Ppm, what: &'static str) -> Result<(), SpecError> {
    if ppm > Ppm::ALL.0 {
        return Err(SpecError::Share { what, ppm });
    }
    Ok(())
}

fn check_count(what: &'static str, count: usize, most: usize) -> Result<(), ServiceError> {
    if count > most {
        return Err(ServiceError::Count { what, count, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
