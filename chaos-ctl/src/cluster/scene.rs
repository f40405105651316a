//! What the user asked for in a cluster; it is resolved anew whenever the cluster has changed.

use chaos_proto::v1::{PrepareRequest, Rule};

use super::{Cluster, Held, Plan};

/// What to point at in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// The ready endpoints of a service.
    Service(String),
    /// Pods by their names.
    Pods(Vec<String>),
    /// Pods by a label selector.
    Labels(String),
    /// The pods of a Deployment.
    Deployment(String),
    /// The pods of a StatefulSet.
    StatefulSet(String),
    /// The pods of a DaemonSet.
    DaemonSet(String),
    /// Nodes by their names.
    Nodes(Vec<String>),
    /// Nodes by a label selector.
    NodeLabels(String),
}

/// How many of those that it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// All.
    #[default]
    All,
    /// One.
    One,
    /// So many, or all where there are fewer.
    Fixed(u32),
    /// A share in parts per million, rounded up.
    Share(u32),
}

/// Where, in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What.
    pub point: Point,
    /// Only this container's packets.
    pub container: Option<String>,
    /// How many.
    pub mode: Mode,
    /// Decides which, with the UIDs of the pods.
    pub seed: u64,
}

/// A rule with names in it that only a cluster (or DNS) can resolve.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// With the ports and peers that are numbers and addresses.
    pub rule: Rule,
    /// Ports by name, of `--port`.
    pub port_names: Vec<String>,
    /// Peers that are no addresses, as written.
    pub peers: Vec<String>,
    /// The same of those that are not to match.
    pub except: Vec<String>,
}

/// What the user asked for in a cluster.
#[derive(Debug)]
pub struct Scene {
    /// Whom to ask.
    pub cluster: Cluster,
    /// Where.
    pub selection: Selection,
    /// What.
    pub drafts: Vec<Draft>,
    /// Everything else, without selector and rules.
    pub request: PrepareRequest,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing is there to hit.
    #[error("{what}: nothing is there to hit")]
    Nothing {
        /// What was pointed at.
        what: String,
    },
}

impl ResolveError {
    /// Whether what was pointed at exists, and has nothing to hit just now.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Nothing { .. })
    }
}

impl Scene {
    /// Asks the cluster. `held` is what the experiment has hit so far; nothing for a new one.
    #[expect(clippy::unused_async, reason = "it will ask the API server")]
    pub async fn plan(&self, _held: &Held) -> Result<Plan, ResolveError> {
        Err(ResolveError::Nothing {
            what: format!("{:?}", self.selection.point),
        })
    }
}
