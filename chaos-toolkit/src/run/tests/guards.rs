//! Guards stop the faults first.

use serde_json::{Value, json};

use super::fake::{Stage, action, experiment, fault, runs};
use crate::run::{Options, RollbackStrategy, RunError};

fn guarded(method: Value, guard: Value) -> Value {
    let mut guard = guard;
    guard["name"] = "g".into();
    guard["provider"]["type"] = "process".into();
    guard["provider"]["path"] = "true".into();
    let mut experiment = experiment(
        Value::Null,
        method,
        json!([action("r", json!({"takes": 1}))]),
    );
    experiment["abort_when"] = json!([guard]);
    experiment
}

#[tokio::test(start_paused = true)]
async fn one_that_trips_stops_the_faults_and_then_what_runs() {
    let mut slow = action("slow", json!({"takes": 1000}));
    slow["background"] = true.into();
    let method = json!([
        fault("f", 1000.0),
        slow,
        action("a", json!({"takes": 100})),
        action("b", json!({}))
    ]);
    // The fifth check is a second after the first.
    let sees = json!({"gives": [false, false, false, false, true]});
    let stage = Stage::new(guarded(method, json!({"provider": sees, "is": true})));
    let log = stage.log.clone();
    let began = tokio::time::Instant::now();
    let journal = stage.run().await;
    // A second until it trips, a last moment for the background, a second for the rollback.
    assert_eq!(began.elapsed().as_millis(), 2200);
    assert!(log.at("f told to stop") < log.at("a cut"));
    assert!(log.at("f told to stop") < log.at("slow cut"));
    assert!(log.at("g tripped: true") < log.at("r begins"));
    assert_eq!(journal["status"], "aborted");
    assert_eq!(runs(&journal, "run"), ["f succeeded", "slow -", "a -"]);
    assert_eq!(runs(&journal, "rollbacks"), ["r succeeded"]);
    assert_eq!(journal["run"][0]["chaos"]["why"], "stopped");
    assert_eq!(journal["guards"][0]["name"], "g");
    assert_eq!(journal["guards"][0]["saw"], "true");
    assert!(journal["guards"][0]["tripped_at"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_starts_when_one_trips_does_not() {
    let slow = action("f", json!({"type": "chaos", "after": 10}));
    let sees = json!({"gives": [false, true]});
    let stage = Stage::new(guarded(
        json!([slow]),
        json!({"provider": sees, "is": true}),
    ));
    let log = stage.log.clone();
    let journal = stage.run().await;
    assert!(log.has("f not started"));
    assert_eq!(journal["status"], "aborted");
}

#[tokio::test(start_paused = true)]
async fn one_that_sees_what_must_be_does_nothing() {
    let method = json!([action("a", json!({"takes": 5}))]);
    let guard = json!({"provider": {"gives": true}, "is_not": true, "every": "1s"});
    let journal = Stage::new(guarded(method, guard)).run().await;
    assert_eq!(journal["status"], "completed");
    assert_eq!(journal["guards"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_or_hangs_trips_unless_that_is_ignored() {
    for (provider, saw) in [
        (json!({"fails": "refused"}), "its probe failed: refused"),
        (
            json!({"takes": 1000}),
            "its probe failed: no answer within 1s",
        ),
    ] {
        for (on_failure, status) in [("abort", "aborted"), ("ignore", "completed")] {
            let method = json!([action("a", json!({"takes": 5}))]);
            let guard = json!({"provider": provider, "is": 1, "on_failure": on_failure});
            let journal = Stage::new(guarded(method, guard)).run().await;
            assert_eq!(journal["status"], status, "{provider} {on_failure}");
            if status == "aborted" {
                assert_eq!(journal["guards"][0]["saw"], saw);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_trips_while_rollbacks_are_played_does_not_cut_them_short() {
    let sees = json!({"gives": [false, false, true]});
    let guard = json!({"provider": sees, "is": true});
    let of = guarded(json!([fault("f", 1000.0)]), guard);
    let stage = Stage::new(of);
    let log = stage.log.clone();
    let journal = stage.run().await;
    assert_eq!(runs(&journal, "rollbacks"), ["r succeeded"]);
    assert!(log.at("f told to stop") < log.at("r done"));
    assert_eq!(journal["status"], "aborted");
}

#[tokio::test(start_paused = true)]
async fn rollbacks_after_one_that_tripped_are_as_their_strategy_has_it() {
    let method = json!([action("a", json!({"takes": 5}))]);
    let of = guarded(method, json!({"provider": {"gives": true}, "is": true}));
    let options = Options {
        rollbacks: RollbackStrategy::Never,
        ..Options::default()
    };
    let journal = Stage::with(of, options).run().await;
    assert_eq!(runs(&journal, "rollbacks"), [""; 0]);
    assert_eq!(journal["status"], "aborted");
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_used_is_refused_before_anything_runs() {
    let of = guarded(json!([action("a", json!({}))]), json!({"provider": {}}));
    let stage = Stage::new(of);
    let log = stage.log.clone();
    let refused = stage.try_run().await;
    assert!(matches!(refused, Err(RunError::Guard(_))));
    assert!(log.lines().is_empty());
}
