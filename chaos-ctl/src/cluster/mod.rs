//! A Kubernetes cluster, from the client's side: from what the user pointed at to what is asked of which agent.
//!
//! Only this module names kube. It asks the API server and decides who is meant; whether that may be hit, and what it
//! is on its node, is for the agents to say.

mod agents;
mod answer;
mod ask;
mod choice;
mod config;
mod error;
mod follow;
mod instead;
mod near;
mod nodes;
mod peers;
mod plan;
mod pods;
mod ports;
mod reach;
mod renew;
mod scene;
mod service;
mod token;
mod workload;

pub use agents::AgentsError;
pub(crate) use answer::said;
pub use ask::ApiError;
pub use choice::{Mode, choose};
pub use config::{Cluster, ClusterOptions, ConfigError, IN_CLUSTER_TOKEN};
pub use error::ResolveError;
pub use follow::follow;
pub use peers::without_cluster;
pub use plan::{Answer, Held, Names, Part, Peers, Plan, Replan, Replans, Resolved, Translation};
pub use reach::Reach;
pub use renew::{Parts, pointed_at};
pub use scene::{Draft, Point, Scene, Selection};
pub use token::{TokenError, Tokens};
