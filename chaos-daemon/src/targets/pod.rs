//! From pods to targets: by UID to the cgroup, from there to the processes, and to the network namespace they live in.
//!
//! A pod's containers and its sandbox share one namespace, which outlives each container. Where a pod is on the node's own
//! network, its sockets are told apart by its cgroup; those of one container always are.

use std::{
    collections::HashMap,
    fs, io,
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::ifaddrs::getifaddrs;

use super::{
    TargetError, Workload, cgroup,
    kubepods::{self, Place},
    links, node,
};
use crate::{
    engine::{Cgroup, Pod, PodNetwork, Pods, Target},
    netns::Netns,
};

/// The network that a pod is on.
enum Network {
    /// The node's.
    Node,
    /// One of its own.
    Own(Netns),
}

/// Targets of all pods; an error where one of them is not on this node. Looks below `root` for their cgroups, or below
/// every hierarchy that is mounted.
pub(super) fn targets(
    pods: &Pods,
    root: Option<&Path>,
    interface: Option<&str>,
) -> Result<Vec<Target>, TargetError> {
    let roots = root.map_or_else(kubepods::hierarchies, |root| vec![root.to_owned()]);
    let uids: Vec<&str> = pods.pods.iter().flat_map(Pod::uids).collect();
    let places = kubepods::find(&roots, &uids);
    let mut targets = Vec::new();
    for pod in &pods.pods {
        let mut found = of(pod, pods.container.as_deref(), &places, interface)?;
        for target in &mut found {
            target.pod = Some(pod.clone());
        }
        targets.append(&mut found);
    }
    Ok(targets)
}

fn of(
    pod: &Pod,
    container: Option<&str>,
    places: &HashMap<&str, Place>,
    interface: Option<&str>,
) -> Result<Vec<Target>, TargetError> {
    let place = places.get(pod.uid.as_str());
    let place = place.or_else(|| of_file(pod, places));
    let place = place.ok_or_else(|| TargetError::NoPod {
        pod: pod.words(),
        uid: pod.uid.clone(),
    })?;
    let network = network(pod, place)?;
    let cgroups = match (container, &network) {
        (Some(container), _) => containers(pod, container, place)?,
        (None, Network::Node) => vec![of_version_2(pod, &place.directories)?],
        (None, Network::Own(_)) => Vec::new(),
    };
    let name = container.map_or_else(|| pod.words(), |name| format!("{}/{name}", pod.words()));
    let netns = match network {
        Network::Node => {
            let targets = cgroups
                .iter()
                .map(|cgroup| node::of(&name, Some(cgroup), interface));
            return Ok(targets.collect::<Result<Vec<_>, _>>()?.concat());
        }
        Network::Own(netns) => netns,
    };
    let target = links::target(
        Workload {
            name,
            netns,
            cgroup: None,
        },
        interface,
    )?;
    if cgroups.is_empty() {
        return Ok(vec![target]);
    }
    let narrowed = cgroups.into_iter().map(|cgroup| Target {
        cgroup: Some(cgroup),
        ..target.clone()
    });
    Ok(narrowed.collect())
}

/// The place of a pod that the kubelet made of a file. Whoever may change a pod may say by an annotation what such a place
/// is called; which containers it has, only the kubelet says.
fn of_file<'a>(pod: &Pod, places: &'a HashMap<&str, Place>) -> Option<&'a Place> {
    let file = pod.of_file.as_ref()?;
    let place = places.get(file.hash.as_str())?;
    let is_there = |id: &str| {
        let mut directories = place.directories.iter();
        directories.any(|directory| kubepods::container(directory, id).is_some())
    };
    file.bare_container_ids().any(is_there).then_some(place)
}

fn network(pod: &Pod, place: &Place) -> Result<Network, TargetError> {
    let failed = |source| TargetError::Namespace {
        name: pod.words(),
        source,
    };
    let own = inode(Path::new("/proc/self/ns/net")).map_err(failed)?;
    // Where the agent does not see the node's processes, this one is its own.
    let node = inode(Path::new("/proc/1/ns/net")).unwrap_or(own);
    let mut refused = None;
    let mut seen = Vec::new();
    for &pid in &place.processes {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let started = started(&process);
        match inode(&process.join("ns/net")) {
            Ok(netns) => seen.push((started, pid, netns)),
            // Processes end while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => refused = Some(error),
        }
    }
    let on_node = seen.iter().any(|(_, _, netns)| *netns == own);
    let name = pod.words();
    match &pod.network {
        Some(PodNetwork::Node) if on_node => return Ok(Network::Node),
        Some(PodNetwork::Node) if seen.iter().any(|(_, _, netns)| *netns == node) => {
            return Err(TargetError::AgentElsewhere { pod: name });
        }
        Some(PodNetwork::Node) if !seen.is_empty() => {
            return Err(TargetError::NotOnNode { pod: name });
        }
        Some(PodNetwork::Own(addresses)) => {
            let is_the_pods = |netns: &Netns| has_one_of(netns, addresses);
            if let Some(netns) = inside(place, &seen, [own, node], is_the_pods).map_err(failed)? {
                return Ok(Network::Own(netns));
            }
            if !seen.is_empty() {
                return Err(TargetError::OtherNetwork {
                    pod: name,
                    addresses: words(addresses),
                });
            }
        }
        None => {
            if let Some(netns) = inside(place, &seen, [own, node], |_| Ok(true)).map_err(failed)? {
                return Ok(Network::Own(netns));
            }
            if on_node {
                return Ok(Network::Node);
            }
        }
        Some(PodNetwork::Node) => {}
    }
    Err(match refused {
        _ if !seen.is_empty() => TargetError::AgentElsewhere { pod: name },
        Some(error) => failed(error),
        None if place.has_unseen => TargetError::UnseenPod { pod: name },
        None => TargetError::EmptyPod { pod: name },
    })
}

/// The namespace of the process that began first, of those that are not on the node's network and whose namespace is
/// the pod's: one of the sandbox, or a container's first. What runs in a namespace of its own inside the pod came later,
/// and a runtime's monitor is on the node's network.
fn inside(
    place: &Place,
    processes: &[(u64, u32, u64)],
    node: [u64; 2],
    is_the_pods: impl Fn(&Netns) -> io::Result<bool>,
) -> io::Result<Option<Netns>> {
    let mut strange = Vec::new();
    for (begun, pid, inode) in by_age(processes, node) {
        if strange.contains(&inode) {
            continue;
        }
        let found = Netns::at(format!("/proc/{pid}/ns/net"));
        // Another process may have got the number since it was read in the pod's cgroup.
        if started(Path::new(&format!("/proc/{pid}"))) != begun || !place.still_has(pid) {
            continue;
        }
        let netns = found?;
        if is_the_pods(&netns)? {
            return Ok(Some(netns));
        }
        strange.push(inode);
    }
    Ok(None)
}

fn by_age(processes: &[(u64, u32, u64)], node: [u64; 2]) -> Vec<(u64, u32, u64)> {
    let inside = processes
        .iter()
        .filter(|(_, _, netns)| !node.contains(netns));
    let mut inside: Vec<_> = inside.copied().collect();
    inside.sort_unstable();
    inside
}

/// Whether an interface of the namespace has one of these addresses.
fn has_one_of(netns: &Netns, addresses: &[IpAddr]) -> io::Result<bool> {
    let there = netns.enter(|_| addresses_here())??;
    Ok(addresses.iter().any(|address| there.contains(address)))
}

fn addresses_here() -> io::Result<Vec<IpAddr>> {
    let all = getifaddrs()?.filter_map(|interface| interface.address);
    let all = all.filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    Ok(all.collect())
}

fn words(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "it has none yet".to_owned();
    }
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    all.join(", ")
}

fn inode(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.ino())
}

/// When a process began, in ticks since the node did (man 5 proc: field 22).
fn started(process: &Path) -> u64 {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The name, in parentheses, may have anything in it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let started = fields.split_whitespace().nth(19);
    started
        .and_then(|ticks| ticks.parse().ok())
        .unwrap_or(u64::MAX)
}

fn containers(pod: &Pod, container: &str, place: &Place) -> Result<Vec<Cgroup>, TargetError> {
    if pod.container_ids.is_empty() {
        return Err(TargetError::UnknownContainer {
            pod: pod.words(),
            container: container.to_owned(),
        });
    }
    let mut cgroups = Vec::new();
    for id in pod.bare_container_ids() {
        let directories = place.directories.iter();
        let directories: Vec<PathBuf> = directories
            .filter_map(|directory| kubepods::container(directory, id))
            .collect();
        if !directories.is_empty() {
            cgroups.push(of_version_2(pod, &directories)?);
        }
    }
    if cgroups.is_empty() {
        return Err(TargetError::NoContainer {
            pod: pod.words(),
            container: container.to_owned(),
        });
    }
    Ok(cgroups)
}

/// What the kernel knows one of these directories by: of the first that is of version 2.
fn of_version_2(pod: &Pod, directories: &[PathBuf]) -> Result<Cgroup, TargetError> {
    let mut refused = None;
    for directory in directories {
        match cgroup::identity(directory) {
            Ok(cgroup) => return Ok(cgroup),
            Err(error) => refused = Some(error),
        }
    }
    Err(TargetError::NotToldApart {
        pod: pod.words(),
        source: refused.unwrap_or_else(|| io::ErrorKind::NotFound.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StaticPod;

    #[test]
    fn the_sandbox_is_older_than_what_runs_inside() {
        const NODE: [u64; 2] = [1, 2];
        let (monitor, inside, sandbox, container) =
            ((5, 10, 1), (9, 11, 4), (6, 12, 3), (7, 13, 3));
        assert_eq!(
            by_age(&[monitor, inside, container, sandbox], NODE),
            [sandbox, container, inside]
        );
        assert_eq!(by_age(&[monitor, (1, 2, 2)], NODE), []);
    }

    #[test]
    fn the_number_of_a_process_that_left_the_pod_is_anothers() {
        let (directory, pid) = (tempfile::tempdir().unwrap(), std::process::id());
        let procs = directory.path().join("cgroup.procs");
        let place = Place {
            directories: vec![directory.path().to_owned()],
            ..Place::default()
        };
        let seen = [(started(Path::new("/proc/self")), pid, 7)];
        let found = |seen: &[(u64, u32, u64)]| inside(&place, seen, [1, 2], |_| Ok(true)).unwrap();
        fs::write(&procs, pid.to_string()).unwrap();
        assert!(found(&seen).is_some());
        let younger = seen.map(|(started, pid, netns)| (started - 1, pid, netns));
        assert_eq!(found(&younger), None, "began at another time");
        fs::write(&procs, "1").unwrap();
        assert_eq!(found(&seen), None, "is in another cgroup");
    }

    #[test]
    fn a_pods_network_has_its_address() {
        let own = Netns::own().unwrap();
        let here = addresses_here().unwrap();
        assert!(has_one_of(&own, &here).unwrap());
        assert!(!has_one_of(&own, &["203.0.113.7".parse().unwrap()]).unwrap());
        assert!(!has_one_of(&own, &[]).unwrap());
    }

    #[test]
    fn a_process_began_some_time_ago() {
        let own = started(Path::new("/proc/self"));
        assert!(own > started(Path::new("/proc/1")));
        assert_ne!(own, u64::MAX);
        assert_eq!(started(Path::new("/nowhere")), u64::MAX);
    }

    fn pods(uid: &str, container: Option<&str>) -> Pods {
        Pods {
            pods: vec![Pod {
                namespace: "default".into(),
                name: "provider-1".into(),
                uid: uid.into(),
                of_file: Some(StaticPod {
                    hash: "hash".into(),
                    container_ids: vec!["containerd://c0ffee".into()],
                }),
                container_ids: Vec::new(),
                network: None,
            }],
            origin: None,
            container: container.map(str::to_owned),
        }
    }

    /// What is said about a pod in whose directory is this process.
    fn said(pods: &Pods, pid: &str) -> String {
        let root = tempfile::tempdir().unwrap();
        for uid in ["kubepods/poduid", "kubepods/podhash"] {
            let directory = root.path().join(uid);
            fs::create_dir_all(directory.join("c0ffee")).unwrap();
            fs::write(directory.join("cgroup.procs"), pid).unwrap();
        }
        let error = targets(pods, Some(root.path()), None).unwrap_err();
        error.to_string()
    }

    #[test]
    fn what_is_not_there_is_said() {
        let own = std::process::id().to_string();
        let mut stranger = pods("stranger", None);
        let forged = StaticPod {
            hash: "hash".into(),
            container_ids: vec!["containerd://other".into()],
        };
        for of_file in [None, Some(forged)] {
            stranger.pods[0].of_file = of_file;
            let no_pod = said(&stranger, &own);
            assert!(
                no_pod.contains("default/provider-1") && no_pod.contains("UID stranger"),
                "{no_pod}"
            );
        }
        for uid in ["uid", "mirror"] {
            let pods = pods(uid, None);
            assert!(said(&pods, "").contains("no processes"));
            assert!(said(&pods, "0").contains("hostPID"));
            // This test's process is on the node's network, and its directory no cgroup of version 2.
            assert!(said(&pods, &own).contains("version 2"));
            let mut known = pods;
            known.pods[0].network = Some(PodNetwork::Node);
            assert!(said(&known, &own).contains("version 2"));
            // It has no address yet, and the agent's own is not its.
            known.pods[0].network = Some(PodNetwork::Own(Vec::new()));
            assert!(said(&known, &own).contains("it has none yet"));
        }
        assert!(said(&pods("uid", Some("app")), &own).contains("--kubernetes"));
    }
}
