//! How experiments end, and when.

use super::*;

#[test]
fn detached_experiment_ends_at_its_deadline() {
    let start = Instant::now();
    let mut engine = armed(true, &["one", "two"], start);
    engine.wake("a", start + seconds(29));
    assert_eq!(reason(&mut engine), None);
    engine.wake("a", start + seconds(30));
    assert_eq!(reason(&mut engine), Some(EndReason::Expired));
    assert_eq!(engine.wakes_at("a"), None);
    let expected = [
        "install 1 one",
        "install 2 two",
        "arm 1,2 until 30s",
        "disarm 1,2",
        "remove 1,2",
    ];
    assert_eq!(engine.into_datapath().log, expected);
}

#[test]
fn prepared_experiment_does_not_wait_for_ever() {
    let start = Instant::now();
    let mut engine = Engine::new(Script::default());
    engine
        .prepare("a".into(), spec(false), targets(&["one"]), None, start)
        .unwrap();
    engine.wake("a", start + seconds(29));
    assert_eq!(reason(&mut engine), None);
    engine.wake("a", start + PREPARED_LIFETIME);
    assert_eq!(reason(&mut engine), Some(EndReason::ClientGone));
}

#[test]
fn client_that_leaves_has_its_grace() {
    let start = Instant::now();
    let mut engine = armed(false, &["one"], start);
    engine.hold("a", true, start + seconds(1));
    engine.wake("a", start + seconds(20));
    assert_eq!(reason(&mut engine), None);
    engine.hold("a", false, start + seconds(20));
    assert_eq!(
        engine.wakes_at("a").map(|at| at <= start + seconds(25)),
        Some(true)
    );
    engine.wake("a", start + seconds(24));
    assert_eq!(reason(&mut engine), None);
    engine.wake("a", start + seconds(25));
    assert_eq!(reason(&mut engine), Some(EndReason::ClientGone));
}

#[test]
fn second_client_keeps_it_alive() {
    let start = Instant::now();
    let mut engine = armed(false, &["one"], start);
    engine.hold("a", true, start);
    engine.hold("a", true, start);
    engine.hold("a", false, start + seconds(1));
    engine.wake("a", start + seconds(20));
    assert_eq!(reason(&mut engine), None);
}

#[test]
fn ends_when_the_last_target_is_gone() {
    let start = Instant::now();
    let mut engine = armed(true, &["one", "two"], start);
    engine.datapath.health.insert(1, Health::TargetGone);
    engine.wake("a", start + seconds(1));
    assert_eq!(reason(&mut engine), None);
    assert!(engine.status("a").unwrap().hits[0].gone);
    engine.datapath.health.insert(2, Health::TargetGone);
    engine.wake("a", start + seconds(2));
    assert_eq!(reason(&mut engine), Some(EndReason::TargetGone));
}

#[test]
fn broken_line_is_a_failure() {
    let start = Instant::now();
    let mut engine = armed(true, &["one"], start);
    engine.datapath.health.insert(1, Health::LineBroken);
    engine.wake("a", start + seconds(1));
    assert_eq!(reason(&mut engine), Some(EndReason::Failed));
}

#[test]
fn stopping_is_final_and_keeps_the_last_counters() {
    let start = Instant::now();
    let mut engine = armed(true, &["one"], start);
    engine.stop("a", Ending::stopped()).unwrap();
    let again = engine.stop("a", Ending::agent_stopped()).unwrap();
    assert_eq!(again.hits[0].counters[0].packets.matched_packets, 10);
    assert_eq!(reason(&mut engine), Some(EndReason::Stopped));
    assert!(matches!(
        engine.stop("b", Ending::stopped()),
        Err(EngineError::NoSuchExperiment { .. })
    ));
}
