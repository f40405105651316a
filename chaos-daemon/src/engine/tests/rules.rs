//! Other rules and another time for an experiment that goes on.

use super::*;

fn change(rules: Vec<Rule>, time: Option<Duration>) -> Change {
    Change {
        rules,
        time,
        pods: None,
    }
}

fn rules(rules: Vec<Rule>) -> Change {
    change(rules, None)
}

#[test]
fn changed_rules_act_until_the_same_deadline() {
    let start = Instant::now();
    let mut engine = armed_loss(&["one", "two"], start);
    let updated = engine
        .update("a", &rules(losing_every(3)), start + seconds(10))
        .unwrap();
    assert_eq!(updated.spec.rules, losing_every(3));
    assert_eq!(updated.spec.duration, seconds(30));
    engine.wake("a", start + seconds(29));
    assert_eq!(reason(&mut engine), None);
    engine.wake("a", start + seconds(30));
    assert_eq!(reason(&mut engine), Some(EndReason::Expired));
    let log = engine.into_datapath().log;
    assert_eq!(log[3..6], ["stage 1", "stage 2", "switch 1,2 until 30s"]);
}

#[test]
fn more_time_counts_from_now_and_touches_no_rule() {
    let start = Instant::now();
    let mut engine = armed_loss(&["one"], start);
    let at = start + seconds(10);
    let updated = engine
        .update("a", &change(losing_every(2), Some(seconds(60))), at)
        .unwrap();
    assert_eq!(updated.spec.duration, seconds(70));
    assert_eq!(updated.remaining(at), seconds(60));
    engine.wake("a", start + seconds(69));
    assert_eq!(reason(&mut engine), None);
    engine.wake("a", start + seconds(70));
    assert_eq!(reason(&mut engine), Some(EndReason::Expired));
    assert_eq!(engine.into_datapath().log[2], "extend 1 until 70s");
}

#[test]
fn an_experiment_that_is_not_armed_does_not_act_after_an_update() {
    let start = Instant::now();
    let mut engine = Engine::new(Script::default());
    let spec = Spec {
        rules: losing_every(2),
        ..spec(true)
    };
    engine
        .prepare("a".into(), spec, targets(&["one"]), None, start)
        .unwrap();
    engine
        .update("a", &change(losing_every(3), Some(seconds(5))), start)
        .unwrap();
    engine.arm("a", start).unwrap();
    assert_eq!(
        engine.into_datapath().log[1..],
        ["stage 1", "switch 1 not yet", "arm 1 until 5s"]
    );
}

#[test]
fn an_update_that_one_target_refuses_changes_none() {
    let start = Instant::now();
    let mut engine = armed_loss(&["one", "two"], start);
    engine.datapath.refuse = Some("two");
    let error = engine
        .update("a", &rules(losing_every(3)), start)
        .unwrap_err();
    assert!(error.to_string().contains("cannot update two"), "{error}");
    assert_eq!(engine.status("a").unwrap().spec.rules, losing_every(2));
    assert_eq!(reason(&mut engine), None);
    let log = engine.into_datapath().log;
    assert_eq!(log[3..], ["stage 1", "unstage 1"]);
}

#[test]
fn an_update_that_breaks_ends_the_experiment() {
    let start = Instant::now();
    let mut engine = armed_loss(&["one"], start);
    engine.datapath.refuse_arm = true;
    assert!(matches!(
        engine.update("a", &rules(losing_every(3)), start),
        Err(EngineError::UpdateBroke { .. })
    ));
    assert_eq!(reason(&mut engine), Some(EndReason::Failed));
}

#[test]
fn an_update_that_makes_no_sense_is_refused() {
    let start = Instant::now();
    let mut engine = armed_loss(&["one"], start);
    let later = start + seconds(1);
    let mut refusal =
        |id: &str, rules, time| engine.update(id, &change(rules, time), later).unwrap_err();
    assert!(matches!(
        refusal("b", losing_every(3), None),
        EngineError::NoSuchExperiment { .. }
    ));
    let other = spec(true).rules;
    let error = refusal("a", other, None).to_string();
    assert!(
        error.contains("(loss)") && error.contains("(partition)"),
        "{error}"
    );
    for time in [Duration::ZERO, Duration::from_hours(24)] {
        assert!(matches!(
            refusal("a", Vec::new(), Some(time)),
            EngineError::Spec(SpecError::Duration(_))
        ));
    }
    assert!(matches!(
        refusal("a", losing_every(0), None),
        EngineError::Spec(_)
    ));
    engine.stop("a", Ending::stopped()).unwrap();
    assert!(matches!(
        engine.update("a", &rules(losing_every(3)), start),
        Err(EngineError::Over { .. })
    ));
}
