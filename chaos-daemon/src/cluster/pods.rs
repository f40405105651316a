//! Pods of this node, as the API server has them now: somebody resolved them a while ago.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use k8s_openapi::{
    api::core::v1::{self as core, Container, ContainerStatus, PodSpec, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::api::{Api, ListParams};

use super::{Cluster, ClusterError, ask, ask_all};
use crate::{
    engine::{Pod, PodNetwork, Pods, StaticPod},
    near,
};

/// From so many pods on, one list of all pods of the node takes less than a question for each.
const MANY: usize = 4;
/// Annotations of a pod that the kubelet made of a file: by what the node knows it, and the same in its mirror.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";
const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";

/// What the agent needs to know of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// Which, and what its cgroups are called.
    pub pod: Pod,
    /// Ports that the kubelet's probes go to, over the network.
    pub probe_ports: BTreeSet<u16>,
}

/// Why a pod is no target: one sentence each.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// It could not be asked for.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// It is not there.
    #[error("pod {namespace}/{name} is not there any more: choose again")]
    Gone {
        /// As asked for.
        namespace: String,
        /// As asked for.
        name: String,
    },
    /// Another has its name.
    #[error(
        "pod {namespace}/{name} is not the one that was chosen: its UID is {there}, not {asked}; choose again"
    )]
    Replaced {
        /// As asked for.
        namespace: String,
        /// As asked for.
        name: String,
        /// Of the pod that is there.
        there: String,
        /// As asked for.
        asked: String,
    },
    /// It is another agent's.
    #[error("pod {namespace}/{name} is on {there}, and this agent is responsible for node {node}")]
    Elsewhere {
        /// As asked for.
        namespace: String,
        /// As asked for.
        name: String,
        /// Where it is.
        there: String,
        /// This one.
        node: String,
    },
    /// It is about to go.
    #[error("pod {namespace}/{name} {how}: there is nothing to hit")]
    Over {
        /// As asked for.
        namespace: String,
        /// As asked for.
        name: String,
        /// What it does, as a verb.
        how: &'static str,
    },
    /// It has no such container.
    #[error("pod {namespace}/{name} has no container {container}{hint}")]
    NoContainer {
        /// As asked for.
        namespace: String,
        /// As asked for.
        name: String,
        /// As asked for.
        container: String,
        /// Near misses, as the rest of the sentence.
        hint: String,
    },
    /// The container does not run.
    #[error("container {container} of pod {namespace}/{name} does not run now")]
    NotRunning {
        /// As asked for.
        namespace: String,
        /// As asked for.
        name: String,
        /// As asked for.
        container: String,
    },
}

impl Cluster {
    /// These pods, in this order, if each is still the one that was chosen, is on this node, and is not about to go.
    pub async fn pods(&self, wanted: &Pods) -> Result<Vec<PodFacts>, PodError> {
        let mut there = BTreeMap::new();
        if wanted.pods.len() >= MANY {
            let pods: Api<core::Pod> = Api::all(self.client.clone());
            let of_node = format!("spec.nodeName={}", self.node);
            // As the API server remembers it, which costs it little although all agents ask at once.
            let parameters = ListParams::default().fields(&of_node).match_any();
            let listed = ask_all("for the pods of this node", pods.list(&parameters)).await?;
            for pod in listed.items {
                let metadata = &pod.metadata;
                let key = (metadata.namespace.clone(), metadata.name.clone());
                there.insert(key, pod);
            }
        }
        let mut found = Vec::with_capacity(wanted.pods.len());
        for pod in &wanted.pods {
            let key = (Some(pod.namespace.clone()), Some(pod.name.clone()));
            let as_chosen = |seen: &&core::Pod| seen.metadata.uid.as_ref() == Some(&pod.uid);
            let seen = match there.get(&key).filter(as_chosen) {
                Some(seen) => Some(seen.clone()),
                // Elsewhere, or remembered otherwise: it is asked for, so that the sentence says how it is now.
                None => self.pod(pod).await?,
            };
            found.push(judge(&self.node, pod, wanted.container.as_deref(), seen)?);
        }
        Ok(found)
    }

    async fn pod(&self, wanted: &Pod) -> Result<Option<core::Pod>, ClusterError> {
        let pods: Api<core::Pod> = Api::namespaced(self.client.clone(), &wanted.namespace);
        ask("for a pod", pods.get(&wanted.name)).await
    }
}

/// What is known of a pod, if it is the one that is wanted.
pub(super) fn judge(
    this_node: &str,
    wanted: &Pod,
    container: Option<&str>,
    seen: Option<core::Pod>,
) -> Result<PodFacts, PodError> {
    let (namespace, name) = (wanted.namespace.clone(), wanted.name.clone());
    let Some(pod) = seen else {
        return Err(PodError::Gone { namespace, name });
    };
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    if uid != wanted.uid {
        return Err(PodError::Replaced {
            namespace,
            name,
            there: uid,
            asked: wanted.uid.clone(),
        });
    }
    let spec = pod.spec.as_ref();
    let node = spec.and_then(|spec| spec.node_name.clone());
    if node.as_deref() != Some(this_node) {
        let there = node.map_or("no node yet".to_owned(), |node| format!("node {node}"));
        return Err(PodError::Elsewhere {
            namespace,
            name,
            there,
            node: this_node.to_owned(),
        });
    }
    let status = pod.status.as_ref();
    let how = match status.and_then(|status| status.phase.as_deref()) {
        _ if pod.metadata.deletion_timestamp.is_some() => Some("is terminating"),
        Some("Succeeded" | "Failed") => Some("has ended"),
        _ => None,
    };
    if let Some(how) = how {
        return Err(PodError::Over {
            namespace,
            name,
            how,
        });
    }
    Ok(PodFacts {
        pod: Pod {
            of_file: of_file(&pod, this_node),
            container_ids: match container {
                Some(container) => vec![container_id(&pod, wanted, container)?],
                None => Vec::new(),
            },
            network: Some(network(&pod)),
            ..wanted.clone()
        },
        probe_ports: spec.map(probe_ports).unwrap_or_default(),
    })
}

/// Where its packets are, by its specification; which addresses it has there, by its status.
fn network(pod: &core::Pod) -> PodNetwork {
    let spec = pod.spec.as_ref();
    if spec.and_then(|spec| spec.host_network) == Some(true) {
        return PodNetwork::Node;
    }
    let Some(status) = &pod.status else {
        return PodNetwork::Own(Vec::new());
    };
    let listed = status.pod_ips.iter().flatten().map(|listed| &listed.ip);
    let all: BTreeSet<IpAddr> = listed
        .chain(&status.pod_ip)
        .filter_map(|address| address.parse().ok())
        .collect();
    PodNetwork::Own(all.into_iter().collect())
}

/// Whether it is the mirror of a pod that the kubelet made of a file, as far as the API server can tell. A UID has dashes,
/// such a hash none: it cannot be another pod's.
fn of_file(pod: &core::Pod, this_node: &str) -> Option<StaticPod> {
    let annotations = pod.metadata.annotations.as_ref()?;
    let hash = annotations.get(CONFIG_HASH)?;
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let is_the_nodes = owners.any(|owner| owner.kind == "Node" && owner.name == this_node);
    let is_hash = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_mirror = annotations.get(CONFIG_MIRROR) == Some(hash);
    (is_the_nodes && is_hash && is_mirror).then(|| StaticPod {
        hash: hash.clone(),
        container_ids: statuses(pod)
            .filter_map(|status| status.container_id.clone())
            .collect(),
    })
}

fn statuses(pod: &core::Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status
        .iter()
        .flat_map(|status| {
            [
                &status.container_statuses,
                &status.init_container_statuses,
                &status.ephemeral_container_statuses,
            ]
        })
        .flatten()
        .flatten()
}

/// Id of the pod's container of this name.
fn container_id(pod: &core::Pod, wanted: &Pod, name: &str) -> Result<String, PodError> {
    let statuses: Vec<&ContainerStatus> = statuses(pod).collect();
    let (namespace, pod_name) = (wanted.namespace.clone(), wanted.name.clone());
    let Some(status) = statuses.iter().find(|status| status.name == name) else {
        let there = statuses.iter().map(|status| status.name.as_str());
        return Err(PodError::NoContainer {
            namespace,
            name: pod_name,
            container: name.to_owned(),
            hint: near::hint(name, there),
        });
    };
    let state = status.state.as_ref();
    let runs = state.is_some_and(|state| state.running.is_some());
    let id = status.container_id.clone().filter(|_| runs);
    id.ok_or(PodError::NotRunning {
        namespace,
        name: pod_name,
        container: name.to_owned(),
    })
}

/// Of all containers, side cars included. Probes that run a program in the container need no network.
fn probe_ports(spec: &PodSpec) -> BTreeSet<u16> {
    let containers = spec.containers.iter();
    let containers = containers.chain(spec.init_containers.iter().flatten());
    let mut ports = BTreeSet::new();
    for container in containers {
        let probes = [
            &container.liveness_probe,
            &container.readiness_probe,
            &container.startup_probe,
        ];
        for probe in probes.into_iter().flatten() {
            ports.extend(port_of(probe, container));
        }
    }
    ports
}

/// A probe that names a host goes elsewhere.
fn port_of(probe: &Probe, container: &Container) -> Option<u16> {
    let elsewhere = |host: &Option<String>| host.as_ref().is_some_and(|host| !host.is_empty());
    let port = match probe {
        Probe {
            http_get: Some(http),
            ..
        } if !elsewhere(&http.host) => http.port.clone(),
        Probe {
            tcp_socket: Some(tcp),
            ..
        } if !elsewhere(&tcp.host) => tcp.port.clone(),
        Probe {
            grpc: Some(grpc), ..
        } => IntOrString::Int(grpc.port),
        _ => return None,
    };
    let number = match port {
        IntOrString::Int(number) => number,
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten();
            let found = named
                .filter(|port| port.name.as_ref() == Some(&name))
                .map(|port| port.container_port)
                .next();
            found.or_else(|| name.parse().ok())?
        }
    };
    u16::try_from(number).ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    const HASH: &str = "0d3f9c1e6a1b4c1e9d2f0a1b2c3d4e5f";

    fn mirror(hash: &str, mirror: &str, owner: &str) -> core::Pod {
        let annotations = [(CONFIG_HASH, hash), (CONFIG_MIRROR, mirror)];
        let mut pod = core::Pod::default();
        pod.metadata.annotations = Some(
            annotations
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        );
        pod.metadata.owner_references = Some(vec![OwnerReference {
            kind: "Node".into(),
            name: owner.into(),
            ..OwnerReference::default()
        }]);
        pod
    }

    #[test]
    fn its_network_is_what_the_specification_says() {
        let mut pod = core::Pod::default();
        assert_eq!(network(&pod), PodNetwork::Own(Vec::new()));
        let status = serde_json::json!({"podIP": "10.1.0.5", "podIPs": [{"ip": "10.1.0.5"}, {"ip": "fd00::5"}]});
        pod.status = Some(serde_json::from_value(status).unwrap());
        let own = ["10.1.0.5", "fd00::5"].map(|address| address.parse().unwrap());
        assert_eq!(network(&pod), PodNetwork::Own(own.into()));
        pod.spec = Some(PodSpec {
            host_network: Some(true),
            ..PodSpec::default()
        });
        assert_eq!(network(&pod), PodNetwork::Node);
    }

    #[test]
    fn an_annotation_alone_makes_no_static_pod() {
        let is = |pod: &core::Pod| of_file(pod, "node-a").is_some();
        assert!(is(&mirror(HASH, HASH, "node-a")));
        let uid = "0d3f9c1e-6a1b-4c1e-9d2f-0a1b2c3d4e5f";
        assert!(!is(&mirror(uid, uid, "node-a")), "another pod's UID");
        assert!(!is(&mirror(HASH, "", "node-a")));
        assert!(!is(&mirror(HASH, HASH, "node-b")));
        let mut ownerless = mirror(HASH, HASH, "node-a");
        ownerless.metadata.owner_references = None;
        assert!(!is(&ownerless));
    }
}
