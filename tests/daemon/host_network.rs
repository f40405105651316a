//! Workloads on the node's own network: only the packets of their sockets are hit, told apart by cgroups.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use chaos_tests::{
    lab::{Cgroup, Family, Host, Process},
    requires,
    traffic::{Series, TcpServer, UdpProbe, UdpReport},
};
use nix::sys::signal::Signal;

use crate::scenario::{Scenario, assert_adds, series};

/// Two workloads of the node, each with a process that lives there.
struct Workloads {
    hit: (Cgroup, Process),
    spared: (Cgroup, Process),
}

fn workloads(scenario: &Scenario) -> Workloads {
    let workload = |name| {
        let cgroup = scenario.target.child_cgroup(name).unwrap();
        let mut command = scenario.target.command_in(&cgroup, "sleep").unwrap();
        command.arg("600");
        (cgroup, Process::spawn(command).unwrap())
    };
    Workloads {
        hit: workload("hit"),
        spared: workload("spared"),
    }
}

/// Datagrams from one host to another, both by sockets that were made in a cgroup: only the node's count.
fn datagrams(cgroup: &Cgroup, from: &Host, to: &Host, family: Family) -> UdpReport {
    let probe = UdpProbe {
        family,
        series: Series {
            patience: Duration::from_millis(300),
            ..series(50, 500)
        },
        ..UdpProbe::default()
    };
    cgroup.inside(|| probe.run(from, to)).unwrap().unwrap()
}

/// Whether somebody at `from` gets an answer of a server.
fn answers(from: &Host, to: SocketAddr) -> bool {
    let talk = || -> std::io::Result<()> {
        let patience = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&to, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"hello")?;
        stream.read_exact(&mut [0; 5])
    };
    from.run(talk).unwrap().is_ok()
}

#[test]
fn only_the_sockets_of_a_cgroup_are_cut_off() {
    requires!(root, cgroup2);
    let mut scenario = Scenario::on_node("host-network", &[]);
    let workloads = workloads(&scenario);
    let (node, peer) = (scenario.target.clone(), scenario.peer.clone());
    let ((hit, process), (spared, _)) = (&workloads.hit, &workloads.spared);
    let [server, spared_server] = [hit, spared].map(|cgroup| {
        let server = cgroup.inside(|| TcpServer::echo(&node, Family::V4, 0));
        server.unwrap().unwrap()
    });
    let selectors = [
        format!("--cgroup {}", hit.path().display()),
        format!("--pid {}", process.pid()),
    ];
    for (selector, direction) in selectors.iter().zip(["egress", "ingress"]) {
        let fault = format!("loss 100% --direction {direction}");
        let id = scenario.start_at(selector, &fault);
        for family in Family::BOTH {
            let (from, to) = match direction {
                "egress" => (&node, &peer),
                _ => (&peer, &node),
            };
            let (of_hit, of_spared) = (
                datagrams(hit, from, to, family),
                datagrams(spared, from, to, family),
            );
            let what = format!("{direction}, {family:?}");
            assert_eq!(of_hit.lost(), of_hit.sent.len(), "{what}: of the cgroup");
            assert_eq!(of_hit.send_errors, 0, "{what}: the sender was told");
            assert_eq!(of_spared.lost(), 0, "{what}: of the other");
        }
        assert!(!answers(&peer, server.address()), "{direction}: TCP");
        assert!(answers(&peer, spared_server.address()), "{direction}: TCP");
        let totals = scenario.stop(&id)["totals"].clone();
        assert!(totals["dropped_packets"].as_u64() > Some(50), "{totals}");
        assert!(answers(&peer, server.address()), "{direction}: after it");
    }
    // Of a cgroup that is cut off both ways, what is below it is too; and each packet is hit once.
    let above = format!("--cgroup {}", node.cgroup().display());
    scenario.start_at(&above, "loss 50% --direction ingress --proto udp");
    let id = scenario.start_at(&selectors[0], "partition");
    for cgroup in [hit, spared] {
        let lost = datagrams(cgroup, &peer, &node, Family::V4).lost();
        assert!(lost > 5, "{lost}");
    }
    scenario.stop(&id);
    scenario.daemon.signal(Signal::SIGKILL).unwrap();
    scenario.daemon.kill().unwrap();
    assert_eq!(datagrams(hit, &peer, &node, Family::V4).lost(), 0);
    scenario.daemon.cleanup().unwrap().success().unwrap();
    scenario.nothing_is_left();
}

#[test]
fn what_leaves_a_cgroup_is_delayed_and_what_arrives_is_not() {
    requires!(root, cgroup2);
    let mut scenario = Scenario::on_node("host-network-delay", &[]);
    let workloads = workloads(&scenario);
    let (node, peer) = (scenario.target.clone(), scenario.peer.clone());
    let ((hit, _), (spared, _)) = (&workloads.hit, &workloads.spared);
    let selector = format!("--cgroup {}", hit.path().display());
    let measure = || [hit, spared].map(|from| datagrams(from, &node, &peer, Family::V4).rtts());
    let before = measure();
    scenario.start_at(&selector, "delay 100ms");
    let added = [Duration::from_millis(100), Duration::ZERO];
    assert_adds("of the cgroup", &before, (added, 1), || (measure(), ()));
    let refused = scenario.chaosctl(&format!("delay 100ms --direction both {selector}"));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--direction egress"), "{refused:?}");
    scenario.leaves_nothing();
}
