//! Which pod is the agent of which node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};

use super::ask::ApiError;
use super::config::Cluster;
use crate::error::{CommandError, ErrorKind};

/// The label that agents have.
pub(super) const LABEL: &str = "app.kubernetes.io/name=chaos-daemon";

/// The agent's pod of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentPod {
    /// Name of the pod.
    name: String,
    /// Why it cannot be asked; nothing where it is ready.
    unready: Option<String>,
}

/// The agents of a cluster, by node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Agents {
    namespace: String,
    pods: BTreeMap<String, AgentPod>,
}

/// Why there is no agent to ask.
#[derive(Debug, thiserror::Error)]
pub enum AgentsError {
    /// The API server does not tell.
    #[error("cannot look up the agents: {0}")]
    List(#[from] ApiError),
    /// There are none at all.
    #[error("there are no agents: namespace {namespace} has no pod with the label {LABEL}")]
    None {
        /// Namespace of the agents.
        namespace: String,
    },
    /// The node has none.
    #[error("{node} has no agent: namespace {namespace} has no pod with the label {LABEL} there")]
    Missing {
        /// The node.
        node: String,
        /// Namespace of the agents.
        namespace: String,
    },
    /// The node has one that is not ready.
    #[error("the agent of {node} is not ready: pod {namespace}/{pod} {why}")]
    Unready {
        /// The node.
        node: String,
        /// Namespace of the agents.
        namespace: String,
        /// Name of the pod.
        pod: String,
        /// What its status says.
        why: String,
    },
}

impl AgentsError {
    /// What to check.
    pub fn hint(&self) -> String {
        match self {
            Self::List(ApiError::Forbidden { .. }) => {
                "--agent-namespace says where they are, if it is somewhere else".to_owned()
            }
            Self::List(_) => "check --context, and that its API server is up".to_owned(),
            Self::None { .. } => {
                "install them (docs/kubernetes.md), or say with --agent-namespace where they are"
                    .to_owned()
            }
            Self::Missing { namespace, .. } => format!(
                "check that the DaemonSet tolerates the node's taints: `kubectl -n {namespace} get daemonset,pods -o wide -l {LABEL}`"
            ),
            Self::Unready { namespace, pod, .. } => {
                format!("see `kubectl -n {namespace} describe pod {pod}`, and its log")
            }
        }
    }
}

impl From<AgentsError> for CommandError {
    fn from(error: AgentsError) -> Self {
        let hint = error.hint();
        Self::new(ErrorKind::Failed, error).hint(hint)
    }
}

impl Agents {
    /// Asks the API server for the agents of all nodes, or of one.
    pub(super) async fn list(cluster: &Cluster, node: Option<&str>) -> Result<Self, AgentsError> {
        let namespace = cluster.options.agent_namespace.clone();
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
        let mut of = ListParams::default().labels(LABEL);
        if let Some(node) = node {
            of = of.fields(&format!("spec.nodeName={node}"));
        }
        Ok(Self::new(namespace, cluster.list(&pods, of).await?))
    }

    fn new(namespace: String, listed: Vec<Pod>) -> Self {
        let mut pods: BTreeMap<String, AgentPod> = BTreeMap::new();
        for pod in listed {
            let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) else {
                continue;
            };
            let found = AgentPod {
                name: pod.metadata.name.clone().unwrap_or_default(),
                unready: unready(&pod),
            };
            // A rolling update has two of them on a node for a while.
            let is_better = pods.get(&node).is_none_or(|other| other.unready.is_some());
            if is_better {
                pods.insert(node, found);
            }
        }
        Self { namespace, pods }
    }

    /// Names of the nodes that have one, ready or not. An error where none has.
    pub(super) fn nodes(&self) -> Result<Vec<String>, AgentsError> {
        if self.pods.is_empty() {
            return Err(AgentsError::None {
                namespace: self.namespace.clone(),
            });
        }
        Ok(self.pods.keys().cloned().collect())
    }

    /// Name of the pod that is the ready agent of a node.
    pub(super) fn of(&self, node: &str) -> Result<&str, AgentsError> {
        let (node, namespace) = (node.to_owned(), self.namespace.clone());
        let Some(pod) = self.pods.get(&node) else {
            return Err(AgentsError::Missing { node, namespace });
        };
        match &pod.unready {
            None => Ok(&pod.name),
            Some(why) => Err(AgentsError::Unready {
                node,
                namespace,
                pod: pod.name.clone(),
                why: why.clone(),
            }),
        }
    }
}

/// What keeps a pod from being asked.
fn unready(pod: &Pod) -> Option<String> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Some("is being deleted".to_owned());
    }
    let status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    if conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    {
        return None;
    }
    let containers = status.container_statuses.unwrap_or_default();
    let waits = containers
        .iter()
        .find_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let phase = status.phase.unwrap_or_else(|| "Pending".to_owned());
    Some(match waits {
        Some(reason) => format!("is {phase} ({reason})"),
        None => format!("is {phase}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, node: &str, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"nodeName": node, "containers": []},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_ready_pod_wins_over_one_that_leaves() {
        let mut leaving = pod("old", "n1", "True");
        leaving.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        for order in [[0, 1], [1, 0]] {
            let both = [leaving.clone(), pod("new", "n1", "True")];
            let listed = order.map(|place| both[place].clone()).to_vec();
            let agents = Agents::new("chaos-system".to_owned(), listed);
            assert_eq!(agents.of("n1").unwrap(), "new");
        }
        let agents = Agents::new("chaos-system".to_owned(), vec![leaving]);
        let error = agents.of("n1").unwrap_err().to_string();
        assert_eq!(
            error,
            "the agent of n1 is not ready: pod chaos-system/old is being deleted"
        );
    }

    #[test]
    fn what_is_missing_is_named_with_its_node() {
        let agents = Agents::new("c".to_owned(), vec![pod("a", "n1", "False")]);
        assert_eq!(
            agents.of("n1").unwrap_err().to_string(),
            "the agent of n1 is not ready: pod c/a is Running"
        );
        let missing = agents.of("n2").unwrap_err();
        assert!(missing.to_string().starts_with("n2 has no agent: "));
        assert!(missing.hint().contains("kubectl -n c get daemonset"));
        let none = Agents::new("c".to_owned(), Vec::new()).nodes().unwrap_err();
        assert!(none.to_string().starts_with("there are no agents"));
    }
}
