//! Faults end for whatever reason the run ends.

use futures::FutureExt;
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;

use super::fake::{Stage, action, experiment, fault, hypothesis, runs};
use crate::run::Signal;

#[tokio::test(start_paused = true)]
async fn a_fault_acts_on_after_its_action_and_ends_after_the_rollbacks() {
    let method = json!([fault("f", 1000.0), action("a", json!({"takes": 5}))]);
    let of = experiment(Value::Null, method, json!([action("r", json!({}))]));
    let stage = Stage::new(of);
    let log = stage.log.clone();
    let journal = stage.run().await;
    assert!(log.at("f acts") < log.at("a begins"));
    assert!(log.at("r done") < log.at("f told to stop"));
    assert_eq!(journal["run"][0]["output"], json!({"id": "f"}));
    assert_eq!(
        journal["run"][0]["chaos"],
        json!({"why": "stopped", "matched": 7})
    );
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_has_ended_is_not_told_to() {
    let method = json!([fault("f", 2.0), action("a", json!({"takes": 5}))]);
    let stage = Stage::new(experiment(Value::Null, method, json!([])));
    let log = stage.log.clone();
    let journal = stage.run().await;
    assert!(log.at("f ended: duration") < log.at("a done"));
    assert!(!log.has("f told to stop"));
    assert_eq!(journal["run"][0]["chaos"]["why"], "duration");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_is_an_activity_that_failed() {
    let refused = action("f", json!({"type": "chaos", "refused": "no such service"}));
    let journal = Stage::new(experiment(Value::Null, json!([refused]), json!([])))
        .run()
        .await;
    assert_eq!(runs(&journal, "run"), ["f failed"]);
    let exception = &journal["run"][0]["exception"][0];
    assert_eq!(
        exception,
        "chaoslib.exceptions.ActivityFailed: no such service\n"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_is_interrupted_while_it_starts_leaves_nothing() {
    let slow = action("f", json!({"type": "chaos", "after": 10}));
    let stage = Stage::new(experiment(Value::Null, json!([slow]), json!([])));
    let stage = stage.signal_after(3.0, Signal::Interrupt);
    let log = stage.log.clone();
    let journal = stage.run().await;
    assert!(log.has("f not started"));
    assert!(!log.has("f acts"));
    assert_eq!(runs(&journal, "run"), ["f -"]);
}

#[tokio::test(start_paused = true)]
async fn faults_are_gone_after_a_panic() {
    let method = json!([fault("f", 1000.0), action("bang", json!({}))]);
    let stage = Stage::new(experiment(
        hypothesis(json!({"gives": true})),
        method,
        json!([]),
    ));
    let log = stage.log.clone();
    let panicked = AssertUnwindSafe(stage.try_run()).catch_unwind().await;
    assert!(panicked.is_err());
    // What is aborted is dropped when the runtime comes to it.
    while !log.has("f gone") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn faults_are_gone_when_nobody_waits_for_the_run_any_more() {
    let method = json!([fault("f", 1000.0), action("a", json!({"takes": 1000}))]);
    let stage = Stage::new(experiment(Value::Null, method, json!([])));
    let log = stage.log.clone();
    let limit = std::time::Duration::from_secs(5);
    assert!(tokio::time::timeout(limit, stage.run()).await.is_err());
    while !log.has("f gone") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn faults_end_before_what_an_interruption_waits_for() {
    for signal in [
        Signal::Interrupt,
        Signal::Terminate,
        Signal::HangUp,
        Signal::User1,
    ] {
        let mut slow = action("slow", json!({"takes": 100}));
        slow["background"] = true.into();
        let mut act = action("a", json!({}));
        act["undo"] = json!({"provider": {"type": "process", "path": "x", "takes": 5}});
        let wait = action("wait", json!({"takes": 50}));
        let method = json!([slow, act, fault("f", 1000.0), wait]);
        let stage = Stage::new(experiment(Value::Null, method, json!([])));
        let stage = stage.signal_after(3.0, signal);
        let log = stage.log.clone();
        stage.run().await;
        let told = log.at("f told to stop");
        assert!(told < log.at("slow done"), "{signal:?}: {:?}", log.lines());
        assert!(told < log.at("undo: a begins"), "{signal:?}");
    }
}
