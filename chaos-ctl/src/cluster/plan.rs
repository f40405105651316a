//! What is to be asked of which node.

use std::collections::BTreeSet;
use std::pin::Pin;

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{Origin, Pod, PodsSelector, PrepareRequest, PrepareResponse};
use futures::Stream;

use crate::quantity::PeerName;

/// UIDs of pods that an experiment has hit so far: they stay chosen until they or their endpoints are gone, ready or
/// not.
pub type Held = BTreeSet<String>;

/// What a filter names, and the wire has numbers and addresses for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Ports of `--port`.
    pub ports: Vec<String>,
    /// Peers.
    pub peers: Vec<PeerName>,
    /// Peers that are not to match.
    pub except: Vec<PeerName>,
}

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

/// What an agent says to its part of a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// What it would do; its guards may still refuse.
    Prepared(Box<PrepareResponse>),
    /// Why it would not; one sentence.
    Refused(String),
}

impl Answer {
    /// Whether it would do what is asked.
    pub fn is_yes(&self) -> bool {
        match self {
            Self::Prepared(prepared) => prepared.guards.iter().all(|guard| guard.allows),
            Self::Refused(_) => false,
        }
    }
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

/// What comes of looking at the cluster again.
#[derive(Debug)]
pub enum Replan {
    /// What is to act where from now on.
    Parts {
        /// All of it, not only what is new.
        parts: Vec<Part>,
        /// What has changed, for a person.
        said: Vec<String>,
    },
    /// A sentence for a person.
    Note(String),
}

/// Plans, as the cluster changes.
pub type Replans = Pin<Box<dyn Stream<Item = Replan> + Send>>;

impl Plan {
    /// Names of the nodes, each once.
    pub fn nodes(&self) -> BTreeSet<&str> {
        self.parts.iter().map(|part| part.node.as_str()).collect()
    }

    /// All chosen pods.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.parts.iter().flat_map(Part::pods)
    }
}

impl Part {
    /// Its pods; none where the node itself is meant.
    pub fn pods(&self) -> &[Pod] {
        self.selector().map_or(&[], |pods| &pods.pods)
    }

    /// The only container of them that is meant; empty for all.
    pub fn container(&self) -> &str {
        self.selector().map_or("", |pods| &pods.container)
    }

    fn selector(&self) -> Option<&PodsSelector> {
        let selector = self.request.selector.as_ref()?;
        match selector.r#where.as_ref()? {
            Where::Pods(pods) => Some(pods),
            Where::Service(_)
            | Where::Netns(_)
            | Where::Pid(_)
            | Where::Cgroup(_)
            | Where::Node(_) => None,
        }
    }
}
