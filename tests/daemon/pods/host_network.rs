//! Pods on the node's own network, told apart by their cgroups.

use std::time::Duration;

use chaos_tests::{
    agent::Agent,
    daemon::Daemon,
    lab::{Cgroup, Host, Lab},
    pod::{Driver, Pod},
    requires,
    traffic::{Series, UdpProbe},
    wait::wait_for,
};

use super::{UIDS, id, leaves_nothing, loss, names, request, selector, start, status};
use crate::scenario::{PATIENCE, series};

/// Datagrams from one host to another, both by sockets that were made in a cgroup: how many were lost.
pub(super) fn lost(cgroup: &Cgroup, from: &Host, to: &Host) -> usize {
    let probe = UdpProbe {
        series: Series {
            patience: Duration::from_millis(300),
            ..series(50, 500)
        },
        ..UdpProbe::default()
    };
    let report = cgroup.inside(|| probe.run(from, to)).unwrap().unwrap();
    report.lost()
}

#[test]
fn on_the_nodes_network_only_its_sockets_are_hit() {
    requires!(root, cgroup2);
    let lab = Lab::new("pods-host-network").unwrap();
    let (node, peer) = (lab.host("node").unwrap(), lab.host("peer").unwrap());
    let [mut pod, mut spared] = [(UIDS[0], Driver::Systemd), (UIDS[1], Driver::Cgroupfs)]
        .map(|(uid, driver)| Pod::start(&lab, &node, uid, driver).unwrap());
    let [of_pod, of_spared] = [&mut pod, &mut spared].map(|pod| pod.run(&id('a')).unwrap());
    let root = lab.cgroup().to_string_lossy().into_owned();
    let daemon = Daemon::start_inside(&lab, &node, &["--cgroup-root", &root]).unwrap();
    let mut agent = Agent::at(daemon.socket()).unwrap();
    for direction in [1, 2] {
        let mut request = request(selector(&[&pod]), loss());
        request.rules[0].filter.as_mut().unwrap().direction = direction;
        let experiment = start(&mut agent, request);
        assert_eq!(experiment.targets[0].interface, Host::INTERFACE);
        let (from, to) = if direction == 1 {
            (&node, &peer)
        } else {
            (&peer, &node)
        };
        let all = series(50, 500).count as usize;
        assert_eq!(lost(&of_pod, from, to), all, "{direction}: of the pod");
        assert_eq!(lost(&of_spared, from, to), 0, "{direction}: of the other");
        agent.disarm(&experiment.id).unwrap();
        assert_eq!(lost(&of_pod, from, to), 0, "{direction}: after it");
    }
    // The pod goes, its network does not.
    let experiment = start(&mut agent, request(selector(&[&pod, &spared]), loss()));
    pod.delete().unwrap();
    wait_for("the pod is missed", PATIENCE, || {
        let status = status(&mut agent, &experiment.id);
        (names(&status).iter().map(|(_, gone)| *gone))
            .eq([true, false])
            .then_some(())
    })
    .unwrap();
    agent.disarm(&experiment.id).unwrap();
    leaves_nothing(daemon, &lab);
}

/// As the `DaemonSet` of `deploy/` runs: what the agent sees of itself begins at its own cgroup, and what the kernel counts
/// does not.
#[test]
fn from_inside_a_container_the_same_sockets_are_hit() {
    requires!(root, cgroup2, "unshare");
    let lab = Lab::new("pods-contained").unwrap();
    let (node, peer) = (lab.host("node").unwrap(), lab.host("peer").unwrap());
    let [mut pod, mut spared] = [(UIDS[0], Driver::Systemd), (UIDS[1], Driver::Cgroupfs)]
        .map(|(uid, driver)| Pod::start(&lab, &node, uid, driver).unwrap());
    let [of_pod, of_spared] = [&mut pod, &mut spared].map(|pod| pod.run(&id('a')).unwrap());
    let daemon = Daemon::start_contained(&lab, &node, &[]).unwrap();
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/cgroup")).unwrap();
    let agents = namespace(&daemon.pid().unwrap().to_string());
    assert_ne!(agents, namespace("self"), "a namespace of its own");
    let mut agent = Agent::at(daemon.socket()).unwrap();
    let all = series(50, 500).count as usize;
    for (direction, from, to) in [(1, &node, &peer), (2, &peer, &node)] {
        let mut request = request(selector(&[&pod]), loss());
        request.rules[0].filter.as_mut().unwrap().direction = direction;
        let experiment = start(&mut agent, request);
        assert_eq!(lost(&of_pod, from, to), all, "{direction}: of the pod");
        assert_eq!(lost(&of_spared, from, to), 0, "{direction}: of the other");
        agent.disarm(&experiment.id).unwrap();
        assert_eq!(lost(&of_pod, from, to), 0, "{direction}: after it");
    }
    leaves_nothing(daemon, &lab);
}
