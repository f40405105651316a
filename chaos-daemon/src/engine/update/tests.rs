//! Pods that join and leave while an experiment goes on.

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
                .map_or(0, |first| first.matched_packets);
            if hit.gone {
                format!("({}) {matched}", hit.target.name)
            } else {
                format!("{} {matched}", hit.target.name)
            }
        })
        .collect()
}

#[test]
fn who_joins_acts_for_the_time_that_is_left() {
    let start = Instant::now();
    let mut engine = running(&["one", "two"], start);
    let at = start + seconds(10);
    let change = repoint(&["one", "two", "three"], &["three"]);
    let updated = engine.update("a", &change, at).unwrap();
    assert_eq!(updated.remaining(at), seconds(20));
    assert_eq!(updated.spec.duration, seconds(30));
    assert_eq!(
        updated.spec.selector.at,
        Where::Pods(pods(&["one", "two", "three"]))
    );
    assert_eq!(hits(&mut engine), ["one 10", "two 20", "three 30"]);
    engine.wake("a", start + seconds(30));
    assert_eq!(reason(&mut engine), Some(EndReason::Expired));
    assert_eq!(
        engine.into_datapath().log,
        [
            "install 3 three",
            "arm 3 until 30s",
            "disarm 1,2,3",
            "remove 1,2,3"
        ]
    );
}

#[test]
fn who_leaves_stays_in_the_list_and_who_comes_back_is_new() {
    let start = Instant::now();
    let mut engine = running(&["one", "two"], start);
    engine.update("a", &repoint(&["two"], &[]), start).unwrap();
    assert_eq!(hits(&mut engine), ["(one) 10", "two 20"]);
    let back = repoint(&["one", "two"], &["one"]);
    engine.update("a", &back, start).unwrap();
    assert_eq!(hits(&mut engine), ["(one) 10", "two 20", "one 30"]);
    engine.stop("a", Ending::stopped()).unwrap();
    assert_eq!(
        engine.into_datapath().log,
        [
            "disarm 1",
            "remove 1",
            "install 3 one",
            "arm 3 until 30s",
            "disarm 2,3",
            "remove 2,3"
        ]
    );
}

#[test]
fn those_that_are_targets_are_not_looked_for_again() {
    let start = Instant::now();
    let mut engine = running(&["one", "two"], start);
    let experiment = engine.status("a").unwrap().clone();
    assert_eq!(experiment.to_find(&pods(&["one"]), true).unwrap(), None);
    let selector = experiment.to_find(&pods(&["one", "three"]), true).unwrap();
    assert_eq!(selector.unwrap().at, Where::Pods(pods(&["three"])));
    // Of a container, other processes are meant.
    let of_container = Pods {
        container: Some("app".into()),
        ..pods(&["one"])
    };
    let selector = experiment.to_find(&of_container, true).unwrap();
    assert_eq!(selector.unwrap().at, Where::Pods(of_container.clone()));
    // Whoever looks all the same changes nothing.
    let change = repoint(&["one", "two"], &["one", "two"]);
    engine.update("a", &change, start).unwrap();
    assert_eq!(hits(&mut engine), ["one 10", "two 20"]);
    // One that has gone may be there again.
    engine.datapath.health.insert(1, Health::TargetGone);
    engine.wake("a", start + seconds(1));
    let experiment = engine.status("a").unwrap();
    for looks in [false, true] {
        let find = |names: &[&str]| {
            let selector = experiment.to_find(&pods(names), looks).unwrap();
            selector.map(|selector| selector.at)
        };
        assert_eq!(find(&["one", "two"]), Some(Where::Pods(pods(&["one"]))));
        // Who leaves does not wait until it is.
        assert_eq!(find(&["one"]), None);
        // Nor does who joins, where somebody looks for it besides.
        let joining: &[&str] = if looks { &["three"] } else { &["one", "three"] };
        let found = find(&["one", "two", "three"]);
        assert_eq!(found, Some(Where::Pods(pods(joining))));
    }
    assert!(experiment.only_lets_go(&pods(&["two"])));
    assert!(!experiment.only_lets_go(&pods(&["two", "three"])));
    assert!(!experiment.only_lets_go(&of_container));
    let log = engine.into_datapath().log;
    assert_eq!(log, ["disarm 1", "remove 1"]);
}

#[test]
fn a_pod_with_another_attachment_is_moved() {
    let start = Instant::now();
    let mut engine = running(&["one", "two"], start);
    let mut change = repoint(&["one", "two"], &["one"]);
    change.pods.as_mut().unwrap().found[0].ifindex = 99;
    engine.update("a", &change, start).unwrap();
    assert_eq!(hits(&mut engine), ["(one) 10", "two 20", "one 30"]);
}

#[test]
fn rules_and_time_change_with_the_pods() {
    let start = Instant::now();
    let mut engine = running(&["one", "two"], start);
    let change = Change {
        rules: losing_every(3),
        time: Some(seconds(60)),
        ..repoint(&["two", "three"], &["three"])
    };
    let updated = engine.update("a", &change, start + seconds(10)).unwrap();
    assert_eq!(updated.spec.rules, losing_every(3));
    assert_eq!(updated.spec.duration, seconds(70));
    assert_eq!(hits(&mut engine), ["(one) 10", "two 20", "three 30"]);
    engine.wake("a", start + seconds(69));
    assert_eq!(reason(&mut engine), None);
    assert_eq!(
        engine.into_datapath().log,
        [
            "install 3 three",
            "stage 2",
            "arm 3 until 70s",
            "switch 2 until 70s",
            "disarm 1",
            "remove 1"
        ]
    );
}

#[test]
fn a_pod_that_cannot_join_changes_nothing() {
    let start = Instant::now();
    for (rules, log) in [
        (Vec::new(), vec!["install 3 three", "remove 3"]),
        (losing_every(3), vec!["install 3 three", "remove 3"]),
    ] {
        let mut engine = running(&["one", "two"], start);
        engine.datapath.refuse = Some("four");
        let change = Change {
            rules,
            ..repoint(&["two", "three", "four"], &["three", "four"])
        };
        let error = engine.update("a", &change, start).unwrap_err();
        assert!(
            error.to_string().contains("cannot add four to a"),
            "{error}"
        );
        assert_eq!(hits(&mut engine), ["one 10", "two 20"]);
        let spec = &engine.status("a").unwrap().spec;
        assert_eq!(spec.selector.at, Where::Pods(pods(&["one", "two"])));
        assert_eq!(engine.into_datapath().log, log);
    }
}

#[test]
fn one_that_stays_and_refuses_keeps_others_from_joining() {
    let start = Instant::now();
    let mut engine = running(&["one", "two"], start);
    engine.datapath.refuse = Some("two");
    let change = Change {
        rules: losing_every(3),
        ..repoint(&["one", "two", "three"], &["three"])
    };
    assert!(matches!(
        engine.update("a", &change, start),
        Err(EngineError::Update { .. })
    ));
    assert_eq!(hits(&mut engine), ["one 10", "two 20"]);
    assert_eq!(
        engine.into_datapath().log,
        [
            "install 3 three",
            "stage 1",
            "unstage 1",
            "disarm 3",
            "remove 3"
        ]
    );
}

#[test]
fn one_that_cannot_be_armed_does_not_join() {
    let start = Instant::now();
    let mut engine = running(&["one"], start);
    engine.datapath.refuse_arm = true;
    let change = Change {
        rules: losing_every(3),
        ..repoint(&["two", "three"], &["two", "three"])
    };
    let error = engine.update("a", &change, start).unwrap_err();
    assert!(matches!(error, EngineError::Join { .. }), "{error}");
    assert_eq!(hits(&mut engine), ["one 10"]);
    assert_eq!(reason(&mut engine), None);
    assert_eq!(
        engine.into_datapath().log,
        [
            "install 2 two",
            "install 3 three",
            "unstage ",
            "disarm 2,3",
            "remove 2,3"
        ]
    );
}

#[test]
fn who_joins_before_arm_is_armed_with_the_others() {
    let start = Instant::now();
    let mut engine = prepared(&["one"], start);
    let change = repoint(&["one", "two"], &["two"]);
    engine.update("a", &change, start).unwrap();
    engine.arm("a", start).unwrap();
    assert_eq!(
        engine.into_datapath().log,
        ["install 1 one", "install 2 two", "arm 1,2 until 30s"]
    );
}

#[test]
fn only_pods_come_and_go() {
    let start = Instant::now();
    let mut engine = armed_loss(&["one"], start);
    let change = repoint(&["one"], &[]);
    let refused = engine.update("a", &change, start);
    assert!(matches!(refused, Err(EngineError::NotPods { .. })));
    let experiment = engine.status("a").unwrap();
    assert!(experiment.to_find(&pods(&["one"]), true).is_err());
    let mut engine = running(&["one"], start);
    let refused = engine.update("a", &repoint(&[], &[]), start);
    assert!(matches!(
        refused,
        Err(EngineError::Spec(SpecError::PodCount { .. }))
    ));
}

#[test]
fn when_the_last_is_gone_it_is_over_with_all_counters() {
    let start = Instant::now();
    let mut engine = running(&["one", "two"], start);
    engine.update("a", &repoint(&["two"], &[]), start).unwrap();
    engine.datapath.health.insert(2, Health::TargetGone);
    engine.wake("a", start + seconds(1));
    assert_eq!(reason(&mut engine), Some(EndReason::TargetGone));
    assert_eq!(hits(&mut engine), ["(one) 10", "(two) 20"]);
}

#[test]
fn who_came_and_went_long_ago_is_forgotten() {
    let start = Instant::now();
    let mut engine = running(&["one", "two"], start);
    for _ in 0..MOST_GONE + 2 {
        let (away, back) = (repoint(&["one"], &[]), repoint(&["one", "two"], &["two"]));
        engine.update("a", &away, start).unwrap();
        engine.update("a", &back, start).unwrap();
    }
    let hits = hits(&mut engine);
    assert_eq!(hits.len(), MOST_GONE + 2);
    assert_eq!(hits[..2], ["one 10", "(two) 40"]);
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

/// One that somebody looks after: these pods have lost their targets.
fn missing(names: &[&str], start: Instant) -> Engine<Script> {
    let mut engine = running(names, start);
    engine.look_for_missing();
    for number in 1..=names.len() {
        let number = u64::try_from(number).unwrap();
        engine.datapath.health.insert(number, Health::TargetGone);
    }
    engine.wake("a", start + seconds(1));
    engine
}

fn back(names: &[&str]) -> Return {
    Return {
        found: found(names),
        lost: Vec::new(),
    }
}

fn lost(name: &str) -> Return {
    Return {
        found: Vec::new(),
        lost: vec![pod(name).uid],
    }
}

#[test]
fn a_pod_that_gets_another_container_is_hit_again_until_the_same_deadline() {
    let start = Instant::now();
    let mut engine = missing(&["one", "two"], start);
    assert_eq!(reason(&mut engine), None, "they may come back");
    let asked = engine.status("a").unwrap().missing().unwrap();
    assert_eq!(asked.at, Where::Pods(pods(&["one", "two"])));
    engine.returned("a", back(&["two", "three"]));
    assert_eq!(hits(&mut engine), ["(one) 10", "(two) 20", "two 30"]);
    let asked = engine.status("a").unwrap().missing().unwrap();
    assert_eq!(asked.at, Where::Pods(pods(&["one"])));
    // Told twice, it is there once.
    engine.returned("a", back(&["two"]));
    assert_eq!(hits(&mut engine).len(), 3);
    engine.wake("a", start + seconds(30));
    assert_eq!(reason(&mut engine), Some(EndReason::Expired));
    let log = engine.into_datapath().log;
    let since = log.iter().position(|line| line == "install 3 two").unwrap();
    assert_eq!(
        log[since..],
        ["install 3 two", "arm 3 until 30s", "disarm 3", "remove 3"]
    );
}

#[test]
fn when_no_pod_will_come_back_it_is_over() {
    let start = Instant::now();
    let mut engine = running(&["zero", "one", "two"], start);
    engine.look_for_missing();
    // Whoever is let go is not waited for, and not why it ends.
    let change = repoint(&["one", "two"], &[]);
    engine.update("a", &change, start).unwrap();
    for number in 2..=3 {
        engine.datapath.health.insert(number, Health::TargetGone);
    }
    engine.wake("a", start + seconds(1));
    engine.returned("a", lost("one"));
    assert_eq!(reason(&mut engine), None);
    engine.returned("a", lost("two"));
    assert_eq!(reason(&mut engine), Some(EndReason::TargetGone));
    let State::Ended(ending) = engine.state("a").unwrap() else {
        panic!("it is over");
    };
    assert_eq!(ending.detail, "target gone: one, two");
    engine.returned("a", back(&["one"]));
    assert_eq!(reason(&mut engine), Some(EndReason::TargetGone));
}

#[test]
fn one_that_refuses_when_it_is_back_is_missing_still() {
    let start = Instant::now();
    let mut engine = missing(&["one", "two"], start);
    engine.datapath.refuse = Some("one");
    engine.returned("a", back(&["one", "two"]));
    assert_eq!(hits(&mut engine), ["(one) 10", "(two) 20", "two 30"]);
    engine.datapath.refuse_arm = true;
    engine.datapath.refuse = None;
    engine.returned("a", back(&["one"]));
    let asked = engine.status("a").unwrap().missing().unwrap();
    assert_eq!(asked.at, Where::Pods(pods(&["one"])));
    assert_eq!(engine.into_datapath().log.last().unwrap(), "remove 4");
}
