//! Endpoints of a service: its `EndpointSlice`s, and the pods behind them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::api::{Api, ListParams};

use super::pods::{
    Candidate, Candidates, addresses, candidate, has_ended, is_on_host_network, unfit,
};
use super::{Cluster, Held, ResolveError};

/// A service and its endpoints, as the API server has them.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) service: Service,
    pub(super) slices: Vec<EndpointSlice>,
}

impl Endpoints {
    /// The service's selector, if it has one, as a label selector is written.
    pub(super) fn labels(&self) -> Option<String> {
        let selector = self.service.spec.as_ref()?.selector.as_ref()?;
        let labels = selector.iter().map(|(key, value)| format!("{key}={value}"));
        let labels: Vec<_> = labels.collect();
        (!labels.is_empty()).then(|| labels.join(","))
    }
}

/// Names of ports and their numbers in the pods.
type Ports = BTreeMap<(String, String), BTreeSet<Option<u16>>>;

impl Cluster {
    /// A service and its slices.
    pub(super) async fn endpoints(
        &self,
        name: &str,
        namespace: &str,
    ) -> Result<Endpoints, ResolveError> {
        let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        let of_service = format!("kubernetes.io/service-name={name}");
        let of_service = ListParams::default().labels(&of_service);
        let (service, slices) =
            tokio::join!(self.get(&services, name), self.list(&slices, of_service));
        match service? {
            Some(service) => Ok(Endpoints {
                service,
                slices: slices?,
            }),
            None => Err(self.not_found("service", &services, name).await),
        }
    }

    /// Pods behind a service, with its ports in them.
    pub(super) async fn of_service(
        &self,
        endpoints: &Endpoints,
        held: &Held,
    ) -> Result<Candidates, ResolveError> {
        let mut found = collect(endpoints, held);
        if !found.nameless.is_empty() {
            let here = self.pods(&self.namespace);
            let mut pods = self.list(&here, ListParams::default()).await?;
            if !found.by_address(&pods) {
                // Endpoints that somebody wrote may be anywhere, and not everybody may see that.
                let everywhere: Api<Pod> = Api::all(self.client.clone());
                pods = self
                    .list(&everywhere, ListParams::default())
                    .await
                    .unwrap_or_default();
                found.by_address(&pods);
            }
            for address in found.nameless.keys() {
                found.candidates.notes.push(format!(
                    "endpoint {address} is no pod of this cluster that can be told by its address, and is left out"
                ));
            }
            for _ in 0..found.nameless.len() {
                found.candidates.refuse("is no pod");
            }
        }
        Ok(found.candidates)
    }
}

#[derive(Debug, Default)]
struct Found {
    candidates: Candidates,
    /// Ports of ready endpoints that name no pod, by their addresses.
    nameless: BTreeMap<String, Ports>,
}

/// An endpoint that can be hit: `ready` unset means that it is.
fn is_ready(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions.and_then(|conditions| conditions.ready) != Some(false)
}

fn is_terminating(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions.and_then(|conditions| conditions.terminating) == Some(true)
}

/// Goes through all slices. A pod of a service with two families of addresses is in two of them.
fn collect(endpoints: &Endpoints, held: &Held) -> Found {
    let mut by_uid: BTreeMap<String, Candidate> = BTreeMap::new();
    let mut refused: BTreeMap<String, &'static str> = BTreeMap::new();
    let mut found = Found::default();
    let hosts = endpoints
        .slices
        .iter()
        .filter(|slice| slice.address_type != "FQDN");
    for slice in hosts {
        let ports = ports(slice);
        for endpoint in &slice.endpoints {
            let target = endpoint.target_ref.as_ref();
            let pod = target.filter(|target| target.kind.as_deref() == Some("Pod"));
            let id = pod.and_then(|pod| pod.uid.clone());
            let address = endpoint.addresses.first().cloned().unwrap_or_default();
            let key = id.clone().unwrap_or_else(|| address.clone());
            let is_held = id.as_ref().is_some_and(|uid| held.contains(uid));
            if is_terminating(endpoint) {
                refused.insert(key, "is terminating");
                continue;
            }
            if !is_ready(endpoint) && !is_held {
                refused.insert(key, "is not ready");
                continue;
            }
            let (Some(pod), Some(uid), Some(node)) = (pod, id, &endpoint.node_name) else {
                found
                    .nameless
                    .entry(address)
                    .or_default()
                    .extend(ports.clone());
                continue;
            };
            let candidate = by_uid.entry(uid.clone()).or_insert_with(|| Candidate {
                namespace: pod.namespace.clone().unwrap_or_default(),
                name: pod.name.clone().unwrap_or_default(),
                uid,
                node: node.clone(),
                ports: Ports::new(),
            });
            for (name, numbers) in &ports {
                let known = candidate.ports.entry(name.clone()).or_default();
                known.extend(numbers);
            }
        }
    }
    // While a pod moves from one slice to another, it may be in both.
    refused.retain(|uid, _| !by_uid.contains_key(uid));
    for why in refused.into_values() {
        found.candidates.refuse(why);
    }
    found.candidates.pods = by_uid.into_values().collect();
    found
}

fn ports(slice: &EndpointSlice) -> Ports {
    let mut ports = Ports::new();
    for port in slice.ports.iter().flatten() {
        let name = port.name.clone().unwrap_or_default();
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        let number = port.port.and_then(|port| u16::try_from(port).ok());
        ports.entry((name, protocol)).or_default().insert(number);
    }
    ports
}

impl Found {
    /// Looks up what names no pod. Pods on the host network share their node's address: it does not tell which one.
    /// Returns whether nothing is left.
    fn by_address(&mut self, pods: &[Pod]) -> bool {
        // The address of one that has ended may be another's.
        let fits = |pod: &&Pod| !is_on_host_network(pod) && !has_ended(pod);
        for pod in pods.iter().filter(fits) {
            let mut ports = Ports::new();
            let mut is_one = false;
            for address in addresses(pod) {
                if let Some(of_endpoint) = self.nameless.remove(&address) {
                    is_one = true;
                    ports.extend(of_endpoint);
                }
            }
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            let known = self.candidates.pods.iter().any(|known| known.uid == uid);
            if !is_one || known {
                continue;
            }
            match (unfit(pod), candidate(pod)) {
                (None, Some(candidate)) => {
                    self.candidates.pods.push(Candidate { ports, ..candidate });
                }
                (why, _) => self.candidates.refuse(why.unwrap_or("is pending")),
            }
        }
        self.nameless.is_empty()
    }
}

#[cfg(test)]
mod tests;
