//! How many endpoints a service has, and where the API server is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::api::{Api, ListParams};

use super::{CONNECT_PATIENCE, Cluster, ClusterError, ask, ask_all};

/// Label of an endpoint slice: its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Endpoints of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Its name.
    pub service: String,
    /// Of pods by UID, of others by address; whether each is ready.
    ready: BTreeMap<String, bool>,
}

impl Endpoints {
    /// Whether a pod is one of them, ready or not.
    pub fn has(&self, uid: &str) -> bool {
        self.ready.contains_key(uid)
    }

    /// How many are ready: each pod once, of whatever address families. Those of these pods count whether they are ready
    /// or not.
    pub fn count_ready(&self, also: &BTreeSet<&str>) -> usize {
        let all = self.ready.iter();
        all.filter(|(uid, is_ready)| **is_ready || also.contains(uid.as_str()))
            .count()
    }

    /// Unset means ready: whoever writes slices by hand may leave it out.
    fn add(&mut self, slice: &EndpointSlice) {
        for endpoint in &slice.endpoints {
            let target = endpoint.target_ref.as_ref();
            let uid = target.and_then(|target| target.uid.clone());
            let Some(key) = uid.or_else(|| endpoint.addresses.first().cloned()) else {
                continue;
            };
            let conditions = endpoint.conditions.as_ref();
            let is_ready = conditions.and_then(|conditions| conditions.ready) != Some(false);
            *self.ready.entry(key).or_default() |= is_ready;
        }
    }
}

impl Cluster {
    /// Endpoints of a service; without a name, of all that a namespace has.
    pub async fn endpoints(
        &self,
        namespace: &str,
        service: Option<&str>,
    ) -> Result<Vec<Endpoints>, ClusterError> {
        Ok(by_service(&self.slices(namespace, service).await?))
    }

    /// Where the agent asks it, as addresses.
    pub async fn at(&self) -> Vec<SocketAddr> {
        let (host, port) = &self.host;
        let asked = tokio::net::lookup_host((host.as_str(), *port));
        // A name is for DNS to say, which may be away.
        match tokio::time::timeout(CONNECT_PATIENCE, asked).await {
            Ok(found) => found.map(Iterator::collect).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Addresses and ports by which the API server is reached: of its service, and of itself.
    pub async fn api_servers(&self) -> Result<Vec<SocketAddr>, ClusterError> {
        let services: Api<Service> = Api::namespaced(self.client.clone(), "default");
        let service = ask("where it is", services.get("kubernetes")).await?;
        let slices = self.slices("default", Some("kubernetes")).await?;
        let mut found = BTreeSet::new();
        if let Some(spec) = service.and_then(|service| service.spec) {
            let addresses = spec.cluster_ips.or(spec.cluster_ip.map(|one| vec![one]));
            let ports: Vec<i32> = spec.ports.iter().flatten().map(|port| port.port).collect();
            add(&mut found, addresses.iter().flatten(), &ports);
        }
        for slice in &slices {
            let ports = slice.ports.iter().flatten();
            let ports: Vec<i32> = ports.filter_map(|port| port.port).collect();
            for endpoint in &slice.endpoints {
                add(&mut found, &endpoint.addresses, &ports);
            }
        }
        Ok(found.into_iter().collect())
    }

    async fn slices(
        &self,
        namespace: &str,
        service: Option<&str>,
    ) -> Result<Vec<EndpointSlice>, ClusterError> {
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        let parameters = match service {
            Some(name) => ListParams::default().labels(&format!("{SERVICE_NAME}={name}")),
            None => ListParams::default(),
        };
        let asked = slices.list(&parameters);
        Ok(ask_all("for the endpoints of a service", asked)
            .await?
            .items)
    }
}

fn by_service(slices: &[EndpointSlice]) -> Vec<Endpoints> {
    let mut found: BTreeMap<&String, Endpoints> = BTreeMap::new();
    for slice in slices {
        let labels = slice.metadata.labels.as_ref();
        let Some(service) = labels.and_then(|labels| labels.get(SERVICE_NAME)) else {
            continue;
        };
        found.entry(service).or_default().add(slice);
    }
    let named = |(service, endpoints): (&String, _)| Endpoints {
        service: service.clone(),
        ..endpoints
    };
    found.into_iter().map(named).collect()
}

fn add<'a>(
    found: &mut BTreeSet<SocketAddr>,
    addresses: impl IntoIterator<Item = &'a String>,
    ports: &[i32],
) {
    for address in addresses {
        let Ok(address) = address.parse::<IpAddr>() else {
            // A headless service says None, and a slice may have names.
            continue;
        };
        let ports = ports.iter().filter_map(|port| u16::try_from(*port).ok());
        found.extend(ports.map(|port| SocketAddr::new(address, port)));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{
        core::v1::ObjectReference,
        discovery::v1::{Endpoint, EndpointConditions},
    };

    use super::*;

    fn slice(service: &str, endpoints: &[(&str, Option<bool>)]) -> EndpointSlice {
        let endpoint = |(uid, ready): &(&str, Option<bool>)| Endpoint {
            addresses: vec!["10.0.0.1".to_owned()],
            conditions: Some(EndpointConditions {
                ready: *ready,
                ..EndpointConditions::default()
            }),
            target_ref: (!uid.is_empty()).then(|| ObjectReference {
                uid: Some((*uid).to_owned()),
                ..ObjectReference::default()
            }),
            ..Endpoint::default()
        };
        let mut slice = EndpointSlice {
            endpoints: endpoints.iter().map(endpoint).collect(),
            ..EndpointSlice::default()
        };
        let label = (SERVICE_NAME.to_owned(), service.to_owned());
        slice.metadata.labels = Some([label].into());
        slice
    }

    #[test]
    fn each_pod_of_a_service_counts_once() {
        let found = by_service(&[
            slice(
                "b",
                &[("one", Some(true)), ("two", Some(false)), ("", None)],
            ),
            slice("a", &[("one", None)]),
            // The same in IPv6.
            slice("b", &[("one", Some(false)), ("three", Some(true))]),
            EndpointSlice::default(),
        ]);
        let names: Vec<&str> = found.iter().map(|of| of.service.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found[1].count_ready(&BTreeSet::new()), 3);
        assert_eq!(found[1].count_ready(&BTreeSet::from(["two", "nine"])), 4);
        assert!(found[1].has("two") && !found[0].has("two"));
    }
}
