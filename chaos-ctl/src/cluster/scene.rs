//! What the user asked for in a cluster; it is resolved anew whenever the cluster has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{NodeSelector, Origin, Pod, PodsSelector, PrepareRequest, Rule, Selector};

use k8s_openapi::api::core::v1 as k8s;

use super::choice::choose;
use super::near::near;
use super::peers::Known;
use super::pods::{Candidate, Candidates, containers, of_group};
use super::ports::{
    ContainerPorts, PodPorts, ServicePorts, Translated, apply, settle, without_service,
};
use super::{Cluster, Held, Mode, Names, Part, Plan, ResolveError, Resolved};

/// As many pods as one request may have.
const PODS_AT_MOST: usize = 1024;

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
    /// The pods of a `StatefulSet`.
    StatefulSet(String),
    /// The pods of a `DaemonSet`.
    DaemonSet(String),
    /// Nodes by their names.
    Nodes(Vec<String>),
    /// Nodes by a label selector.
    NodeLabels(String),
}

impl Point {
    /// For a person.
    pub fn in_words(&self, namespace: &str) -> String {
        match self {
            Self::Service(name) => format!("service {name} (namespace {namespace})"),
            Self::Pods(names) => format!("pod {} (namespace {namespace})", names.join(", ")),
            Self::Labels(labels) => format!("{labels} (namespace {namespace})"),
            Self::Deployment(name) => format!("Deployment {name} (namespace {namespace})"),
            Self::StatefulSet(name) => format!("StatefulSet {name} (namespace {namespace})"),
            Self::DaemonSet(name) => format!("DaemonSet {name} (namespace {namespace})"),
            Self::Nodes(names) => format!("node {}", names.join(", ")),
            Self::NodeLabels(labels) => format!("nodes with {labels}"),
        }
    }
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
    /// Name of the interface; empty for the default route's.
    pub interface: String,
    /// Whether it is resolved anew while it runs.
    pub follow: bool,
}

/// A rule, and the names in it, which only a cluster (or DNS) can resolve.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// With the ports and peers that are numbers and addresses.
    pub rule: Rule,
    /// Those that are names.
    pub names: Names,
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
    /// Decides which of several are chosen.
    seed: u64,
}

/// What rules are in the pods of one node.
type Groups<'a> = BTreeMap<(String, Translated), Vec<&'a Candidate>>;

impl Scene {
    /// Nothing is asked yet. Without a seed in the request, one is drawn for the choice of pods.
    pub fn new(
        cluster: Cluster,
        selection: Selection,
        drafts: Vec<Draft>,
        mut request: PrepareRequest,
    ) -> Self {
        // One seed for both, so that what was drawn can be asked for again.
        let drawn = || RandomState::new().build_hasher().finish();
        let seed = *request.seed.get_or_insert_with(drawn);
        Self {
            cluster,
            selection,
            drafts,
            request,
            seed,
        }
    }

    /// Asks the cluster. `held` is what the experiment has hit so far; nothing for a new one.
    pub async fn plan(&self, held: &Held) -> Result<Plan, ResolveError> {
        let peers = self.cluster.peers(&self.drafts, held.is_empty());
        match &self.selection.point {
            Point::Nodes(_) | Point::NodeLabels(_) => {
                without_service(&self.drafts)?;
                let (nodes, peers) = tokio::try_join!(self.nodes(), peers)?;
                Ok(self.on_nodes(&nodes, &peers, held))
            }
            Point::Service(name) => self.on_service(name, peers, held).await,
            Point::Pods(_)
            | Point::Labels(_)
            | Point::Deployment(_)
            | Point::StatefulSet(_)
            | Point::DaemonSet(_) => {
                let asked = ContainerPorts::new(&self.drafts, self.what())?;
                let (mut found, peers) = tokio::try_join!(self.candidates(held), peers)?;
                let pods = asked.in_pods(&found.pods, &mut found.notes)?;
                self.on_pods(&pods, &found, &peers, held)
            }
        }
    }

    /// What was pointed at, for a person.
    pub fn what(&self) -> String {
        self.selection.point.in_words(&self.cluster.namespace)
    }

    /// Kind and name, as agents are told them; pods that were named one by one come from nothing.
    fn origin(&self) -> Option<(&'static str, &str)> {
        match &self.selection.point {
            Point::Service(name) => Some(("Service", name)),
            Point::Labels(labels) => Some(("Pod", labels)),
            Point::Deployment(name) => Some(("Deployment", name)),
            Point::StatefulSet(name) => Some(("StatefulSet", name)),
            Point::DaemonSet(name) => Some(("DaemonSet", name)),
            Point::Pods(_) | Point::Nodes(_) | Point::NodeLabels(_) => None,
        }
    }

    async fn candidates(&self, held: &Held) -> Result<Candidates, ResolveError> {
        let cluster = &self.cluster;
        let pods = match &self.selection.point {
            Point::Pods(names) => {
                let (mut found, pods) = cluster.by_names(names, held).await?;
                self.with_container(&mut found, &pods)?;
                return Ok(found);
            }
            Point::Labels(labels) => {
                let pods = cluster.by_labels(&cluster.namespace, labels).await?;
                if pods.is_empty() && held.is_empty() {
                    let here = cluster.pods(&cluster.namespace);
                    return Err(cluster.no_labels("pod", &here, labels).await);
                }
                pods
            }
            Point::Deployment(name) => cluster.of_deployment(name).await?,
            Point::StatefulSet(name) => cluster.of_statefulset(name).await?,
            Point::DaemonSet(name) => cluster.of_daemonset(name).await?,
            Point::Service(_) | Point::Nodes(_) | Point::NodeLabels(_) => Vec::new(),
        };
        let mut found = of_group(&pods, held);
        self.with_container(&mut found, &pods)?;
        Ok(found)
    }

    /// Leaves out pods that lack the container.
    fn with_container(
        &self,
        found: &mut Candidates,
        pods: &[k8s::Pod],
    ) -> Result<(), ResolveError> {
        let Some(container) = &self.selection.container else {
            return Ok(());
        };
        let chosen: BTreeSet<_> = found.pods.iter().map(|pod| pod.uid.clone()).collect();
        let (mut with, mut all) = (BTreeSet::new(), BTreeSet::new());
        for pod in pods {
            let uid = pod.metadata.uid.clone().unwrap_or_default();
            let names = containers(pod);
            if chosen.contains(&uid) && names.contains(container) {
                with.insert(uid);
            } else if chosen.contains(&uid) {
                all.extend(names);
            }
        }
        if with.is_empty() && !chosen.is_empty() {
            return Err(ResolveError::NoContainer {
                what: self.what(),
                container: container.clone(),
                near: near(container, all.iter().map(String::as_str)),
                all: all.into_iter().collect(),
            });
        }
        let without = chosen.len() - with.len();
        if without > 0 {
            found.notes.push(format!(
                "{without} of {} pods have no container {container}, and are left out",
                chosen.len()
            ));
        }
        found.pods.retain(|pod| with.contains(&pod.uid));
        Ok(())
    }

    async fn on_service(
        &self,
        name: &str,
        peers: impl Future<Output = Result<Known, ResolveError>>,
        held: &Held,
    ) -> Result<Plan, ResolveError> {
        let cluster = &self.cluster;
        let (endpoints, peers) =
            tokio::try_join!(cluster.endpoints(name, &cluster.namespace), peers)?;
        let spec = endpoints.service.spec.as_ref();
        if let Some(spec) = spec
            && spec.type_.as_deref() == Some("ExternalName")
        {
            return Err(ResolveError::ExternalName {
                name: name.to_owned(),
                namespace: cluster.namespace.clone(),
                to: spec.external_name.clone().unwrap_or_default(),
            });
        }
        // What is wrong with the ports is said also where there are no pods.
        let asked = ServicePorts::new(&endpoints.service, &self.drafts)?;
        let mut found = cluster.of_service(&endpoints, held).await?;
        let labels = endpoints.labels();
        found.none = match &labels {
            Some(labels) => format!("no pod that runs has its labels {labels}"),
            None => "it has no selector, and nobody has given it endpoints".to_owned(),
        };
        if self.selection.container.is_some() {
            let labels = labels.unwrap_or_default();
            let pods = cluster.by_labels(&cluster.namespace, &labels).await?;
            self.with_container(&mut found, &pods)?;
        }
        let candidates = found.pods.clone();
        let pods = asked.in_pods(std::mem::take(&mut found.pods), &mut found.notes)?;
        let mut plan = self.on_pods(&pods, &found, &peers, held)?;
        let chosen: BTreeSet<_> = plan.pods().map(|pod| pod.uid.as_str()).collect();
        let chosen = candidates
            .iter()
            .filter(|pod| chosen.contains(pod.uid.as_str()));
        plan.resolved.ports = asked.translations(chosen);
        Ok(plan)
    }

    /// Chooses, and groups by node and by what the rules are there.
    fn on_pods(
        &self,
        pods: &[(Candidate, Translated)],
        found: &Candidates,
        peers: &Known,
        held: &Held,
    ) -> Result<Plan, ResolveError> {
        let origin = self.origin();
        if pods.is_empty() {
            return Err(found.nothing(&self.what(), origin.is_some()));
        }
        let ids = pods.iter().map(|(pod, _)| pod.uid.as_str());
        let chosen = choose(ids, self.selection.mode, self.seed, held);
        let origin = origin.map(|(kind, name)| Origin {
            kind: kind.to_owned(),
            namespace: self.cluster.namespace.clone(),
            name: name.to_owned(),
            ready: small(pods.len()),
            chosen: small(chosen.len()),
        });
        let mut groups = Groups::new();
        for (pod, ports) in pods
            .iter()
            .filter(|(pod, _)| chosen.contains(pod.uid.as_str()))
        {
            let group = groups.entry((pod.node.clone(), ports.clone())).or_default();
            group.push(pod);
        }
        let mut parts = Vec::new();
        for ((node, ports), mut pods) in groups {
            pods.sort_by(|one, other| one.name.cmp(&other.name));
            for pods in pods.chunks(PODS_AT_MOST) {
                let pods = PodsSelector {
                    pods: pods.iter().copied().map(wire).collect(),
                    origin: origin.clone(),
                    container: self.selection.container.clone().unwrap_or_default(),
                };
                parts.push(self.part(&node, Where::Pods(pods), &ports, peers));
            }
        }
        let mut notes = found.notes.clone();
        notes.extend(peers.notes.clone());
        Ok(Plan {
            parts,
            resolved: Resolved {
                what: self.what(),
                origin,
                ports: Vec::new(),
                peers: peers.list(),
                notes,
            },
        })
    }

    async fn nodes(&self) -> Result<BTreeSet<String>, ResolveError> {
        match &self.selection.point {
            Point::NodeLabels(labels) => self.cluster.nodes_by_labels(labels).await,
            Point::Nodes(names) => self.cluster.nodes_by_names(names).await,
            Point::Service(_)
            | Point::Pods(_)
            | Point::Labels(_)
            | Point::Deployment(_)
            | Point::StatefulSet(_)
            | Point::DaemonSet(_) => Ok(BTreeSet::new()),
        }
    }

    fn on_nodes(&self, nodes: &BTreeSet<String>, peers: &Known, held: &Held) -> Plan {
        let names = nodes.iter().map(String::as_str);
        let chosen = choose(names, self.selection.mode, self.seed, held);
        let none = vec![None; self.drafts.len()];
        let part = |node: &&str| self.part(node, Where::Node(NodeSelector {}), &none, peers);
        Plan {
            parts: chosen.iter().map(part).collect(),
            resolved: Resolved {
                what: self.what(),
                peers: peers.list(),
                notes: peers.notes.clone(),
                ..Resolved::default()
            },
        }
    }

    fn part(&self, node: &str, r#where: Where, ports: &Translated, peers: &Known) -> Part {
        let drafts = self.drafts.iter().zip(ports);
        let rules = drafts.map(|(draft, ports)| ruled(peers.apply(draft), ports.as_ref()));
        Part {
            node: node.to_owned(),
            request: PrepareRequest {
                selector: Some(Selector {
                    r#where: Some(r#where),
                    interface: self.selection.interface.clone(),
                }),
                rules: rules.collect(),
                ..self.request.clone()
            },
        }
    }
}

/// A rule with ports of the pods in place of the service's.
pub(super) fn ruled(mut rule: Rule, ports: Option<&PodPorts>) -> Rule {
    if let (Some(filter), Some(ports)) = (&mut rule.filter, ports) {
        apply(filter, ports);
    }
    settle(&mut rule);
    rule
}

fn wire(pod: &Candidate) -> Pod {
    Pod {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
