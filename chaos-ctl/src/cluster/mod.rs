//! A Kubernetes cluster, from the client's side: from what the user pointed at to what is asked of which agent.
//!
//! Only this module names kube. It asks the API server and decides who is meant; whether that may be hit, and what it
//! is on its node, is for the agents to say.

mod config;
mod plan;
mod scene;

pub use config::{Cluster, ClusterOptions, ConfigError};
pub use plan::{Held, Part, Peers, Plan, Resolved, Translation};
pub use scene::{Draft, Mode, Point, ResolveError, Scene, Selection};
