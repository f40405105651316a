//! Peers that are no addresses, and the addresses that they have now.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use chaos_proto::v1::Rule;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use tokio::task::JoinSet;

use super::pods::{addresses, has_ended, is_on_host_network};
use super::service::Endpoints;
use super::{Cluster, Draft, Peers, ResolveError, nodes, ports};
use crate::quantity::PeerName;

/// A name server that takes longer is one that does not answer.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(5);

/// Addresses of each name.
#[derive(Debug, Default)]
pub(super) struct Known {
    addresses: BTreeMap<String, BTreeSet<String>>,
    /// What a person should know besides.
    pub(super) notes: Vec<String>,
}

type Found = Result<(BTreeSet<String>, Option<String>), ResolveError>;

impl Cluster {
    /// Looks up all names of the rules, all at once. What an experiment was told of may be gone since, and has no
    /// address then.
    pub(super) async fn peers(
        &self,
        drafts: &[Draft],
        is_new: bool,
    ) -> Result<Known, ResolveError> {
        let mut asked = JoinSet::new();
        for (text, name) in names(drafts) {
            let cluster = self.clone();
            asked.spawn(async move {
                let found = cluster.peer(&name).await;
                (found.map_err(ResolveError::of_peer), text)
            });
        }
        let mut known = Known::default();
        while let Some(answer) = asked.join_next().await {
            // A task neither panics nor is it cancelled: there is always an answer.
            let Ok((found, text)) = answer else { continue };
            let (addresses, note) = match found {
                Err(ResolveError::NotFound { .. }) if !is_new => Default::default(),
                found => found?,
            };
            known.notes.extend(note);
            known.addresses.insert(text, addresses);
        }
        known.notes.sort();
        known.check(drafts)?;
        Ok(known)
    }

    async fn peer(&self, name: &PeerName) -> Found {
        match name {
            PeerName::Service { name, namespace } => {
                let namespace = namespace.as_ref().unwrap_or(&self.namespace);
                let endpoints = self.endpoints(name, namespace).await?;
                let addresses = service(&endpoints).await?;
                let on_host = self.on_host_network(&endpoints, namespace).await;
                let note = (!on_host.is_empty()).then(|| {
                    let on_host = on_host.into_iter().collect::<Vec<_>>().join(", ");
                    format!("peer svc/{name} has pods on the host network, whose addresses are those of whole nodes: {on_host}")
                });
                Ok((addresses, note))
            }
            PeerName::Pod(name) => {
                let pod = self.pod_somewhere(name).await?;
                let note = is_on_host_network(&pod).then(|| {
                    format!("peer pod/{name} is on the host network: its address is that of its whole node")
                });
                // One that has ended is a peer without an address, which is refused.
                let addresses = Some(&pod).filter(|pod| !has_ended(pod)).map(addresses);
                Ok((addresses.unwrap_or_default(), note))
            }
            PeerName::Namespace(name) => {
                let pods = self.list(&self.pods(name), ListParams::default()).await?;
                if pods.is_empty() {
                    let all: Api<Namespace> = Api::all(self.client.clone());
                    if let Ok(None) = self.get(&all, name).await {
                        return Err(self.not_found("namespace", &all, name).await);
                    }
                }
                Ok(of_pods(&format!("ns/{name}"), &pods))
            }
            PeerName::Label {
                selector,
                namespace,
            } => {
                let namespace = namespace.as_ref().unwrap_or(&self.namespace);
                let pods = self.by_labels(namespace, selector).await?;
                Ok(of_pods(&format!("label/{selector}"), &pods))
            }
            PeerName::Node(name) => Ok((nodes::addresses(&self.node(name).await?), None)),
            PeerName::Host(name) => Ok((look_up(name).await?, None)),
        }
    }

    /// Addresses of a service's endpoints that are those of their nodes, as far as this user may see it.
    async fn on_host_network(&self, of: &Endpoints, namespace: &str) -> BTreeSet<String> {
        let endpoints: BTreeSet<_> = of_slices(&of.slices).collect();
        let Some(labels) = of.labels().filter(|_| !endpoints.is_empty()) else {
            return BTreeSet::new();
        };
        let pods = self.by_labels(namespace, &labels).await;
        let pods = pods.unwrap_or_default();
        let on_host = pods.iter().filter(|pod| is_on_host_network(pod));
        let addresses: BTreeSet<_> = on_host.flat_map(addresses).collect();
        addresses.intersection(&endpoints).cloned().collect()
    }

    /// A name may have dots, or one before its namespace.
    async fn pod_somewhere(&self, text: &str) -> Result<Pod, ResolveError> {
        let here = self.pods(&self.namespace);
        if let Some(pod) = self.get(&here, text).await? {
            return Ok(pod);
        }
        if let Some((name, namespace)) = text.rsplit_once('.')
            && let Some(pod) = self.get(&self.pods(namespace), name).await?
        {
            return Ok(pod);
        }
        Err(self.not_found("pod", &here, text).await)
    }
}

/// What packets to a service carry before and after its address is translated: its own addresses and its endpoints',
/// ready or not.
async fn service(endpoints: &Endpoints) -> Result<BTreeSet<String>, ResolveError> {
    let spec = endpoints.service.spec.clone().unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") {
        let name = spec.external_name.unwrap_or_default();
        return look_up(&name).await;
    }
    let own = spec
        .cluster_ips
        .into_iter()
        .flatten()
        .chain(spec.cluster_ip);
    let outside = spec.external_ips.into_iter().flatten();
    let balancers = endpoints.service.status.iter();
    let balancers = balancers
        .filter_map(|status| status.load_balancer.as_ref()?.ingress.as_ref())
        .flatten()
        .filter_map(|ingress| ingress.ip.clone());
    let all = own
        .chain(outside)
        .chain(balancers)
        .chain(of_slices(&endpoints.slices));
    // A headless service has the address "None".
    let all = all.filter(|address| address.parse::<IpAddr>().is_ok());
    Ok(all.collect())
}

fn of_slices(slices: &[EndpointSlice]) -> impl Iterator<Item = String> {
    slices
        .iter()
        .flat_map(|slice| &slice.endpoints)
        .flat_map(|endpoint| endpoint.addresses.clone())
}

/// The address of a pod on the host network is that of everything on its node; that of one that has ended, of whoever
/// has got it since.
fn of_pods(peer: &str, pods: &[Pod]) -> (BTreeSet<String>, Option<String>) {
    let pods = pods.iter().filter(|pod| !has_ended(pod));
    let (on_host, own): (Vec<_>, Vec<_>) = pods.partition(|pod| is_on_host_network(pod));
    let note = (!on_host.is_empty()).then(|| {
        let names: Vec<_> = on_host.iter().map(|pod| pod.name_any()).collect();
        format!(
            "peer {peer} leaves out what is on the host network, whose addresses are those of whole nodes: {}",
            names.join(", ")
        )
    });
    (own.into_iter().flat_map(addresses).collect(), note)
}

async fn look_up(name: &str) -> Result<BTreeSet<String>, ResolveError> {
    let failed = |why: String| ResolveError::Dns {
        peer: name.to_owned(),
        why,
    };
    let looked_up = tokio::time::timeout(LOOK_UP_WITHIN, tokio::net::lookup_host((name, 0))).await;
    let found = looked_up
        .map_err(|_| failed("the name server does not answer".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    Ok(found
        .map(|address| address.ip().to_canonical().to_string())
        .collect())
}

/// Rules for an agent without a cluster: host names are looked up, everything else is no name of its host.
pub async fn without_cluster(drafts: Vec<Draft>) -> Result<Vec<Rule>, ResolveError> {
    ports::without_service(&drafts)?;
    let mut known = Known::default();
    for (text, name) in names(&drafts) {
        let PeerName::Host(host) = name else {
            return Err(ResolveError::PeerOfCluster { peer: text });
        };
        known.addresses.insert(text, look_up(&host).await?);
    }
    known.check(&drafts)?;
    let rules = drafts.iter().map(|draft| {
        let mut rule = known.apply(draft);
        ports::settle(&mut rule);
        rule
    });
    Ok(rules.collect())
}

/// Each name once.
fn names(drafts: &[Draft]) -> BTreeMap<String, PeerName> {
    let all = drafts.iter().map(|draft| &draft.names);
    all.flat_map(|names| names.peers.iter().chain(&names.except))
        .map(|name| (name.to_string(), name.clone()))
        .collect()
}

impl Known {
    /// A rule whose peers have no address at all would match everybody.
    fn check(&self, drafts: &[Draft]) -> Result<(), ResolveError> {
        for draft in drafts {
            let given = draft
                .rule
                .filter
                .as_ref()
                .is_some_and(|filter| !filter.peers.is_empty());
            let named = &draft.names.peers;
            let any = named.iter().any(|name| !self.of(name).is_empty());
            if let (false, false, Some(name)) = (given, any, named.first()) {
                return Err(ResolveError::NoAddress {
                    peer: name.to_string(),
                    detail: "it has no pods or endpoints now, and without a peer the fault would hit everybody".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn of(&self, name: &PeerName) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        self.addresses.get(&name.to_string()).unwrap_or(&NONE)
    }

    /// The rule with addresses in place of names.
    pub(super) fn apply(&self, draft: &Draft) -> Rule {
        let mut rule = draft.rule.clone();
        if let Some(filter) = &mut rule.filter {
            self.add(&mut filter.peers, &draft.names.peers);
            self.add(&mut filter.except_peers, &draft.names.except);
        }
        rule
    }

    fn add(&self, to: &mut Vec<String>, names: &[PeerName]) {
        let addresses: BTreeSet<_> = names.iter().flat_map(|name| self.of(name)).collect();
        for address in addresses {
            if !to.contains(address) {
                to.push(address.clone());
            }
        }
    }

    /// For a person.
    pub(super) fn list(&self) -> Vec<Peers> {
        let all = self.addresses.iter().map(|(peer, addresses)| Peers {
            peer: peer.clone(),
            addresses: addresses.iter().cloned().collect(),
        });
        all.collect()
    }
}

#[cfg(test)]
mod tests;
