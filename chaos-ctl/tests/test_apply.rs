//! `chaosctl apply`: what a file becomes on the wire, and what is said about a wrong one.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{Direction, Protocol};

use crate::agent::Agent;
use crate::chaosctl::{Finished, chaosctl, run, text};
use crate::script::Script;

const EXPERIMENT: &str = "\
service: provider-chaos-service
duration: 45s
grace: 10s
seed: 7
rules:
  - delay: { latency: 100ms, jitter: 20ms }
    filter: { direction: ingress, proto: tcp, ports: [3000, 8000-8100], peers: [10.0.0.0/8] }
    pulse: 2s/8s
  - loss: { percent: 5 }
  - partition:
";

fn apply(agent: &Agent, experiment: &str, options: &[&str]) -> Finished {
    let file = agent.directory().join("experiment.yaml");
    std::fs::write(&file, experiment).unwrap();
    let mut finished = run(agent, &[&["apply", "-f", text(&file)], options].concat());
    finished.stderr = finished.stderr.replace(text(&file), "FILE");
    finished
}

fn wire(seconds: u64) -> Option<prost_types::Duration> {
    Duration::from_secs(seconds).try_into().ok()
}

#[test]
fn a_file_is_one_request_with_all_its_rules() {
    let agent = Agent::start(Script::default());
    let finished = apply(&agent, EXPERIMENT, &[]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stderr.starts_with(
        "delay-3f9a1c: delay 100 ms ± 20 ms ingress + loss 5 % egress + partition both on 1 target for 45 s"
    ));
    let request = agent.prepared();
    assert_eq!(request.duration, wire(45));
    assert_eq!(request.grace, wire(10));
    assert_eq!(request.seed, Some(7));
    match request.selector.unwrap().r#where {
        Some(Where::Service(service)) => assert_eq!(service.name, "provider-chaos-service"),
        other => panic!("{other:?}"),
    }
    let [delay, loss, partition] = &request.rules[..] else {
        panic!("{:?}", request.rules)
    };
    let filter = delay.filter.as_ref().unwrap();
    assert_eq!(filter.direction(), Direction::Ingress);
    assert_eq!(filter.protocol(), Protocol::Tcp);
    let ports: Vec<_> = filter.ports.iter().map(|p| (p.first, p.last)).collect();
    assert_eq!(ports, [(3000, 3000), (8000, 8100)]);
    assert_eq!(filter.peers, ["10.0.0.0/8"]);
    assert_eq!(delay.pulse.as_ref().unwrap().off, wire(8));
    match &loss.fault {
        Some(Fault::Loss(loss)) => assert_eq!(loss.share_ppm, 50_000),
        other => panic!("{other:?}"),
    }
    let filter = partition.filter.as_ref().unwrap();
    assert_eq!(filter.direction(), Direction::Both);
}

#[test]
fn options_win_over_the_file() {
    let agent = Agent::start(Script::default());
    let options = [
        "--duration",
        "5s",
        "--seed",
        "8",
        "--grace",
        "1s",
        "--dry-run",
    ];
    assert_eq!(apply(&agent, EXPERIMENT, &options).code, Some(0));
    let request = agent.prepared();
    assert_eq!(request.duration, wire(5));
    assert_eq!(request.grace, wire(1));
    assert_eq!(request.seed, Some(8));
    assert!(request.dry_run);
    let agent = Agent::start(Script::default());
    assert_eq!(apply(&agent, EXPERIMENT, &["--detach"]).code, Some(0));
    let request = agent.prepared();
    assert!(request.detached);
    assert_eq!(request.grace, None);
}

#[test]
fn a_file_without_a_duration_runs_for_the_usual_time() {
    let agent = Agent::start(Script::default());
    let experiment = "pid: 4711\nrules: [{ rate: { rate: 10mbit } }]\n";
    assert_eq!(apply(&agent, experiment, &[]).code, Some(0));
    let request = agent.prepared();
    assert_eq!(request.duration, wire(30));
    assert_eq!(request.seed, None);
    assert_eq!(request.selector.unwrap().r#where, Some(Where::Pid(4711)));
}

#[test]
fn a_dash_is_standard_input() {
    let agent = Agent::start(Script::default());
    let mut child = chaosctl(&["apply", "-f", "-"])
        .env("CHAOS_SOCKET", agent.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(EXPERIMENT.as_bytes()).unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(agent.prepared().rules.len(), 3);
}

#[test]
fn paths_are_relative_to_the_file() {
    let agent = Agent::start(Script::default());
    std::fs::write(agent.directory().join("inventory.yaml"), "services: []\n").unwrap();
    std::fs::write(agent.directory().join("latencies.txt"), "1ms\n2ms\n").unwrap();
    let experiment = "\
service: web
inventory: inventory.yaml
rules:
  - delay: { distribution: latencies.txt }
";
    let finished = apply(&agent, experiment, &[]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let request = agent.prepared();
    match request.selector.unwrap().r#where {
        Some(Where::Service(service)) => assert_eq!(service.inventory, "services: []\n"),
        other => panic!("{other:?}"),
    }
    match &request.rules[0].fault {
        Some(Fault::Delay(delay)) => assert_eq!(delay.quantile_ns.last(), Some(&2_000_000)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let agent = Agent::start(Script::default());
    for (experiment, sentence) in [
        (
            "",
            "the experiment FILE does not say where: give exactly one of service, pod, selector",
        ),
        ("rules: []\n", "the experiment FILE does not say where: "),
        (
            "netns: a\npid: 1\nrules: [{partition: }]\n",
            "the experiment FILE does not say where: ",
        ),
        (
            "netns: a\n",
            "the experiment FILE does not say what to do: ",
        ),
        (
            "netns: a\nnamespace: b\nrules: [{partition: }]\n",
            "the experiment FILE has namespace, which goes with service only: ",
        ),
        (
            "netns: a\nrules: [{filter: {proto: tcp}}]\n",
            "the experiment FILE, rule 1: give exactly one of delay, loss, ",
        ),
        (
            "netns: a\nrules:\n  - partition:\n  - {loss: {percent: 5}, partition: {}}\n",
            "the experiment FILE, rule 2: give exactly one of delay, loss, ",
        ),
        (
            "netns: a\nrules: [{loss: {}}]\n",
            "the experiment FILE, rule 1: loss does not say how many packets to drop: ",
        ),
        (
            "netns: a\nruels: []\n",
            "the experiment FILE is not valid: unknown key `ruels` at line 2, column 1: did you mean `rules`?",
        ),
        (
            "netns: a\nrules:\n  - delay: { latncy: 5ms }\n",
            "the experiment FILE is not valid: unknown key `latncy` at line 3, column 14: did you mean `latency`?",
        ),
        (
            "netns: a\nrules:\n  - partition: {}\n    filter: { port: 80 }\n",
            "the experiment FILE is not valid: unknown key `port` at line 4, column 15: did you mean `ports`?",
        ),
        (
            "netns: a\nrules:\n  - partition: {}\n    filter: { direction: egres }\n",
            "the experiment FILE is not valid: unknown value `egres` at line 4, column 26: did you mean `egress`?",
        ),
        (
            "netns: a\nrules:\n  - delay: { latency: 5 }\n",
            "the experiment FILE is not valid: ",
        ),
        ("- 1\n", "the experiment FILE is not valid: "),
        ("netns: [\n", "the experiment FILE is not valid: "),
    ] {
        let finished = apply(&agent, experiment, &[]);
        assert!(
            finished.stderr.starts_with(&format!("error: {sentence}")),
            "{experiment}\n{}",
            finished.stderr
        );
        assert_eq!(finished.code, Some(2), "{experiment}");
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    }
    let finished = run(&agent, &["apply", "-f", "/nonexistent.yaml"]);
    assert_eq!(
        finished.stderr,
        "error: cannot read the experiment /nonexistent.yaml: No such file or directory\n"
    );
    assert_eq!(finished.code, Some(2));
    assert_eq!(agent.calls(), []);
}

#[test]
fn the_documented_examples_are_valid() {
    let document = include_str!("../../docs/experiment.md");
    let mut examples = 0;
    for part in document.split("```yaml\n").skip(1) {
        let (example, _) = part.split_once("```").unwrap();
        let agent = Agent::start(Script::default());
        std::fs::write(agent.directory().join("production.txt"), "1ms\n2ms\n").unwrap();
        std::fs::write(agent.directory().join("services.yaml"), "services: []\n").unwrap();
        let finished = apply(&agent, example, &["--dry-run"]);
        assert_eq!(finished.code, Some(0), "{example}\n{}", finished.stderr);
        examples += 1;
    }
    assert!(examples >= 2);
}
