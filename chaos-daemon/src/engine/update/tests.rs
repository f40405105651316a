//! Pods that join and leave while an experiment goes on.

mod joining;
mod refused;
mod returning;

use super::*;
use crate::engine::{
    EndReason, Ending, Health, MOST_GONE, Pod, Return,
    tests::{Script, armed_loss, losing_every, reason, seconds, spec, targets},
};

fn pod(name: &str) -> Pod {
    Pod {
        namespace: "default".into(),
        name: name.into(),
        uid: format!("uid-of-{name}"),
        of_file: None,
        container_ids: Vec::new(),
        network: None,
    }
}

fn pods(names: &[&str]) -> Pods {
    Pods {
        pods: names.iter().copied().map(pod).collect(),
        origin: None,
        container: None,
    }
}

/// One target for each of them, each with an interface of its own.
fn found(names: &[&str]) -> Vec<Target> {
    let number = |name: &str| u32::from(name.as_bytes()[0]) << 8 | u32::from(name.as_bytes()[1]);
    targets(names)
        .into_iter()
        .map(|target| Target {
            ifindex: number(&target.name),
            pod: Some(pod(&target.name)),
            ..target
        })
        .collect()
}

fn spec_of(names: &[&str]) -> Spec {
    let mut spec = spec(true);
    spec.rules = losing_every(2);
    spec.selector.at = Where::Pods(pods(names));
    spec
}

fn prepared(names: &[&str], now: Instant) -> Engine<Script> {
    let mut engine = Engine::new(Script::default());
    let prepared = engine.prepare("a".into(), spec_of(names), found(names), None, now);
    prepared.unwrap();
    engine
}

pub(crate) fn running(names: &[&str], start: Instant) -> Engine<Script> {
    let mut engine = prepared(names, start);
    engine.arm("a", start).unwrap();
    engine.datapath.log.clear();
    engine
}

/// These from now on, of which those are no targets yet.
pub(crate) fn repoint(all: &[&str], joining: &[&str]) -> Change {
    Change {
        pods: Some(Repoint {
            pods: pods(all),
            found: found(joining),
        }),
        ..Change::default()
    }
}

/// Names of all targets, those that are gone in parentheses, and how many packets they matched.
fn hits(engine: &mut Engine<Script>) -> Vec<String> {
    let hits = &engine.status("a").unwrap().hits;
    hits.iter()
        .map(|hit| {
            let matched = hit
                .counters
                .first()
                .map_or(0, |first| first.packets.matched_packets);
            if hit.gone {
                format!("({}) {matched}", hit.target.name)
            } else {
                format!("{} {matched}", hit.target.name)
            }
        })
        .collect()
}

#[test]
fn an_id_is_given_once() {
    let start = Instant::now();
    let mut engine = running(&["one"], start);
    let again = |engine: &mut Engine<Script>| {
        let spec = spec_of(&["two"]);
        let prepared = engine.prepare("a".into(), spec, found(&["two"]), None, start);
        assert!(matches!(prepared, Err(EngineError::Exists { .. })));
    };
    again(&mut engine);
    engine.stop("a", Ending::stopped()).unwrap();
    again(&mut engine);
    assert!(
        !engine
            .into_datapath()
            .log
            .contains(&"install 2 two".to_owned())
    );
}

#[test]
fn who_started_it_is_remembered() {
    let now = Instant::now();
    let mut engine = Engine::new(Script::default());
    let who = Some("alice".to_owned());
    let prepared = engine.prepare("a".into(), spec_of(&["one"]), found(&["one"]), who, now);
    assert_eq!(prepared.unwrap().started_by.as_deref(), Some("alice"));
    let stopped = engine.stop("a", Ending::stopped()).unwrap();
    assert_eq!(stopped.started_by.as_deref(), Some("alice"));
}
