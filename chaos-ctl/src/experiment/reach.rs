//! How an agent is reached, the first time and again.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::client::{Address, Agent, ClientError, Tls, TokenSource};
use crate::cluster;

/// A connection in the making.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Agent, ClientError>> + Send + 'a>>;

/// Reaches the agents of nodes.
pub trait Reach: fmt::Debug + Send + Sync {
    /// Connects to the agent of a node.
    fn connect<'a>(&'a self, node: &'a str) -> Connecting<'a>;

    /// Connects once more, to whichever agent the node has now.
    fn again<'a>(&'a self, node: &'a str) -> Connecting<'a>;

    /// Whether nodes have names, and an agent that was lost may be there again, or another in its place.
    fn is_cluster(&self) -> bool;
}

/// One agent at an address: it is the only one, and a connection that broke means that it died.
#[derive(Debug, Clone)]
pub struct Direct {
    /// Where it listens.
    pub address: Address,
    /// For an address with TLS.
    pub tls: Tls,
    /// For an address that is not a socket of this host.
    pub token: Option<Arc<dyn TokenSource>>,
}

impl Direct {
    /// Connects.
    pub async fn agent(&self) -> Result<Agent, ClientError> {
        Agent::connect(&self.address, &self.tls, self.token.clone()).await
    }
}

impl Reach for Direct {
    fn connect<'a>(&'a self, _node: &'a str) -> Connecting<'a> {
        Box::pin(self.agent())
    }

    fn again<'a>(&'a self, _node: &'a str) -> Connecting<'a> {
        Box::pin(self.agent())
    }

    fn is_cluster(&self) -> bool {
        false
    }
}

/// One agent at an address, that is the agent of a node of a cluster.
#[derive(Debug, Clone)]
pub struct Only(pub Direct);

impl Reach for Only {
    fn connect<'a>(&'a self, _node: &'a str) -> Connecting<'a> {
        Box::pin(self.0.agent())
    }

    fn again<'a>(&'a self, _node: &'a str) -> Connecting<'a> {
        Box::pin(self.0.agent())
    }

    fn is_cluster(&self) -> bool {
        true
    }
}

impl Reach for cluster::Reach {
    fn connect<'a>(&'a self, node: &'a str) -> Connecting<'a> {
        Box::pin(self.connect(node))
    }

    fn again<'a>(&'a self, node: &'a str) -> Connecting<'a> {
        Box::pin(self.connect_anew(node))
    }

    fn is_cluster(&self) -> bool {
        true
    }
}
