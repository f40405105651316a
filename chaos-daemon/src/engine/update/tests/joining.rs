//! Who joins and who leaves.

use super::*;

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
