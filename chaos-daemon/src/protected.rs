//! What no fault of the node touches in a cluster, whatever is asked: the API server, and the ways into the node.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use tracing::warn;

use crate::{
    cluster::{Cluster, ClusterError},
    engine::{Protected, Spared},
};

/// SSH of the node.
const SSH: u16 = 22;
/// The kubelet's.
const KUBELET: u16 = 10250;

/// What is protected, and why.
pub struct Protections {
    /// By the operator, and of the agent itself.
    named: Vec<Protected>,
    is_in_cluster: bool,
    api_servers: Mutex<ApiServers>,
}

/// Where the API server was, whenever somebody asked.
#[derive(Debug, Default)]
struct ApiServers {
    all: BTreeSet<SocketAddr>,
    /// Whether it has ever said so itself.
    has_said: bool,
}

/// Nobody knows yet what to leave alone.
#[derive(Debug, thiserror::Error)]
#[error(
    "what keeps this node in reach of the API server is not known yet, so that a fault of the node's network might cut it off: {0}"
)]
pub struct Unknown(#[from] ClusterError);

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

    /// Asks where the API server is now. Where it does not answer, what it said before counts; an error, where it never
    /// said anything.
    pub async fn api_servers(&self, cluster: &Cluster) -> Result<Vec<Protected>, Unknown> {
        let (at, said) = tokio::join!(cluster.at(), cluster.api_servers());
        let all = self.learn(at, said)?;
        Ok(of_api_servers(&all, &node_addresses()))
    }

    fn learn(
        &self,
        at: Vec<SocketAddr>,
        said: Result<Vec<SocketAddr>, ClusterError>,
    ) -> Result<BTreeSet<SocketAddr>, Unknown> {
        let mut known = self
            .api_servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.all.extend(at);
        match said {
            Ok(found) => {
                known.all.extend(found);
                known.has_said = true;
            }
            Err(error) if !known.has_said => return Err(error.into()),
            Err(error) => warn!(%error, "the API server's addresses are those that were known"),
        }
        Ok(known.all.clone())
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

/// What rules of a pod leave alone: what these addresses ask of these ports of it.
pub fn asked_of<'a>(ports: impl IntoIterator<Item = &'a u16>, by: &[IpAddr]) -> Vec<Spared> {
    let each = |&own_port| by.iter().map(move |&peer| Spared { peer, own_port });
    ports.into_iter().flat_map(each).collect()
}

fn of_api_servers(all: &BTreeSet<SocketAddr>, own: &[IpAddr]) -> Vec<Protected> {
    let mut list: Vec<Protected> = Vec::new();
    for server in all {
        list.push(Protected::NodesPeerPort(*server));
        // It is on this node.
        if own.contains(&server.ip()) {
            list.push(Protected::OwnPort(server.port()));
        }
    }
    list
}

/// Addresses of this node, from which its kubelet may ask pods: of all interfaces that are up but the loopback, and none
/// that counts on one link only. Those of one that is down are nobody's: kube-proxy keeps the addresses of all services so.
pub fn node_addresses() -> Vec<IpAddr> {
    let Ok(all) = getifaddrs() else {
        return Vec::new();
    };
    let mut addresses = BTreeSet::new();
    for interface in all {
        if !asks_pods(interface.flags) {
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

const fn asks_pods(flags: InterfaceFlags) -> bool {
    flags.contains(InterfaceFlags::IFF_UP) && !flags.contains(InterfaceFlags::IFF_LOOPBACK)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::netns::Scratch;

    fn ip(words: &str) {
        let done = Command::new("ip").args(words.split(' ')).status();
        assert!(done.unwrap().success(), "ip {words}");
    }

    #[test]
    fn what_protects_the_api_server_must_have_been_said_once() {
        let protections = Protections::new(Vec::new(), true);
        let silent = || {
            Err(ClusterError::Silent {
                what: "where it is",
            })
        };
        let at: SocketAddr = "10.96.0.1:443".parse().unwrap();
        let unknown = protections.learn(vec![at], silent()).unwrap_err();
        assert!(unknown.to_string().contains("did not answer"), "{unknown}");
        let itself: SocketAddr = "192.0.2.1:6443".parse().unwrap();
        let said = protections.learn(vec![at], Ok(vec![itself])).unwrap();
        assert_eq!(said, [at, itself].into());
        // It need not say it again.
        assert_eq!(protections.learn(Vec::new(), silent()).unwrap(), said);
        let on_this_node = of_api_servers(&said, &[itself.ip()]);
        assert!(on_this_node.contains(&Protected::OwnPort(6443)));
        assert!(!on_this_node.contains(&Protected::OwnPort(443)));
    }

    #[test]
    fn an_interface_that_is_down_asks_nobody() {
        let (up, lo) = (InterfaceFlags::IFF_UP, InterfaceFlags::IFF_LOOPBACK);
        // As kube-ipvs0 is.
        assert!(!asks_pods(
            InterfaceFlags::IFF_BROADCAST | InterfaceFlags::IFF_NOARP
        ));
        assert!(asks_pods(up) && !asks_pods(up | lo));
    }

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
        let scratch = Scratch::new().unwrap();
        let found = scratch.run(|| {
            ip("link set lo up");
            ip("link add up0 type veth peer name up1");
            ip("address add 192.0.2.1/24 dev up0");
            ip("link set up0 up");
            ip("address add 198.51.100.1/32 dev up1");
            node_addresses()
        });
        assert_eq!(found.unwrap(), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    }
}
