//! A thousand pods on two hundred nodes, with simulated agents: how long a plan takes, until it acts everywhere, and how
//! far apart the nodes start.

use std::{
    fs,
    net::Ipv4Addr,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chaos_tests::{
    apiserver::{
        ApiServer,
        access::Rule,
        kubeconfig::{self, Credentials},
        scene::NewPod,
    },
    fleet::{Fleet, NAMESPACE},
    lab::Output,
    programs::program,
};
use serde_json::json;

const NODES: u16 = 200;
const PODS: u16 = 1000;

#[test]
fn a_thousand_pods_on_two_hundred_nodes() {
    thousand().unwrap();
}

fn thousand() -> Result<()> {
    let server = ApiServer::start()?;
    server.add_namespace("demo");
    server.add_user("secret", "admin");
    server.allow("admin", Rule::cluster("*", "*", "*"));
    let nodes: Vec<String> = (0..NODES).map(|number| format!("node-{number}")).collect();
    for (node, number) in nodes.iter().zip(0_u16..) {
        let [high, low] = number.to_be_bytes();
        server.add_node(node, Ipv4Addr::new(10, 1, high, low).into(), &[]);
    }
    let fleet = Fleet::start(&server, &nodes)?;
    server.add_service_account(NAMESPACE, "chaosctl");
    let labels = [("app", "provider-chaos")];
    let ports = [("http", 3001, json!(3000))];
    server.add_service("demo", "provider-chaos-service", &labels, &ports, false);
    let pods: Vec<NewPod> = (0..PODS)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            let node = &nodes[usize::from(number % NODES)];
            let address = Ipv4Addr::new(10, 244, high, low);
            NewPod::new("demo", &format!("provider-{number}"), node, address.into())
                .label("app", "provider-chaos")
                .port("http", 3000)
        })
        .collect();
    server.add_pods("demo", &pods);

    let directory = tempfile::tempdir()?;
    let path = directory.path().join("config");
    let credentials = Credentials::Token("secret".to_owned());
    kubeconfig::write(&path, &[server.context("large", Some("demo"), credentials)])?;
    let mut command = Command::new(program("chaosctl")?);
    command
        .args("delay --svc provider-chaos-service 100ms --duration 5s".split(' '))
        .env("KUBECONFIG", &path)
        .env_remove("CHAOS_SOCKET")
        .env_remove("CHAOS_SERVER");
    let began = Instant::now();
    let output = Output::of(command, Duration::from_mins(2))?;
    fs::write("/dev/stderr", &output.stderr)?;
    // Nothing goes through simulated agents: what went well ends with 3.
    ensure!(output.code == Some(3), "{output:?}");

    let calls = |method: &str| -> Vec<Instant> {
        let mut times: Vec<Instant> = fleet
            .agents()
            .iter()
            .flat_map(|agent| agent.calls_of(method))
            .map(|call| call.at)
            .collect();
        times.sort();
        times
    };
    let (prepared, armed) = (calls("prepare"), calls("arm"));
    assert_eq!(armed.len(), usize::from(NODES));
    let first = *prepared.first().context("a prepare")?;
    let (start, end) = (armed[0], armed[armed.len() - 1]);
    let targets: usize = fleet
        .agents()
        .iter()
        .flat_map(chaos_tests::fleet::Agent::experiments)
        .map(|experiment| experiment.targets.len())
        .sum();
    assert_eq!(targets, usize::from(PODS));
    let (plan, all, spread) = (first - began, end - began, end - start);
    eprintln!("planned after {plan:?}, armed everywhere after {all:?}, starts within {spread:?}");
    assert!(plan <= Duration::from_secs(1), "planned after {plan:?}");
    assert!(all <= Duration::from_secs(3), "armed after {all:?}");
    assert!(
        spread <= Duration::from_millis(250),
        "starts within {spread:?}"
    );
    Ok(())
}
