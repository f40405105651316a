//! From what the user pointed at to targets: namespaces and interfaces of this node.
//!
//! Knows processes, cgroups, inventories and interfaces; knows nothing of faults, BPF or gRPC.

mod cgroup;
mod inventory;
mod kubepods;
mod links;
mod node;
mod pod;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use inventory::{Inventory, InventoryError};

use crate::{
    engine::{Cgroup, Selector, Target, Where},
    netns::{NAMED, Netns},
};

/// Why a selector has no targets: one sentence each, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The inventory cannot be read.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// No such service.
    #[error("the inventory has no service {name} in namespace {namespace}{hint}")]
    NoService {
        /// As asked for.
        name: String,
        /// As asked for.
        namespace: String,
        /// Near misses, as the rest of the sentence.
        hint: String,
    },
    /// It has no endpoints.
    #[error("service {name} in namespace {namespace} has no endpoints: there is nothing to hit")]
    NoEndpoints {
        /// As asked for.
        name: String,
        /// As asked for.
        namespace: String,
    },
    /// There is no inventory.
    #[error(
        "cannot look up service {name}: the agent has no inventory; start it with --inventory FILE, or give one to chaosctl with --inventory FILE"
    )]
    NoInventory {
        /// As asked for.
        name: String,
    },
    /// The namespace is not there.
    #[error(
        "{name} names no network namespace ({path}: {source}): `ip netns list` shows those that have names"
    )]
    NoNetns {
        /// As asked for.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The process is not there.
    #[error("cannot find the network namespace of process {pid}: {source}; is it on this node?")]
    NoProcess {
        /// As asked for.
        pid: u32,
        /// What happened.
        source: io::Error,
    },
    /// The cgroup is not there.
    #[error(
        "cannot read cgroup {path}: {source}; give the directory of a cgroup, such as one below /sys/fs/cgroup"
    )]
    NoCgroup {
        /// As asked for.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The cgroup has no processes.
    #[error("cgroup {path} has no processes, so there is no network namespace to find")]
    EmptyCgroup {
        /// As asked for.
        path: PathBuf,
    },
    /// Of the node's network and of others.
    #[error(
        "cgroup {path} has processes on the node's network and others in namespaces of their own, which cannot be told apart at their sockets: point at one below it"
    )]
    MixedCgroup {
        /// As asked for.
        path: PathBuf,
    },
    /// It is the node itself.
    #[error(
        "{name} lives in the node's own network namespace; a fault there would hit the whole node, which only --node asks for"
    )]
    HostNetwork {
        /// Name of the workload.
        name: String,
    },
    /// Nobody has this UID.
    #[error(
        "there is no pod {pod} with UID {uid} on this node: it has gone, or another one has taken its name; look it up again"
    )]
    NoPod {
        /// Namespace and name.
        pod: String,
        /// As asked for.
        uid: String,
    },
    /// Nothing runs in it.
    #[error(
        "pod {pod} has no processes on this node: it is starting or ending; wait until it runs"
    )]
    EmptyPod {
        /// Namespace and name.
        pod: String,
    },
    /// The agent has other process numbers.
    #[error(
        "the processes of pod {pod} cannot be seen from here: run the agent with the node's processes (hostPID: true)"
    )]
    UnseenPod {
        /// Namespace and name.
        pod: String,
    },
    /// The agent is on another network.
    #[error(
        "pod {pod} is on the node's own network, and this agent is not: run the agent there too (hostNetwork: true)"
    )]
    AgentElsewhere {
        /// Namespace and name.
        pod: String,
    },
    /// It says one thing, its processes another.
    #[error(
        "the API server says that pod {pod} is on its node's network, and none of its processes is: look it up again"
    )]
    NotOnNode {
        /// Namespace and name.
        pod: String,
    },
    /// Its address is nowhere where it has processes.
    #[error(
        "none of the processes of pod {pod} is on a network with an address of the pod ({addresses}): it is starting or ending, or its processes are elsewhere; wait until it runs"
    )]
    OtherNetwork {
        /// Namespace and name.
        pod: String,
        /// Those that the API server knows.
        addresses: String,
    },
    /// Its id is not known.
    #[error(
        "which of the processes of pod {pod} are container {container}'s, only an agent knows that asks the Kubernetes API: start it with --kubernetes"
    )]
    UnknownContainer {
        /// Namespace and name.
        pod: String,
        /// As asked for.
        container: String,
    },
    /// It does not run.
    #[error("container {container} of pod {pod} does not run on this node: wait until it does")]
    NoContainer {
        /// Namespace and name.
        pod: String,
        /// As asked for.
        container: String,
    },
    /// Its sockets look like all others.
    #[error(
        "the sockets of pod {pod} cannot be told from those of others on their network: {source}"
    )]
    NotToldApart {
        /// Namespace and name.
        pod: String,
        /// What happened.
        source: io::Error,
    },
    /// The namespace cannot be entered, or has no usable interfaces.
    #[error("cannot look into the network namespace of {name}: {source}")]
    Namespace {
        /// Name of the workload.
        name: String,
        /// What happened.
        source: io::Error,
    },
    /// No such interface.
    #[error("{name} has no interface {interface}; it has {there}")]
    NoInterface {
        /// Name of the workload.
        name: String,
        /// As asked for.
        interface: String,
        /// Those that there are.
        there: String,
    },
    /// Several, and no default route.
    #[error(
        "{name} has no default route and not exactly one interface, but {there}: choose one with --interface"
    )]
    WhichInterface {
        /// Name of the workload.
        name: String,
        /// Those that there are.
        there: String,
    },
    /// The node has none that stands out.
    #[error(
        "no interface of this node that is up has a default route; it has {there}: choose one with --interface IF"
    )]
    NoUplink {
        /// Those that there are.
        there: String,
    },
    /// The node talks to itself there.
    #[error(
        "{interface} is the node's loopback, by which its programs talk to each other, and is refused"
    )]
    Loopback {
        /// Its name.
        interface: String,
    },
    /// Not Ethernet.
    #[error("interface {interface} of {name} has no Ethernet headers, which the agent needs")]
    NotEthernet {
        /// Name of the workload.
        name: String,
        /// Its name.
        interface: String,
    },
}

/// Finds targets of this node.
#[derive(Debug, Default)]
pub struct Finder {
    /// The agent's own inventory file, if it has one. It is read at each look-up, so that changes count.
    pub inventory: Option<PathBuf>,
    /// Where cgroups of pods are looked for; nothing: wherever a hierarchy is mounted.
    pub cgroup_root: Option<PathBuf>,
    /// Name of this node.
    pub node: String,
}

/// A workload, before its interface is known.
struct Workload {
    name: String,
    netns: Netns,
    /// Where it shares the node's network, what tells it apart.
    cgroup: Option<Cgroup>,
}

impl Finder {
    /// All targets of a selector, each once.
    pub fn find(&self, selector: &Selector) -> Result<Vec<Target>, TargetError> {
        let interface = selector.interface.as_deref();
        let mut targets: Vec<Target> = Vec::new();
        let root = self.cgroup_root.as_deref();
        let found = match &selector.at {
            Where::Node => node::of(&self.node, None, interface)?,
            Where::Pods(pods) => pod::targets(pods, root, interface)?,
            Where::Service { .. } | Where::Netns(_) | Where::Pid(_) | Where::Cgroup(_) => {
                self.targets(&selector.at, interface)?
            }
        };
        for target in found {
            if !targets.iter().any(|known| known.is_same(&target)) {
                targets.push(target);
            }
        }
        Ok(targets)
    }

    fn targets(&self, at: &Where, interface: Option<&str>) -> Result<Vec<Target>, TargetError> {
        let mut targets = Vec::new();
        for workload in self.workloads(at)? {
            match &workload.cgroup {
                Some(cgroup) => targets.extend(node::of(&workload.name, Some(cgroup), interface)?),
                None => targets.push(links::target(workload, interface)?),
            }
        }
        Ok(targets)
    }

    fn workloads(&self, at: &Where) -> Result<Vec<Workload>, TargetError> {
        match at {
            // They have interfaces of their own, or are found otherwise.
            Where::Node | Where::Pods(_) => Ok(Vec::new()),
            Where::Netns(name) => Ok(vec![named(name, name)?]),
            Where::Pid(pid) => Ok(vec![process(&format!("pid {pid}"), *pid)?]),
            Where::Cgroup(path) => cgroup::workloads(path, Path::new(path)),
            Where::Service {
                name,
                namespace,
                inventory,
                inventory_file,
            } => {
                let inventory = match (inventory, &self.inventory) {
                    (Some(text), _) => Inventory::parse(inventory_file, text)?,
                    (None, Some(path)) => Inventory::read(path)?,
                    (None, None) => return Err(TargetError::NoInventory { name: name.clone() }),
                };
                inventory.workloads(name, namespace)
            }
        }
    }
}

/// The namespace with this name, or at this path.
fn named(workload: &str, name: &str) -> Result<Workload, TargetError> {
    let path = if name.contains('/') {
        PathBuf::from(name)
    } else {
        Path::new(NAMED).join(name)
    };
    let netns = Netns::at(&path).map_err(|source| TargetError::NoNetns {
        name: name.to_owned(),
        path,
        source,
    })?;
    not_the_host(workload, netns)
}

/// The namespace that a process lives in.
fn process(workload: &str, pid: u32) -> Result<Workload, TargetError> {
    let netns = Netns::at(format!("/proc/{pid}/ns/net"))
        .map_err(|source| TargetError::NoProcess { pid, source })?;
    if is_own(&netns) {
        return cgroup::on_node(workload, &cgroup::of_process(pid)?, netns);
    }
    not_the_host(workload, netns)
}

/// Whether it is the agent's own namespace, and so the node's network.
fn is_own(netns: &Netns) -> bool {
    Netns::own().is_ok_and(|own| own.cookie() == netns.cookie())
}

fn not_the_host(name: &str, netns: Netns) -> Result<Workload, TargetError> {
    let is = |other: io::Result<Netns>| other.is_ok_and(|other| other.cookie() == netns.cookie());
    if is(Netns::own()) || is(Netns::host()) {
        return Err(TargetError::HostNetwork {
            name: name.to_owned(),
        });
    }
    Ok(Workload {
        name: name.to_owned(),
        netns,
        cgroup: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(at: Where) -> Result<Vec<Target>, TargetError> {
        Finder::default().find(&Selector {
            at,
            interface: None,
        })
    }

    #[test]
    fn the_node_itself_is_no_target() {
        let error = find(Where::Netns("/proc/self/ns/net".into())).unwrap_err();
        assert!(matches!(error, TargetError::HostNetwork { .. }), "{error}");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let sentence = |at| find(at).unwrap_err().to_string();
        assert!(
            sentence(Where::Netns("nowhere".into())).contains("nowhere names no network namespace")
        );
        assert!(sentence(Where::Pid(u32::MAX)).contains("process 4294967295"));
        assert!(
            sentence(Where::Cgroup("/sys/fs/cgroup/nowhere".into())).contains("cannot read cgroup")
        );
        let service = Where::Service {
            name: "a".into(),
            namespace: "default".into(),
            inventory: None,
            inventory_file: String::new(),
        };
        assert!(sentence(service).contains("no inventory"));
    }
}
