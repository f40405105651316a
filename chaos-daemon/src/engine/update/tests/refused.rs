//! Pods that cannot join, and what that undoes.

use super::*;

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
