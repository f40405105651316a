//! How requests get to where they are hit, where it is not the usual way: a door that somebody takes away, connections that
//! the kernel does not end one by one, and the node's own network.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::unix::fs::MetadataExt as _,
    process::Stdio,
    time::{Duration, Instant},
};

use chaos_tests::{
    lab::{Cgroup, Family, Host, Output, Process},
    programs::program,
    requires, services,
};

use crate::{
    connections::{Asks, ask_once},
    scenario::{PATIENCE, Scenario, let_pass},
};

/// Has no door, or nobody of the target's behind it.
const OTHER_PORT: u16 = 3001;

fn bpftool(arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new("bpftool");
    command.args(arguments);
    Output::of(command, PATIENCE).unwrap().success().unwrap()
}

/// Somebody else detaches the door, as an operator can with `bpftool`.
#[test]
fn a_door_that_somebody_takes_away_ends_the_experiment() {
    requires!(root, "bpftool");
    let mut scenario = Scenario::new("http-detached");
    let _provider = services::provider(&scenario.target).unwrap();
    let to = scenario.target.socket_address(Family::V4, services::PORT);
    let id = scenario.start("http --port 3000 --error-rate 1 --error-code 503");
    assert_eq!(ask_once(&scenario.peer, to, PATIENCE).unwrap(), 503);
    let links = bpftool(&["link", "list", "-j"]).json().unwrap();
    let doors = links.as_array().unwrap().iter();
    // Another program may have one in another namespace.
    let namespace = fs::metadata(scenario.target.namespace().path()).unwrap();
    let doors = doors
        .filter(|link| link["attach_type"] == "sk_lookup" && link["netns_ino"] == namespace.ino());
    let numbers: Vec<String> = doors.map(|link| link["id"].to_string()).collect();
    let [number] = numbers.as_slice() else {
        panic!("{links}");
    };
    bpftool(&["link", "detach", "id", number]);
    assert_eq!(ask_once(&scenario.peer, to, PATIENCE).unwrap(), 200);
    let ended = scenario.ended(&id);
    assert_eq!(ended["end_reason"], "failed", "{ended}");
    let detail = ended["end_detail"].as_str().unwrap_or_default();
    assert!(detail.contains("door of"), "{ended}");
    assert_eq!(ask_once(&scenario.peer, to, PATIENCE).unwrap(), 200);
    scenario.leaves_nothing();
}

/// As on a kernel without `CONFIG_INET_DIAG_DESTROY`.
#[test]
fn connections_from_before_are_reset_where_the_kernel_does_not_end_them() {
    requires!(root);
    let mut scenario = Scenario::with_options("http-resets", &["--existing", "reset"]);
    let _provider = services::provider(&scenario.target).unwrap();
    let connect = |family| {
        let to = scenario.target.socket_address(family, services::PORT);
        scenario.peer.run(|| Asks::connect(to)).unwrap().unwrap()
    };
    let mut old = Family::BOTH.map(connect);
    for old in &mut old {
        assert_eq!(old.ask(PATIENCE).unwrap(), 200);
    }
    let id = scenario.start("http --port 3000 --error-rate 1 --error-code 503");
    let mut new = Family::BOTH.map(connect);
    for (old, new) in old.iter_mut().zip(&mut new) {
        assert_eq!(new.ask(PATIENCE).unwrap(), 503);
        let error = old.ask(PATIENCE).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    // What came through the door stays, both while connections are reset and when that is over.
    let began = Instant::now();
    while began.elapsed() < RESETS + RESETS / 10 {
        for new in &mut new {
            assert_eq!(new.ask(PATIENCE).unwrap(), 503);
        }
        let_pass(RESETS / 30);
    }
    let ended = scenario.stop(&id);
    assert_eq!(ended["totals"]["requests"]["connections"], 2, "{ended}");
    assert!(scenario.daemon.log().contains("are reset instead"));
    scenario.leaves_nothing();
}

/// How long the agent resets what was open.
const RESETS: Duration = Duration::from_secs(3);

/// A provider of a workload of the node, at one address and port.
fn provider(node: &Host, cgroup: &Cgroup, listen: SocketAddr) -> Process {
    let mut command = node
        .command_in(cgroup, program("provider").unwrap())
        .unwrap();
    command.env("LISTEN", listen.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process::spawn(command).unwrap();
    let mut at = listen;
    if at.ip().is_unspecified() {
        at = node.socket_address(Family::V4, at.port());
    }
    services::listening_at(node, at).unwrap();
    process
}

/// Workloads share the node's network: only the requests of the one that is meant are hit, from wherever they come.
#[test]
fn on_the_nodes_network_only_the_targets_own_port_is_taken() {
    requires!(root, cgroup2);
    let mut scenario = Scenario::on_node("http-node", &[]);
    let (node, peer) = (scenario.target.clone(), scenario.peer.clone());
    // Another interface of the node, and so another target: of the same requests.
    let second = "link add second type veth peer name beyond\nlink set beyond up\nlink set second up\nroute add default dev second metric 500\n";
    node.namespace().ip(second).unwrap();
    let [hit, spared] = ["hit", "spared"].map(|name| node.child_cgroup(name).unwrap());
    let any = |port| SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
    let _hit = provider(&node, &hit, any(services::PORT));
    let _spared = provider(&node, &spared, any(OTHER_PORT));
    let selector = format!("--cgroup {}", hit.path().display());
    let fault = "--error-rate 1 --error-code 503";
    let refused = |port: u16| {
        let words = format!("http --port {port} {fault} --duration 5s {selector}");
        let refused = scenario.chaosctl(&words);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let said = &refused.stderr;
        assert!(
            said.contains(&format!("port {port} of")) && said.contains("is not its own"),
            "{said}"
        );
    };
    refused(OTHER_PORT);
    let id = scenario.start_at(&selector, &format!("http --port 3000 {fault}"));
    let outside = node.socket_address(Family::V4, services::PORT);
    let within = SocketAddr::from((Ipv4Addr::LOCALHOST, services::PORT));
    let six = node.socket_address(Family::V6, services::PORT);
    let ways = [
        (&peer, outside),
        (&peer, six),
        (&node, outside),
        (&node, within),
    ];
    for (from, to) in ways {
        assert_eq!(ask_once(from, to, PATIENCE).unwrap(), 503, "{to}");
        let other = SocketAddr::new(to.ip(), OTHER_PORT);
        assert_eq!(ask_once(from, other, PATIENCE).unwrap(), 200, "{other}");
    }
    let status = scenario.status(&id);
    assert_eq!(
        status["targets"].as_array().map(Vec::len),
        Some(2),
        "{status}"
    );
    // One each: the agent's own way to the application does not lead back to it.
    assert_eq!(status["totals"]["requests"]["connections"], 4, "{status}");
    assert_eq!(status["totals"]["requests"]["errors"], 4, "{status}");
    assert_eq!(status["targets"][0]["keeps_source"], false, "{status}");
    // Also where requests go on to the application.
    scenario.ask(&format!("update {id} http {fault} --exclude /"));
    for (from, to) in ways {
        assert_eq!(ask_once(from, to, PATIENCE).unwrap(), 200, "{to}");
    }
    let ended = scenario.stop(&id);
    assert_eq!(ended["totals"]["requests"]["connections"], 8, "{ended}");
    assert_eq!(ended["totals"]["requests"]["upstream_failed"], 0, "{ended}");
    // Another workload at the same port, at another address: a door could not tell their connections apart.
    let both = 3002;
    let own = SocketAddrV4::new(node.address_v4(), both);
    let _own = provider(&node, &hit, own.into());
    let _theirs = provider(&node, &spared, (Ipv4Addr::LOCALHOST, both).into());
    refused(both);
    scenario.leaves_nothing();
}

/// A door changes the routing of its namespace. Whoever hits packets there at the time finds the interface all the same.
#[test]
fn packets_of_a_target_with_a_door_are_hit() {
    requires!(root);
    let mut scenario = Scenario::new("http-beside");
    let _provider = services::provider(&scenario.target).unwrap();
    let to = scenario.target.socket_address(Family::V4, services::PORT);
    let requests = scenario.start("http --port 3000 --error-rate 1 --error-code 503");
    let packets = scenario.start("delay 1ms");
    assert_eq!(ask_once(&scenario.peer, to, PATIENCE).unwrap(), 503);
    let ended = scenario.stop(&packets);
    let delayed = ended["totals"]["delayed_packets"].as_u64();
    assert!(delayed > Some(0), "{ended}");
    scenario.stop(&requests);
    scenario.leaves_nothing();
}
