//! How many endpoints a service has, and where the API server is.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::api::{Api, ListParams};

use super::{CONNECT_PATIENCE, Cluster, ClusterError, ask, ask_all};

/// Label of an endpoint slice: its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

impl Cluster {
    /// How many ready endpoints a service has: each pod once, of whatever address families. Those of these pods count
    /// whether they are ready or not.
    pub async fn ready_endpoints(
        &self,
        namespace: &str,
        service: &str,
        also: &BTreeSet<&str>,
    ) -> Result<usize, ClusterError> {
        let slices = self.slices(namespace, service).await?;
        Ok(count_ready(&slices, also))
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
        let slices = self.slices("default", "kubernetes").await?;
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
        service: &str,
    ) -> Result<Vec<EndpointSlice>, ClusterError> {
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        let parameters = ListParams::default().labels(&format!("{SERVICE_NAME}={service}"));
        let asked = slices.list(&parameters);
        Ok(ask_all("for the endpoints of a service", asked)
            .await?
            .items)
    }
}

/// Unset means ready: whoever writes slices by hand may leave it out.
pub(super) fn count_ready(slices: &[EndpointSlice], also: &BTreeSet<&str>) -> usize {
    let mut ready = BTreeSet::new();
    for endpoint in slices.iter().flat_map(|slice| &slice.endpoints) {
        let target = endpoint.target_ref.as_ref();
        let uid = target.and_then(|target| target.uid.clone());
        let conditions = endpoint.conditions.as_ref();
        let is_unready = conditions.and_then(|conditions| conditions.ready) == Some(false);
        if is_unready && !uid.as_deref().is_some_and(|uid| also.contains(uid)) {
            continue;
        }
        ready.extend(uid.or_else(|| endpoint.addresses.first().cloned()));
    }
    ready.len()
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
