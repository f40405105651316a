//! `chaosctl update`: what changes, what stays, and what is said about an update that cannot be.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Direction, Filter, Protocol, UpdateRequest};

use crate::agent::{Agent, Call};
use crate::chaosctl::{Finished, run, text};
use crate::script::Script;
use crate::test_list::two;

/// The first of its experiments has a filter and a pulse.
fn agent() -> Agent {
    let mut experiments = two();
    experiments[0].rules[0].filter = Some(Filter {
        direction: Direction::Ingress.into(),
        peers: vec!["10.0.0.0/8".to_owned()],
        ..Filter::default()
    });
    experiments[0].rules[0].pulse = Some(chaos_proto::v1::Pulse {
        on: Duration::from_secs(2).try_into().ok(),
        off: Duration::from_secs(8).try_into().ok(),
    });
    Agent::start(Script {
        experiments,
        ..Script::default()
    })
}

fn update(agent: &Agent, options: &[&str]) -> Finished {
    run(agent, &[&["update", "delay-3f9a1c"], options].concat())
}

fn asked(agent: &Agent) -> UpdateRequest {
    let mut calls = agent.calls();
    match calls.pop() {
        Some(Call::Update(request)) => *request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_given_stays() {
    let agent = agent();
    let finished = update(&agent, &["delay", "200ms"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished
            .stdout
            .contains("delay 200 ms: all packets that arrive at the target"),
        "{finished:?}"
    );
    let request = asked(&agent);
    assert_eq!(
        (request.id.as_str(), request.duration),
        ("delay-3f9a1c", None)
    );
    let [rule] = &request.rules[..] else {
        panic!("{request:?}")
    };
    let filter = rule.filter.as_ref().unwrap();
    assert_eq!(filter.direction(), Direction::Ingress);
    assert_eq!(filter.peers, ["10.0.0.0/8"]);
    assert_eq!(rule.pulse.unwrap().on.unwrap().seconds, 2);
    match &rule.fault {
        Some(Fault::Delay(delay)) => assert_eq!(delay.latency.unwrap().nanos, 200_000_000),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_taken_away_is_gone() {
    let agent = agent();
    let options = ["delay", "200ms", "--no-filter"];
    assert_eq!(update(&agent, &options).code, Some(0));
    let rule = asked(&agent).rules.remove(0);
    let whole = Filter {
        direction: Direction::Egress.into(),
        ..Filter::default()
    };
    assert_eq!(rule.filter, Some(whole));
    assert!(rule.pulse.is_some(), "the pulse stays");
    let options = ["delay", "200ms", "--no-pulse"];
    assert_eq!(update(&agent, &options).code, Some(0));
    let rule = asked(&agent).rules.remove(0);
    assert_eq!(rule.filter.unwrap().peers, ["10.0.0.0/8"]);
    assert_eq!(rule.pulse, None);
    for both in [
        ["--no-filter", "--port=80"],
        ["--no-pulse", "--pulse=1s/1s"],
    ] {
        let finished = update(&agent, &[&["delay", "200ms"], &both[..]].concat());
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(
            finished.stderr.contains("cannot be used with"),
            "{finished:?}"
        );
    }
}

#[test]
fn a_filter_that_is_given_is_the_filter() {
    let agent = agent();
    let options = [
        "--duration",
        "1m",
        "delay",
        "1s",
        "--proto",
        "udp",
        "--pulse",
        "1s/1s",
    ];
    assert_eq!(update(&agent, &options).code, Some(0));
    let request = asked(&agent);
    assert_eq!(request.duration.unwrap().seconds, 60);
    let filter = request.rules[0].filter.as_ref().unwrap();
    assert_eq!(
        (filter.direction(), filter.protocol(), filter.peers.len()),
        (Direction::Egress, Protocol::Udp, 0)
    );
    assert_eq!(request.rules[0].pulse.unwrap().on.unwrap().seconds, 1);
}

#[test]
fn time_alone_leaves_the_rules() {
    let agent = agent();
    assert_eq!(update(&agent, &["--duration", "90s"]).code, Some(0));
    let request = asked(&agent);
    assert_eq!(
        (request.rules.len(), request.duration.unwrap().seconds),
        (0, 90)
    );
}

#[test]
fn a_file_has_all_rules() {
    let agent = agent();
    let file = agent.directory().join("experiment.yaml");
    let rules = "\nduration: 3s\nrules: [{delay: {latency: 7ms}}, {loss: {percent: 1}}]";
    std::fs::write(&file, format!("service: provider{rules}")).unwrap();
    let finished = update(&agent, &["-f", text(&file)]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let request = asked(&agent);
    assert_eq!((request.rules.len(), request.duration), (2, None));
    std::fs::write(&file, format!("service: consumer{rules}")).unwrap();
    let finished = update(&agent, &["-f", text(&file)]);
    assert_eq!(
        (finished.stderr.as_str(), finished.code),
        (
            "error: the file is about service consumer (namespace default), and delay-3f9a1c acts on service provider (namespace default): targets stay, so start another experiment\n",
            Some(1)
        )
    );
}

#[test]
fn what_cannot_be_is_said() {
    let agent = agent();
    let said = |options: &[&str]| {
        let finished = update(&agent, options);
        (finished.stderr, finished.code)
    };
    let (stderr, code) = said(&[]);
    assert!(stderr.contains("does not say what to change"), "{stderr}");
    assert_eq!(code, Some(2));
    let (stderr, code) = said(&["delay", "-5ms"]);
    assert!(stderr.contains("-5ms"), "{stderr}");
    assert_eq!(code, Some(2));
    let (stderr, code) = said(&["delay", "1s", "--svc", "other"]);
    assert!(stderr.contains("--svc"), "{stderr}");
    assert_eq!(code, Some(2));
    let finished = run(&agent, &["update", "nope", "loss", "5%"]);
    assert!(finished.stderr.contains("there is no experiment nope"));
    assert_eq!(finished.code, Some(1));
    assert!(
        !agent
            .calls()
            .iter()
            .any(|call| matches!(call, Call::Update(_)))
    );
}

#[test]
fn one_fault_cannot_stand_for_several_rules() {
    let mut experiments = two();
    let second = experiments[1].rules[0].clone();
    experiments[0].rules.push(second);
    let agent = Agent::start(Script {
        experiments,
        ..Script::default()
    });
    let finished = update(&agent, &["delay", "1s"]);
    assert!(
        finished.stderr.contains("delay-3f9a1c has 2 rules"),
        "{finished:?}"
    );
    assert_eq!(finished.code, Some(1));
}
