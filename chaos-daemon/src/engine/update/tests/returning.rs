//! Pods that have lost their targets, and come back.

use super::*;

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
