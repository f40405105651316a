//! What is watched for a scene, and which changes of it matter.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::super::answer::said;
use super::super::{Point, Scene};
use crate::quantity::PeerName;

/// Between attempts to watch again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signal {
    /// Look again.
    Changed,
    /// Changes cannot be seen for now, and why.
    Trouble(String),
}

/// Signals of all that a scene depends on.
pub(super) type Signals = Pin<Box<dyn Stream<Item = Signal> + Send>>;

/// What to watch: kind, namespace (nothing: in none), and label selector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Watched {
    Slices { namespace: String, labels: String },
    Pods { namespace: String, labels: String },
    Nodes { labels: String },
}

/// Watches all that a scene depends on. Host names are what they were at the beginning.
pub(super) fn all(scene: &Scene) -> Signals {
    let client = &scene.cluster.client;
    let signals = watched(scene).into_iter().map(|watched| match watched {
        Watched::Slices { namespace, labels } => changes(
            Api::<EndpointSlice>::namespaced(client.clone(), &namespace),
            &labels,
            of_slice,
        ),
        Watched::Pods { namespace, labels } => changes(
            Api::<Pod>::namespaced(client.clone(), &namespace),
            &labels,
            of_pod,
        ),
        Watched::Nodes { labels } => changes(Api::<Node>::all(client.clone()), &labels, of_node),
    });
    Box::pin(stream::select_all(signals))
}

fn watched(scene: &Scene) -> BTreeSet<Watched> {
    let here = || scene.cluster.namespace.clone();
    let slices = |namespace, name: &str| Watched::Slices {
        namespace,
        labels: format!("kubernetes.io/service-name={name}"),
    };
    let pods = |namespace, labels: &str| Watched::Pods {
        namespace,
        labels: labels.to_owned(),
    };
    let mut watched = BTreeSet::new();
    watched.insert(match &scene.selection.point {
        Point::Service(name) => slices(here(), name),
        Point::Labels(labels) => pods(here(), labels),
        Point::Pods(_) | Point::Deployment(_) | Point::StatefulSet(_) | Point::DaemonSet(_) => {
            pods(here(), "")
        }
        Point::Nodes(_) => Watched::Nodes {
            labels: String::new(),
        },
        Point::NodeLabels(labels) => Watched::Nodes {
            labels: labels.clone(),
        },
    });
    let names = scene.drafts.iter().map(|draft| &draft.names);
    for peer in names.flat_map(|names| names.peers.iter().chain(&names.except)) {
        let of_peer = match peer {
            PeerName::Service { name, namespace } => {
                slices(namespace.clone().unwrap_or_else(here), name)
            }
            PeerName::Pod(name) => {
                // A name may have dots; what is after the last one may be a namespace.
                if let Some((_, namespace)) = name.rsplit_once('.') {
                    watched.insert(pods(namespace.to_owned(), ""));
                }
                pods(here(), "")
            }
            PeerName::Namespace(name) => pods(name.clone(), ""),
            PeerName::Label {
                selector,
                namespace,
            } => pods(namespace.clone().unwrap_or_else(here), selector),
            PeerName::Node(_) => Watched::Nodes {
                labels: String::new(),
            },
            PeerName::Host(_) => continue,
        };
        watched.insert(of_peer);
    }
    watched
}

/// Changes of what matters in the objects of one kind. A watch that ends, that is too old or that breaks is begun
/// again, and what was missed meanwhile is seen then.
fn changes<K>(api: Api<K>, labels: &str, digest: fn(&K) -> u64) -> Signals
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut config = watcher::Config::default();
    if !labels.is_empty() {
        config = config.labels(labels);
    }
    let mut seen = Seen::default();
    let signals = watcher(api, config)
        .then(|event| async move {
            if event.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
            event
        })
        .filter_map(move |event| {
            let signal = match event {
                Ok(event) => seen.has_changed(event, digest).then_some(Signal::Changed),
                Err(error) => trouble(&error).map(Signal::Trouble),
            };
            std::future::ready(signal)
        });
    Box::pin(signals)
}

/// Digests of objects, by UID.
#[derive(Debug, Default)]
struct Seen {
    now: BTreeMap<String, u64>,
    /// While all are listed anew.
    listed: BTreeMap<String, u64>,
    /// Whether all have been listed before.
    is_known: bool,
}

impl Seen {
    fn has_changed<K: Resource>(&mut self, event: Event<K>, digest: fn(&K) -> u64) -> bool {
        let key = |object: &K| object.uid().unwrap_or_else(|| object.name_any());
        match event {
            Event::Init => {
                self.listed.clear();
                false
            }
            Event::InitApply(object) => {
                self.listed.insert(key(&object), digest(&object));
                false
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                // Between the plan and the first list something may have changed.
                let has_changed = !self.is_known || listed != self.now;
                self.is_known = true;
                self.now = listed;
                has_changed
            }
            Event::Apply(object) => {
                let digest = digest(&object);
                self.now.insert(key(&object), digest) != Some(digest)
            }
            Event::Delete(object) => self.now.remove(&key(&object)).is_some(),
        }
    }
}

/// What to say about a watch that does not work; nothing where it is only begun again, as it is now and then.
fn trouble(error: &watcher::Error) -> Option<String> {
    match error {
        watcher::Error::WatchError(_) | watcher::Error::WatchFailed(_) => None,
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            Some(said(error))
        }
        watcher::Error::NoResourceVersion => {
            Some("the API server does not say which version its answer is".to_owned())
        }
    }
}

fn of_slice(slice: &EndpointSlice) -> u64 {
    let mut hasher = DefaultHasher::new();
    for endpoint in &slice.endpoints {
        endpoint.addresses.hash(&mut hasher);
        endpoint.node_name.hash(&mut hasher);
        let target = endpoint.target_ref.as_ref();
        target
            .and_then(|target| target.uid.as_ref())
            .hash(&mut hasher);
        if let Some(conditions) = &endpoint.conditions {
            (conditions.ready, conditions.terminating).hash(&mut hasher);
        }
    }
    for port in slice.ports.iter().flatten() {
        (&port.name, port.port, &port.protocol).hash(&mut hasher);
    }
    hasher.finish()
}

fn of_pod(pod: &Pod) -> u64 {
    let mut hasher = DefaultHasher::new();
    pod.metadata.labels.hash(&mut hasher);
    pod.metadata.deletion_timestamp.is_some().hash(&mut hasher);
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    node.hash(&mut hasher);
    if let Some(status) = &pod.status {
        status.phase.hash(&mut hasher);
        for ip in status.pod_ips.iter().flatten() {
            ip.ip.hash(&mut hasher);
        }
        for condition in status.conditions.iter().flatten() {
            if condition.type_ == "Ready" {
                condition.status.hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

/// Nodes report how they are all the time; who they are changes rarely.
fn of_node(node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    node.metadata.labels.hash(&mut hasher);
    let addresses = node.status.iter().flat_map(|status| &status.addresses);
    for address in addresses.flatten() {
        address.address.hash(&mut hasher);
    }
    hasher.finish()
}
