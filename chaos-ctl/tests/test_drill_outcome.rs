//! What a drill leaves: its exit code, its result, its report.

use std::time::{Duration, Instant};

use chaos_proto::v1::{Counters, EndReason};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::agent::{Agent, Call, DEADLINE};
use crate::chaosctl::{Running, run, text};
use crate::script::{Script, Then};
use crate::test_drill::{STRICT, Server, drill, file};

fn that_hits_nothing() -> Agent {
    Agent::start(Script {
        hits: Counters::default(),
        ..Script::default()
    })
}

#[test]
fn a_crossed_threshold_comes_before_faults_that_hit_nothing() {
    let (agent, server) = (that_hits_nothing(), Server::start());
    let finished = drill(&agent, &server, STRICT, &[]);
    assert_eq!(finished.code, Some(99), "{finished:?}");
    let stderr = &finished.stderr;
    assert!(stderr.contains("error: thresholds on metrics"), "{stderr}");
    assert!(
        stderr.contains("error: phase `chaos`: nothing was hit: no packet matched\n"),
        "{stderr}"
    );
    let strict = drill(&agent, &server, STRICT, &["-q", "-o", "json"]).json();
    assert_eq!(strict["outcome"], "crossed");
    let finished = drill(&agent, &server, "", &["-q", "-o", "json"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert_eq!(finished.json()["outcome"], "nothing_matched");
}

#[test]
fn faults_that_did_not_act_come_before_a_crossed_threshold() {
    let agent = Agent::start(Script {
        then: Then::End(EndReason::Stopped, ""),
        ..Script::default()
    });
    let server = Server::start();
    let finished = drill(&agent, &server, STRICT, &["-o", "json"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.json()["outcome"], "failed");
    assert!(finished.stderr.contains("error: thresholds on metrics"));
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_the_first_request() {
    let (agent, server) = (Agent::start(Script::default()), Server::start());
    let report = agent.directory().join("nowhere/report.html");
    let finished = drill(&agent, &server, STRICT, &["--report", text(&report)]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let sentence = format!("error: cannot write the report {}: ", text(&report));
    assert!(finished.stderr.contains(&sentence), "{finished:?}");
    assert_eq!(server.asked(), 0);
}

/// A disk that is full when it is over.
#[test]
fn a_report_that_is_not_written_swallows_no_verdict() {
    let (agent, server) = (Agent::start(Script::default()), Server::start());
    let finished = drill(&agent, &server, STRICT, &["--report", "/dev/full"]);
    assert_eq!(finished.code, Some(99), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("error: cannot write the report /dev/full: ")
    );
    assert!(finished.stderr.contains("error: thresholds on metrics"));
    let finished = drill(&agent, &server, "", &["--report", "/dev/full"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
}

#[test]
fn the_time_it_took_ends_with_the_load() {
    let agent = Agent::start(Script {
        then: Then::Run,
        hang_disarm: true,
        ..Script::default()
    });
    let server = Server::start();
    let file = file(&agent, &server, ["100ms", "10m"], "");
    let begin = Instant::now();
    let mut running = Running::against(&agent, &["drill", &file, "-o", "json"]);
    running.wait_for("chaos for 10 min");
    running.signal(Signal::SIGINT);
    running.wait_for("stopping …");
    // It ended before this; what its agent takes after that is not part of it.
    let over = begin.elapsed();
    let disarmed = Instant::now();
    while !agent
        .calls()
        .iter()
        .any(|call| matches!(call, Call::Disarm(_)))
    {
        assert!(disarmed.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(10));
    }
    // So much that it would be seen.
    std::thread::sleep(over);
    running.signal(Signal::SIGINT);
    let finished = running.wait();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let took = finished.json()["duration_ns"]
        .as_u64()
        .map(Duration::from_nanos);
    assert!(took < Some(over), "{took:?} of {over:?}");
}

#[test]
fn a_dry_run_sends_and_applies_nothing() {
    let (agent, server) = (Agent::start(Script::default()), Server::start());
    let finished = drill(&agent, &server, "", &["--dry-run"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let (out, err) = (&finished.stdout, &finished.stderr);
    assert!(
        out.starts_with("base for 400 ms, no faults\nchaos for 600 ms\nTARGET"),
        "{out}"
    );
    assert!(err.contains(" 50 times in 1 s, 2 phases; "), "{err}");
    assert_eq!(server.asked(), 0);
    assert!(
        agent
            .calls()
            .iter()
            .all(|call| matches!(call, Call::Prepare(p) if p.dry_run))
    );
}

#[test]
fn a_dry_run_is_one_document() {
    let (agent, server) = (Agent::start(Script::default()), Server::start());
    let path = agent.directory().join("drill.yaml");
    let faults = "faults: { netns: web, rules: [{ partition: }] }";
    let write = |phases: &str| {
        let drill = format!(
            "load: {{ url: '{}', rate: 5/s }}\nphases: [{phases}]",
            server.url()
        );
        std::fs::write(&path, drill).unwrap();
        let finished = run(&agent, &["drill", text(&path), "--dry-run", "-o", "json"]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.json()
    };
    let json = write(&format!(
        "{{ name: base, for: 1s }}, {{ name: one, for: 2s, {faults} }}, {{ name: two, for: 3s, {faults} }}"
    ));
    assert_eq!(json["outcome"], "dry_run");
    assert_eq!(
        json["load"]["rate"],
        json!({"count": 5, "per_ns": 1_000_000_000})
    );
    let phases = json["phases"].as_array().unwrap();
    let named: Vec<_> = phases.iter().map(|phase| &phase["name"]).collect();
    assert_eq!(named, ["base", "one", "two"]);
    assert!(phases[0]["experiment"].is_null());
    assert_eq!(phases[2]["duration_ns"], 3_000_000_000_u64);
    assert_eq!(phases[2]["experiment"]["outcome"], "dry_run");
    let without = write("{ name: base, for: 1s }");
    assert_eq!(without["phases"].as_array().unwrap().len(), 1);
}
