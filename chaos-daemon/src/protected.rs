//! What no fault of the node touches in a cluster, whatever is asked: the API server, and the ways into the node.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use tracing::warn;

use crate::{cluster::Cluster, engine::Protected};

/// SSH of the node.
const SSH: u16 = 22;
/// The kubelet's.
const KUBELET: u16 = 10250;

/// What is protected, and why.
pub struct Protections {
    /// By the operator, and of the agent itself.
    named: Vec<Protected>,
    is_in_cluster: bool,
    api_servers: Mutex<BTreeSet<SocketAddr>>,
}

impl Protections {
    /// Of an agent that protects these already; in a cluster, the node's own ways in too.
    pub fn new(named: Vec<Protected>, is_in_cluster: bool) -> Self {
        Self {
            named,
            is_in_cluster,
            api_servers: Mutex::default(),
        }
    }

    /// All of it that is known without asking.
    pub fn known(&self) -> Vec<Protected> {
        let mut list = self.named.clone();
        if self.is_in_cluster {
            list.extend([SSH, KUBELET].map(Protected::OwnPort));
        }
        list
    }

    /// Asks where the API server is now. Where it does not answer, what it said before counts, and where it was found at
    /// first.
    pub async fn api_servers(&self, cluster: &Cluster) -> Vec<Protected> {
        let mut now: Vec<SocketAddr> = cluster.at().await;
        match cluster.api_servers().await {
            Ok(found) => now.extend(found),
            Err(error) => warn!(%error, "the API server's addresses are those that were known"),
        }
        let mut all = self
            .api_servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.extend(now);
        let own = node_addresses();
        let mut list: Vec<Protected> = Vec::new();
        for server in all.iter() {
            list.push(Protected::NodesPeerPort(*server));
            // It is on this node.
            if own.contains(&server.ip()) {
                list.push(Protected::OwnPort(server.port()));
            }
        }
        list
    }

    /// A sentence for each, of what rules of the node spare, or those of others.
    pub fn sentences(&self, is_node: bool, api_servers: &[Protected]) -> Vec<String> {
        let known = self.known();
        let everything = known.iter().chain(api_servers);
        let mut sentences = Vec::new();
        for protected in everything {
            let sentence = match protected {
                Protected::Peers(net) => format!("what goes to and comes from {net}"),
                Protected::PeerPort(peer) => format!("what goes to and comes from {peer}"),
                Protected::NodesPeerPort(peer) if is_node => {
                    format!("the API server at {peer}")
                }
                Protected::OwnPort(SSH) if is_node => "SSH of this node (port 22)".to_owned(),
                Protected::OwnPort(KUBELET) if is_node => {
                    "the kubelet of this node (port 10250)".to_owned()
                }
                Protected::OwnPort(port) if is_node => format!("port {port} of this node"),
                Protected::NodesPeerPort(_) | Protected::OwnPort(_) => continue,
            };
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        sentences
    }
}

/// Addresses of this node, from which its kubelet may ask pods: of all interfaces but the loopback, and none that counts on
/// one link only.
pub fn node_addresses() -> Vec<IpAddr> {
    let Ok(all) = getifaddrs() else {
        return Vec::new();
    };
    let mut addresses = BTreeSet::new();
    for interface in all {
        if interface.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            continue;
        }
        let Some(address) = interface.address else {
            continue;
        };
        if let Some(v4) = address.as_sockaddr_in() {
            addresses.insert(IpAddr::V4(v4.ip()));
        }
        if let Some(v6) = address.as_sockaddr_in6()
            && !v6.ip().is_unicast_link_local()
        {
            addresses.insert(IpAddr::V6(v6.ip()));
        }
    }
    addresses.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_into_the_node_are_protected_in_a_cluster() {
        let named = || vec![Protected::OwnPort(7411), ":80".parse().unwrap()];
        let alone = Protections::new(named(), false);
        assert_eq!(alone.sentences(true, &[]).len(), 2);
        let inside = Protections::new(named(), true);
        let api = [Protected::NodesPeerPort("10.96.0.1:443".parse().unwrap())];
        let sentences = inside.sentences(true, &api);
        assert_eq!(sentences.len(), 5, "{sentences:?}");
        assert!(sentences[4].contains("10.96.0.1:443"), "{sentences:?}");
        assert!(inside.sentences(false, &api).is_empty());
    }

    #[test]
    fn no_address_of_the_node_is_a_loopback() {
        assert!(
            node_addresses()
                .iter()
                .all(|address| !address.is_loopback())
        );
    }
}
