//! What is to be asked of which node.

use std::collections::BTreeSet;

use chaos_proto::v1::{Origin, PrepareRequest};

/// UIDs of pods that an experiment has hit so far: they stay chosen until they or their endpoints are gone, ready or not.
pub type Held = BTreeSet<String>;

/// What to ask of which node.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Ordered by node; a node is there several times where its pods have different rules.
    pub parts: Vec<Part>,
    /// How it came about.
    pub resolved: Resolved,
}

/// What to ask of one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Name of the node.
    pub node: String,
    /// Pods or the node itself, with rules whose ports and peers are resolved. The id is not set yet.
    pub request: PrepareRequest,
}

/// What was looked up for a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resolved {
    /// What was pointed at, for a person: `service provider (namespace shop)`.
    pub what: String,
    /// What pods were chosen from; nothing where pods or nodes were named one by one.
    pub origin: Option<Origin>,
    /// Ports of a service and what they are in its pods.
    pub ports: Vec<Translation>,
    /// Peers that are no addresses, and their addresses.
    pub peers: Vec<Peers>,
    /// What a person should know besides; one sentence each.
    pub notes: Vec<String>,
}

/// A port of a service, and what it is in so many of the chosen pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// As asked for: a number, a name or a range.
    pub port: String,
    /// In the pods.
    pub target_port: u16,
    /// So many pods.
    pub pods: usize,
}

/// A peer that is no address, and its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// As written: `svc/db`, `ns/shop`, `db.example.com`.
    pub peer: String,
    /// Addresses, in order.
    pub addresses: Vec<String>,
}

impl Plan {
    /// Names of the nodes, each once.
    pub fn nodes(&self) -> BTreeSet<&str> {
        self.parts.iter().map(|part| part.node.as_str()).collect()
    }
}
