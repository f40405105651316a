//! Pods by their names, labels and owners, and which of them can be hit.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use tokio::task::JoinSet;

use super::ask::ApiError;
use super::{Cluster, Held, ResolveError};

/// One that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) node: String,
    /// Numbers of ports in this pod by name and by protocol: of a service's endpoint, by the names that the service has
    /// for them, and no number is whatever the service says; else by the names that its containers have for them.
    pub(super) ports: BTreeMap<(String, String), BTreeSet<Option<u16>>>,
}

/// Those that may be chosen, and why the others may not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Candidates {
    pub(super) pods: Vec<Candidate>,
    /// How many there are of each reason not to be chosen.
    pub(super) others: BTreeMap<&'static str, usize>,
    /// Why there is nothing where not even the others are; empty where that says all.
    pub(super) none: String,
    /// What a person should know besides.
    pub(super) notes: Vec<String>,
}

impl Candidates {
    pub(super) fn refuse(&mut self, why: &'static str) {
        *self.others.entry(why).or_default() += 1;
    }

    /// Why there is nothing: `2 of them are not ready, 1 is pending`.
    pub(super) fn nothing(&self, what: &str, ready: bool) -> ResolveError {
        let others: Vec<_> = self
            .others
            .iter()
            .map(|(why, count)| match count {
                1 => format!("1 {why}"),
                count => format!("{count} {}", why.replacen("is ", "are ", 1)),
            })
            .collect();
        let detail = match (others.is_empty(), self.none.as_str()) {
            (true, "") => "there are none at all".to_owned(),
            (true, none) => none.to_owned(),
            (false, _) => others.join(", "),
        };
        ResolveError::Nothing {
            what: what.to_owned(),
            ready,
            detail,
        }
    }
}

/// Why a pod cannot be hit, if it cannot.
pub(super) fn unfit(pod: &Pod) -> Option<&'static str> {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if pod.metadata.deletion_timestamp.is_some() {
        return Some("is terminating");
    }
    match phase {
        Some("Running") if node(pod).is_some() => None,
        Some("Succeeded" | "Failed") => Some("has ended"),
        _ => Some("is pending"),
    }
}

/// Its addresses may be another's by now.
pub(super) fn has_ended(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

pub(super) fn node(pod: &Pod) -> Option<&str> {
    let node = pod.spec.as_ref()?.node_name.as_deref();
    node.filter(|node| !node.is_empty())
}

pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready.any(|condition| condition.status == "True")
}

/// Whether its addresses are those of its node.
pub(super) fn is_on_host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true)
}

/// All addresses of a pod.
pub(super) fn addresses(pod: &Pod) -> BTreeSet<String> {
    let Some(status) = &pod.status else {
        return BTreeSet::new();
    };
    let several = status
        .pod_ips
        .iter()
        .flatten()
        .map(|address| address.ip.clone());
    several
        .chain(status.pod_ip.clone())
        .filter(|address| !address.is_empty())
        .collect()
}

/// Names of all containers that may send and receive while the pod runs.
pub(super) fn containers(pod: &Pod) -> BTreeSet<String> {
    let Some(spec) = &pod.spec else {
        return BTreeSet::new();
    };
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars =
        sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    spec.containers
        .iter()
        .chain(sidecars)
        .map(|container| container.name.clone())
        .chain(ephemeral.map(|container| container.name.clone()))
        .collect()
}

pub(super) fn candidate(pod: &Pod) -> Option<Candidate> {
    Some(Candidate {
        namespace: pod.namespace()?,
        name: pod.name_any(),
        uid: pod.uid()?,
        node: node(pod)?.to_owned(),
        ports: named_ports(pod),
    })
}

/// Ports that containers have names for; sidecars, too.
fn named_ports(pod: &Pod) -> BTreeMap<(String, String), BTreeSet<Option<u16>>> {
    let mut named: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let Some(spec) = &pod.spec else {
        return named;
    };
    let sidecars = spec.init_containers.iter().flatten();
    for container in spec.containers.iter().chain(sidecars) {
        for port in container.ports.iter().flatten() {
            let Some(name) = port.name.clone() else {
                continue;
            };
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            if let Ok(number) = u16::try_from(port.container_port) {
                named
                    .entry((name, protocol))
                    .or_default()
                    .insert(Some(number));
            }
        }
    }
    named
}

/// Of a group: those that run and are ready, or were chosen when they were.
pub(super) fn of_group<'a>(pods: impl IntoIterator<Item = &'a Pod>, held: &Held) -> Candidates {
    let mut found = Candidates::default();
    for pod in pods {
        let is_held = pod
            .metadata
            .uid
            .as_ref()
            .is_some_and(|uid| held.contains(uid));
        match (unfit(pod), candidate(pod)) {
            (Some(why), _) => found.refuse(why),
            (None, Some(candidate)) if is_held || is_ready(pod) => found.pods.push(candidate),
            (None, _) => found.refuse("is not ready"),
        }
    }
    found
}

/// Whether one of these is the controller of the pod.
pub(super) fn is_owned(references: &[OwnerReference], owners: &BTreeSet<String>) -> bool {
    let mut controllers = references
        .iter()
        .filter(|owner| owner.controller == Some(true));
    controllers.any(|owner| owners.contains(&owner.uid))
}

impl Cluster {
    pub(super) fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Pods by a label selector as it was written.
    pub(super) async fn by_labels(
        &self,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<Pod>, ResolveError> {
        let fits = ListParams::default().labels(selector);
        let found = self.list(&self.pods(namespace), fits).await;
        found.map_err(|error| labels(selector, error))
    }

    /// Pods by their names, all of which must be there and run, unless they are those that an experiment had hit.
    pub(super) async fn by_names(
        &self,
        names: &[String],
        held: &Held,
    ) -> Result<(Candidates, Vec<Pod>), ResolveError> {
        let mut asked = JoinSet::new();
        for name in names.iter().collect::<BTreeSet<_>>() {
            let (cluster, name) = (self.clone(), name.clone());
            asked.spawn(async move {
                let pods = cluster.pods(&cluster.namespace);
                (cluster.get(&pods, &name).await, name)
            });
        }
        let mut found = Vec::new();
        while let Some(answer) = asked.join_next().await {
            // A task neither panics nor is it cancelled: there is always an answer.
            let Ok((answer, name)) = answer else { continue };
            found.push((name, answer?));
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let (mut candidates, mut pods) = (Candidates::default(), Vec::new());
        for (name, pod) in found {
            let is_new = held.is_empty();
            let Some(pod) = pod else {
                if is_new {
                    let api = self.pods(&self.namespace);
                    return Err(self.not_found("pod", &api, &name).await);
                }
                candidates.refuse("is gone");
                continue;
            };
            match (unfit(&pod), candidate(&pod)) {
                (None, Some(candidate)) => candidates.pods.push(candidate),
                (Some(why), _) if is_new => {
                    return Err(ResolveError::NotRunning {
                        name,
                        namespace: self.namespace.clone(),
                        why,
                    });
                }
                (why, _) => candidates.refuse(why.unwrap_or("is pending")),
            }
            pods.push(pod);
        }
        Ok((candidates, pods))
    }
}

/// The API server's 400 is about the selector.
pub(super) fn labels(selector: &str, error: ApiError) -> ResolveError {
    if let ApiError::Answer {
        code: 400, message, ..
    } = error
    {
        let selector = selector.to_owned();
        return ResolveError::Labels { selector, message };
    }
    error.into()
}
