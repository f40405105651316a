//! The way to the agent of a node: the API server's port-forward to its pod.
//!
//! No node port and no listener that others could reach: the kubelet connects to the agent on its own host.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;

use super::agents::{Agents, AgentsError};
use super::answer::said;
use super::config::Cluster;
use super::token::Tokens;
use crate::client::{Address, Agent, ClientError, LastWords, TokenSource};

/// Where an agent listens on the loopback of its node.
const PORT: u16 = 7411;
/// The API server, the kubelet and the agent are all asked meanwhile.
const FORWARD_WITHIN: Duration = Duration::from_secs(10);

/// Reaches the agents of a cluster.
#[derive(Debug)]
pub struct Reach {
    cluster: Cluster,
    token: Arc<dyn TokenSource>,
    /// As they were when many were asked for at once.
    known: Mutex<Option<Agents>>,
}

impl Reach {
    /// Nothing is asked yet.
    pub fn new(cluster: Cluster) -> Self {
        let token = Arc::new(Tokens::new(&cluster));
        Self {
            cluster,
            token,
            known: Mutex::new(None),
        }
    }

    /// Looks up all agents at once, for those who will connect to many, and names their nodes.
    pub async fn look_up(&self) -> Result<Vec<String>, AgentsError> {
        let agents = Agents::list(&self.cluster, None).await?;
        let nodes = agents.nodes();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(agents);
        nodes
    }

    /// Connects to the agent of a node as it was when all were looked up.
    pub async fn connect(&self, node: &str) -> Result<Agent, ClientError> {
        match self.known(node) {
            Some(pod) => {
                self.forward(node, &pod.map_err(|error| no_agent(&error))?)
                    .await
            }
            None => self.connect_anew(node).await,
        }
    }

    /// The pod that is a node's agent, if all were looked up.
    fn known(&self, node: &str) -> Option<Result<String, AgentsError>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let agents = known.as_ref()?;
        Some(agents.of(node).map(str::to_owned))
    }

    /// Connects to the agent that a node has now: its pod may be another one than before.
    pub async fn connect_anew(&self, node: &str) -> Result<Agent, ClientError> {
        let agents = Agents::list(&self.cluster, Some(node))
            .await
            .map_err(|error| no_agent(&error))?;
        let pod = agents.of(node).map_err(|error| no_agent(&error))?;
        self.forward(node, pod).await
    }

    async fn forward(&self, node: &str, pod: &str) -> Result<Agent, ClientError> {
        let address = Address::Pod {
            node: node.to_owned(),
            pod: pod.to_owned(),
        };
        let namespace = &self.cluster.options.agent_namespace;
        let pods: Api<Pod> = Api::namespaced(self.cluster.client.clone(), namespace);
        let forwarding = tokio::time::timeout(FORWARD_WITHIN, pods.portforward(pod, &[PORT]));
        let mut forwarder = match forwarding.await {
            Ok(Ok(forwarder)) => forwarder,
            Ok(Err(error)) => {
                return Err(ClientError::Forward {
                    address,
                    source: said(&error).into(),
                });
            }
            Err(_) => {
                return Err(ClientError::Silent {
                    address,
                    after: FORWARD_WITHIN,
                });
            }
        };
        let (Some(stream), Some(error)) = (forwarder.take_stream(PORT), forwarder.take_error(PORT))
        else {
            return Err(ClientError::NoWay { address });
        };
        let last_words = LastWords::default();
        let heard = last_words.clone();
        tokio::spawn(async move {
            if let Some(said) = error.await {
                let _ = heard.set(said);
            }
        });
        Agent::over(&address, stream, Some(self.token.clone()), last_words).await
    }
}

fn no_agent(error: &AgentsError) -> ClientError {
    ClientError::NoAgent {
        sentence: error.to_string(),
        hint: error.hint(),
    }
}
