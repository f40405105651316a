//! What the options of every fault become on the wire.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{
    Connections, Delay, Direction, Filter, LengthRange, PortRange, PrepareRequest, Protocol, Pulse,
    Rule, Selector, ServiceSelector,
};

use crate::agent::Agent;
use crate::chaosctl::{chaosctl, finish, run, text};
use crate::script::Script;

fn wire(time: Duration) -> Option<prost_types::Duration> {
    time.try_into().ok()
}

fn ports(first: u32, last: u32) -> PortRange {
    PortRange { first, last }
}

#[test]
fn every_option_reaches_the_agent() {
    let agent = Agent::start(Script::default());
    let inventory = agent.directory().join("inventory.yaml");
    std::fs::write(&inventory, "services: []\n").unwrap();
    let arguments = [
        "delay",
        "1.5s",
        "--svc",
        "web",
        "-n",
        "shop",
        "--inventory",
        text(&inventory),
        "--interface",
        "eth1",
        "--jitter",
        "500us",
        "--direction",
        "both",
        "--proto",
        "tcp",
        "--port",
        "80,443,8000-8100",
        "--peer",
        "10.0.0.0/8,fd00::1",
        "--target-port",
        "3000",
        "--peer-port",
        "5000-5010",
        "--except",
        "10.1.0.0/16,10.2.0.1",
        "--percent-flows",
        "12.5%",
        "--connections",
        "established",
        "--match-dscp",
        "ef",
        "--length",
        "-1500",
        "--pulse",
        "2s/8s",
        "--duration",
        "1m30s",
        "--grace",
        "0s",
        "--seed",
        "18446744073709551615",
    ];
    assert_eq!(run(&agent, &arguments).code, Some(0));
    assert_eq!(
        agent.prepared(),
        PrepareRequest {
            selector: Some(Selector {
                interface: "eth1".to_owned(),
                r#where: Some(Where::Service(ServiceSelector {
                    name: "web".to_owned(),
                    namespace: "shop".to_owned(),
                    inventory: "services: []\n".to_owned(),
                    inventory_file: text(&inventory).to_owned(),
                })),
            }),
            rules: vec![Rule {
                filter: Some(Filter {
                    direction: Direction::Both.into(),
                    protocol: Protocol::Tcp.into(),
                    ports: vec![ports(80, 80), ports(443, 443), ports(8000, 8100)],
                    target_ports: vec![ports(3000, 3000)],
                    peer_ports: vec![ports(5000, 5010)],
                    peers: vec!["10.0.0.0/8".to_owned(), "fd00::1".to_owned()],
                    except_peers: vec!["10.1.0.0/16".to_owned(), "10.2.0.1".to_owned()],
                    flows_ppm: Some(125_000),
                    connections: Connections::Established.into(),
                    syn_only: false,
                    dscp: Some(46),
                    length: Some(LengthRange {
                        least: 0,
                        most: 1500,
                    }),
                }),
                fault: Some(Fault::Delay(Delay {
                    latency: wire(Duration::from_millis(1500)),
                    jitter: wire(Duration::from_micros(500)),
                    ..Delay::default()
                })),
                pulse: Some(Pulse {
                    on: wire(Duration::from_secs(2)),
                    off: wire(Duration::from_secs(8)),
                }),
            }],
            duration: wire(Duration::from_secs(90)),
            detached: false,
            grace: wire(Duration::ZERO),
            seed: Some(u64::MAX),
            dry_run: false,
            id: String::new(),
            include_probes: false,
        }
    );
}

#[test]
fn paths_become_absolute_and_names_stay() {
    for (arguments, expected) in [
        (["--netns", "web"], Where::Netns("web".to_owned())),
        (["--netns", "./web"], Where::Netns("DIR/web".to_owned())),
        (
            ["--netns", "/run/netns/web"],
            Where::Netns("/run/netns/web".to_owned()),
        ),
        (
            ["--cgroup", "web.slice"],
            Where::Cgroup("DIR/web.slice".to_owned()),
        ),
        (["--pid", "4711"], Where::Pid(4711)),
    ] {
        let agent = Agent::start(Script::default());
        let directory = agent.directory().canonicalize().unwrap();
        let mut command = chaosctl(&["delay", "5ms"]);
        command
            .args(arguments)
            .env("CHAOS_SOCKET", agent.socket())
            .current_dir(&directory);
        assert_eq!(finish(&mut command).code, Some(0));
        let absolute = |path: String| path.replace("DIR", text(&directory));
        let expected = match expected {
            Where::Netns(path) => Where::Netns(absolute(path)),
            Where::Cgroup(path) => Where::Cgroup(absolute(path)),
            other @ (Where::Pid(_) | Where::Service(_) | Where::Node(_) | Where::Pods(_)) => other,
        };
        assert_eq!(agent.prepared().selector.unwrap().r#where, Some(expected));
    }
}

#[test]
fn an_inventory_that_cannot_be_used_is_named() {
    let agent = Agent::start(Script::default());
    let empty = agent.directory().join("empty.yaml");
    std::fs::write(&empty, "\n").unwrap();
    let delay = |file: &str| {
        run(
            &agent,
            &["delay", "--svc", "web", "100ms", "--inventory", file],
        )
    };
    let finished = delay("/nonexistent.yaml");
    assert_eq!(
        finished.stderr,
        "error: cannot read the inventory /nonexistent.yaml: No such file or directory\n"
    );
    assert_eq!(finished.code, Some(2));
    let finished = delay(text(&empty));
    assert!(
        finished
            .stderr
            .ends_with("empty.yaml is empty: list at least one service\n")
    );
    assert_eq!(finished.code, Some(2));
    assert_eq!(agent.calls(), []);
}
