//! The node's own network in a cluster: what stays in reach while it is cut off, and pods that share it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use chaos_tests::{
    apiserver::{access::Rule, random_uid, scene::NewPod},
    cluster::{CHAOSCTL, Cluster, FORGOTTEN, OPERATOR},
    lab::{Cgroup, Family, Host, Process},
    pod::{Driver, Pod},
    requires,
    traffic::{Series, TcpServer, UdpProbe},
    wait::for_a_while,
};

/// Where the API server is for the nodes.
const API_SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 77, 0, 254)), 6443);
/// A port that nobody protects.
const OTHER: u16 = 8080;
const SOON: Duration = Duration::from_millis(500);

/// Whether somebody at `from` can open a connection.
fn connects(from: &Host, to: SocketAddr) -> bool {
    let connect = || TcpStream::connect_timeout(&to, SOON);
    from.run(connect).is_ok_and(|stream| stream.is_ok())
}

/// Datagrams from one host to another, by sockets of a cgroup, that do not arrive: all of them, or none.
pub(crate) fn are_lost(cgroup: &Cgroup, from: &Host, to: &Host) -> Result<bool> {
    let probe = UdpProbe {
        series: Series {
            patience: Duration::from_millis(300),
            ..Series::new(20, 500)
        },
        ..UdpProbe::default()
    };
    let report = cgroup.inside(|| probe.run(from, to))??;
    let (lost, sent) = (report.lost(), report.sent.len());
    ensure!(lost == 0 || lost == sent, "{lost} of {sent} are lost");
    Ok(lost == sent)
}

/// A cluster of one node, at which its operator may aim.
fn with_node(name: &str) -> Result<(Cluster, Host)> {
    let mut cluster = Cluster::new(name)?;
    cluster.add_node("node-a", &[])?;
    for user in [OPERATOR, CHAOSCTL] {
        cluster.server.allow(user, Rule::cluster("*", "*", "*"));
    }
    // Read again at each prepare.
    fs::write(
        cluster.lab.directory().join("policy.yaml"),
        "nodeLevel: true\n",
    )?;
    let node = cluster.node("node-a")?.host.clone();
    Ok((cluster, node))
}

#[test]
fn what_keeps_a_node_in_reach_is_spared_when_it_is_cut_off() {
    requires!(root, cgroup2);
    spared().unwrap();
}

fn spared() -> Result<()> {
    let (mut cluster, node) = with_node("cluster-node-reach")?;
    let consumer = cluster.lab.host("consumer")?;
    let ports = [22, 10250, 7411, OTHER];
    let _servers: Vec<TcpServer> = ports
        .iter()
        .map(|&port| TcpServer::echo(&node, Family::V4, port))
        .collect::<Result<_>>()?;
    let elsewhere = TcpServer::echo(&consumer, Family::V4, 6443)?;
    let reached = || {
        let at = |port| connects(&consumer, node.socket_address(Family::V4, port));
        ports.map(at)
    };
    assert_eq!(reached(), [true; 4]);
    let plan = cluster.chaosctl("partition --node=node-a --duration 2m --dry-run")?;
    let plan = plan.success()?.stdout;
    for protected in ["API server at 10.77.0.254:6443", "SSH", "kubelet", "7411"] {
        assert!(plan.contains(protected), "{protected}: {plan}");
    }
    let started = cluster.chaosctl("partition --node=node-a --duration 2m --detach")?;
    started.success()?;
    assert_eq!(reached(), [true, true, true, false]);
    assert!(connects(&node, API_SERVER), "the API server");
    assert!(
        !connects(&node, elsewhere.address()),
        "of another, that port"
    );
    // The agent, too, still reaches it: nobody else can say who this is.
    for_a_while("the agent forgets who may", FORGOTTEN);
    cluster.chaosctl("stop --all")?.success()?;
    assert_eq!(reached(), [true; 4]);
    assert!(connects(&node, elsewhere.address()));
    cluster.node("node-a")?.daemon.stop()?;
    Ok(())
}

#[test]
fn a_pod_on_the_nodes_network_is_hit_there_and_nowhere_else() {
    requires!(root, cgroup2);
    shares().unwrap();
}

fn shares() -> Result<()> {
    let (mut cluster, node) = with_node("cluster-node-pod")?;
    let [consumer, stranger] = ["consumer", "stranger"].map(|name| cluster.lab.host(name));
    let (consumer, stranger) = (consumer?, stranger?);
    let uid = random_uid();
    let mut pod = Pod::start_on(&cluster.lab, "node-a", &node, &uid, Driver::Systemd)?;
    let app = pod.run(&"7".repeat(64))?;
    // It has made a network of its own for one of its processes, or joined another's.
    let mut inside = stranger.command_in(&app, "sleep")?;
    inside.arg("600");
    let _inside = Process::spawn(inside)?;
    let object = NewPod::new("demo", "shares", "node-a", node.address(Family::V4));
    let object = object.on_host_network().uid(&uid);
    cluster.server.add_pod(&object);
    let bystander = cluster.lab.node_cgroup()?;
    for words in [
        "partition --pod shares",
        "loss 100% --direction ingress --pod shares",
    ] {
        let command = format!("{words} --duration 2m --detach");
        cluster.chaosctl(&command)?.success()?;
        assert!(are_lost(&app, &consumer, &node)?, "{words}: to the pod");
        assert!(
            !are_lost(&bystander, &consumer, &node)?,
            "{words}: to the node"
        );
        for (from, to) in [(&consumer, &stranger), (&stranger, &consumer)] {
            // Of others there; sockets of the pod are the pod's wherever they are.
            assert!(
                !are_lost(&bystander, from, to)?,
                "{words}: on the other network"
            );
        }
        let asks = app.inside(|| connects(&node, API_SERVER))?;
        assert!(asks, "{words}: what it asks the API server");
        cluster.chaosctl("stop --all")?.success()?;
        assert!(!are_lost(&app, &consumer, &node)?, "{words}: after it");
    }
    // It says that it is not there, and its processes are.
    cluster.server.change_pod("demo", "shares", |pod, _| {
        pod["spec"]["hostNetwork"] = false.into();
        let other = "10.77.9.9";
        pod["status"]["podIP"] = other.into();
        pod["status"]["podIPs"] = serde_json::json!([{"ip": other}]);
    });
    let refused = cluster.chaosctl("partition --pod shares --duration 2m --detach")?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("10.77.9.9"), "{refused:?}");
    let said = cluster.chaosctl("list")?.success()?.stdout;
    assert!(!said.contains("partition"), "{said}");
    cluster.node("node-a")?.daemon.stop().context("stop")?;
    Ok(())
}
