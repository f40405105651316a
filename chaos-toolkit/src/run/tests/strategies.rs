//! When the hypothesis is looked at, and whether rollbacks are played.

use serde_json::{Value, json};
use std::time::Duration;

use super::fake::{Stage, action, experiment, hypothesis, runs};
use crate::run::{Dry, Options, RollbackStrategy, Strategy};

fn with(strategy: Strategy) -> Options {
    Options {
        hypothesis: strategy,
        ..Options::default()
    }
}

fn looked(journal: &Value) -> [bool; 3] {
    let states = &journal["steady_states"];
    [
        !states["before"].is_null(),
        !states["during"].as_array().unwrap().is_empty(),
        !states["after"].is_null(),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_strategy_looks_when_it_says() {
    for (strategy, expected) in [
        (Strategy::Default, [true, false, true]),
        (Strategy::BeforeMethod, [true, false, false]),
        (Strategy::AfterMethod, [false, false, true]),
        (Strategy::DuringMethod, [false, true, false]),
        (Strategy::Continuous, [true, true, true]),
        (Strategy::Skip, [false, false, false]),
    ] {
        let method = json!([action("a", json!({"takes": 3}))]);
        let of = experiment(hypothesis(json!({"gives": true})), method, json!([]));
        let journal = Stage::with(of, with(strategy)).run().await;
        assert_eq!(looked(&journal), expected, "{strategy:?}");
        assert_eq!(journal["status"], "completed");
        assert_eq!(runs(&journal, "run"), ["a succeeded"]);
    }
}

#[tokio::test(start_paused = true)]
async fn looks_are_a_pause_apart_and_the_last_one_is_not_waited_for() {
    let method = json!([action("a", json!({"takes": 10}))]);
    let of = experiment(
        hypothesis(json!({"takes": 1, "gives": true})),
        method,
        json!([]),
    );
    let options = Options {
        frequency: Duration::from_secs(2),
        ..with(Strategy::DuringMethod)
    };
    let began = tokio::time::Instant::now();
    let journal = Stage::with(of, options).run().await;
    // At 0, 3, 6 and 9 s; the last is done at 10 s.
    assert_eq!(
        journal["steady_states"]["during"].as_array().unwrap().len(),
        4
    );
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_hypothesis_that_is_not_met_before_ends_it_but_rollbacks_are_played() {
    let method = json!([action("a", json!({}))]);
    let rollbacks = json!([action("r", json!({}))]);
    let of = experiment(hypothesis(json!({"gives": false})), method, rollbacks);
    let journal = Stage::new(of).run().await;
    assert_eq!(journal["status"], "completed");
    assert_eq!(journal["deviated"], false);
    assert_eq!(runs(&journal, "run"), [""; 0]);
    assert_eq!(runs(&journal, "rollbacks"), ["r succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_before_fails_the_run_and_nothing_is_rolled_back() {
    let rollbacks = json!([action("r", json!({}))]);
    let of = experiment(hypothesis(json!({"fails": "no"})), json!([]), rollbacks);
    let journal = Stage::new(of).run().await;
    assert_eq!(journal["status"], "failed");
    assert_eq!(runs(&journal, "rollbacks"), [""; 0]);
    let probe = &journal["steady_states"]["before"]["probes"][0];
    assert_eq!(probe["tolerance_met"], false);
    assert_eq!(
        probe["exception"],
        json!(["chaoslib.exceptions.ActivityFailed: no\n"])
    );
}

#[tokio::test(start_paused = true)]
async fn a_hypothesis_that_is_not_met_after_has_deviated() {
    let of = experiment(
        hypothesis(json!({"gives": [true, false]})),
        json!([]),
        json!([]),
    );
    let journal = Stage::new(of).run().await;
    assert_eq!(journal["status"], "completed");
    assert_eq!(journal["deviated"], true);
    assert_eq!(journal["steady_states"]["after"]["steady_state_met"], false);
}

#[tokio::test(start_paused = true)]
async fn without_fail_fast_what_is_seen_meanwhile_decides_nothing() {
    let method = json!([
        action("a", json!({"takes": 1.5})),
        action("b", json!({"takes": 1}))
    ]);
    let of = experiment(hypothesis(json!({"gives": false})), method, json!([]));
    let run = |fail_fast| {
        let options = Options {
            fail_fast,
            ..with(Strategy::DuringMethod)
        };
        Stage::with(of.clone(), options).run()
    };
    let journal = run(false).await;
    assert_eq!(journal["status"], "completed");
    assert_eq!(runs(&journal, "run"), ["a succeeded", "b succeeded"]);
    let journal = run(true).await;
    assert_eq!(journal["status"], "failed");
    assert_eq!(journal["deviated"], false);
    // What runs is not interrupted, but nothing follows.
    assert_eq!(runs(&journal, "run"), ["a succeeded"]);
    assert_eq!(
        journal["steady_states"]["during"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn rollbacks_are_played_as_their_strategy_has_it() {
    use RollbackStrategy::{Always, Default, Deviated, Never};
    for (gives, fails, expected) in [
        (json!([true, true]), false, [true, true, false, false]),
        (json!([true, false]), false, [true, true, false, true]),
        (json!(true), true, [false, true, false, false]),
    ] {
        for (strategy, is_played) in [Default, Always, Never, Deviated].into_iter().zip(expected) {
            let probe = if fails {
                json!({"fails": "no"})
            } else {
                json!({"gives": gives})
            };
            let rollbacks = json!([action("r", json!({}))]);
            let of = experiment(hypothesis(probe), json!([]), rollbacks);
            let options = Options {
                rollbacks: strategy,
                ..Options::default()
            };
            let journal = Stage::with(of, options).run().await;
            let played = !runs(&journal, "rollbacks").is_empty();
            assert_eq!(played, is_played, "{strategy:?} {gives} {fails}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_dry_is_not_done_nor_judged() {
    for (dry, begun) in [
        (Dry::Probes, vec!["a"]),
        (Dry::Actions, vec!["steady"]),
        (Dry::Activities, vec![]),
        (Dry::Pause, vec!["steady", "a"]),
    ] {
        let mut a = action("a", json!({}));
        a["pauses"] = json!({"before": 100, "after": 100});
        let of = experiment(hypothesis(json!({"gives": true})), json!([a]), json!([]));
        let options = Options {
            dry: Some(dry),
            ..Options::default()
        };
        let stage = Stage::with(of, options);
        let log = stage.log.clone();
        let began = tokio::time::Instant::now();
        let journal = stage.run().await;
        assert_eq!(journal["status"], "completed", "{dry:?}");
        assert_eq!(journal["experiment"]["dry"], dry.name());
        for name in ["steady", "a"] {
            assert_eq!(
                log.has(&format!("{name} begins")),
                begun.contains(&name),
                "{dry:?} {name}"
            );
        }
        let are_pauses_real = dry == Dry::Probes;
        assert_eq!(
            began.elapsed().as_secs(),
            if are_pauses_real { 200 } else { 0 },
            "{dry:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn recovery_is_verified_after_everything_is_undone() {
    let run = |gives: Value| {
        let rollbacks = json!([action("r", json!({}))]);
        let method = json!([super::fake::fault("f", 1000.0)]);
        let of = experiment(hypothesis(json!({"gives": gives})), method, rollbacks);
        let options = Options {
            verify_recovery: true,
            ..Options::default()
        };
        Stage::with(of, options)
    };
    let stage = run(json!([true, true, true]));
    let log = stage.log.clone();
    let journal = stage.run().await;
    assert_eq!(journal["status"], "completed");
    assert_eq!(
        journal["steady_states"]["recovery"]["steady_state_met"],
        true
    );
    assert!(log.at("r done") < log.at("f ended: stopped"));
    assert!(log.at("f ended: stopped") < log.at("Recovery"));
    let journal = run(json!([true, true, false])).run().await;
    assert_eq!(journal["status"], "failed");
    assert_eq!(journal["deviated"], false);
}
