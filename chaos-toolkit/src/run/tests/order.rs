//! Background, pauses, references, undoing, and what breaks.

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::fake::{Stage, action, activity, experiment, fault, hypothesis, runs};
use crate::observe::{Answer, Event, Gate, Observer, Phase};
use crate::run::{Options, RollbackStrategy};

#[tokio::test(start_paused = true)]
async fn what_is_in_the_background_is_waited_for_at_the_end_of_the_method() {
    let mut slow = action("slow", json!({"takes": 5}));
    slow["background"] = true.into();
    let method = json!([slow, action("quick", json!({"takes": 1}))]);
    let of = experiment(hypothesis(json!({"gives": true})), method, json!([]));
    let stage = Stage::new(of);
    let log = stage.log.clone();
    let journal = stage.run().await;
    assert_eq!(runs(&journal, "run"), ["slow succeeded", "quick succeeded"]);
    assert!(log.at("quick done") < log.at("slow done"));
    assert!(log.at("slow done") < log.at("After"));
}

#[tokio::test(start_paused = true)]
async fn pauses_are_around_the_activity_and_not_in_its_duration() {
    let mut a = action("a", json!({}));
    a["pauses"] = json!({"before": 2, "after": "${wait}"});
    let of = experiment(Value::Null, json!([a, action("b", json!({}))]), json!([]));
    let stage = Stage::new(of).change(|setup| {
        setup
            .variables
            .configuration
            .insert("wait".to_owned(), json!(3));
    });
    let began = tokio::time::Instant::now();
    let journal = stage.run().await;
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(runs(&journal, "run"), ["a succeeded", "b succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_reference_is_to_the_last_of_its_name_and_keeps_its_own_tolerance() {
    let hypothesis = json!({"title": "h", "probes": [{"ref": "p", "tolerance": 7}]});
    let method = json!([activity("probe", "p", json!({"gives": 7})), {"ref": "p"}]);
    let journal = Stage::new(experiment(hypothesis, method, json!([])))
        .run()
        .await;
    assert_eq!(runs(&journal, "run"), ["p succeeded", "p succeeded"]);
    assert_eq!(journal["deviated"], false);
    let probe = &journal["steady_states"]["after"]["probes"][0];
    assert_eq!(probe["activity"]["name"], "p");
    assert!(probe["activity"].get("ref").is_none());
    assert_eq!(probe["tolerance_met"], true);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_aborts_the_method_and_rollbacks_are_played() {
    for method in [
        json!([{"ref": "nobody"}, action("b", json!({}))]),
        json!([
            action("a", json!({"breaks": "no such program"})),
            action("b", json!({}))
        ]),
    ] {
        let rollbacks = json!([action("r", json!({}))]);
        let of = experiment(hypothesis(json!({"gives": true})), method, rollbacks);
        let journal = Stage::new(of).run().await;
        assert_eq!(journal["status"], "aborted");
        assert!(!runs(&journal, "run").contains(&"b succeeded".to_owned()));
        assert_eq!(journal["steady_states"]["after"], Value::Null);
        assert_eq!(runs(&journal, "rollbacks"), ["r succeeded"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_does_not_end_the_method() {
    let method = json!([action("a", json!({"fails": "no"})), action("b", json!({}))]);
    let journal = Stage::new(experiment(Value::Null, method, json!([])))
        .run()
        .await;
    assert_eq!(journal["status"], "completed");
    assert_eq!(runs(&journal, "run"), ["a failed", "b succeeded"]);
    let keys: Vec<_> = journal["run"][0].as_object().unwrap().keys().collect();
    let expected = [
        "activity",
        "output",
        "start",
        "status",
        "exception",
        "end",
        "duration",
    ];
    assert_eq!(keys, expected);
}

#[tokio::test(start_paused = true)]
async fn python_may_interrupt_the_run_in_the_foreground_and_not_in_the_background() {
    let interrupts = |is_background: bool| {
        let mut a = action("a", json!({"interrupts": "enough"}));
        a["background"] = is_background.into();
        let method = json!([a, action("b", json!({"takes": 1}))]);
        Stage::new(experiment(Value::Null, method, json!([]))).run()
    };
    let journal = interrupts(false).await;
    assert_eq!(journal["status"], "interrupted");
    assert_eq!(runs(&journal, "run"), ["a -"]);
    assert!(journal["run"][0].get("duration").is_some());
    let journal = interrupts(true).await;
    assert_eq!(journal["status"], "completed");
    assert_eq!(runs(&journal, "run"), ["a -", "b succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn what_ran_is_undone_from_the_last_to_the_first_before_the_rollbacks() {
    let with_undo = |name: &str, provider: Value| {
        let mut action = action(name, provider);
        action["undo"] = json!({"provider": {"type": "process"}});
        action
    };
    let method = json!([
        with_undo("a", json!({})),
        with_undo("b", json!({"fails": "no"})),
        with_undo("c", json!({"interrupts": "enough"})),
        with_undo("never", json!({})),
    ]);
    for (rollbacks, expected) in [
        (RollbackStrategy::Never, vec![]),
        (RollbackStrategy::Default, vec![]),
        (RollbackStrategy::Always, vec!["r succeeded"]),
    ] {
        let declared = json!([action("r", json!({}))]);
        let of = experiment(Value::Null, method.clone(), declared);
        let options = Options {
            rollbacks,
            ..Options::default()
        };
        let journal = Stage::with(of, options).run().await;
        let undone = [
            "undo: c succeeded",
            "undo: b succeeded",
            "undo: a succeeded",
        ];
        let expected = [undone.to_vec(), expected].concat();
        assert_eq!(runs(&journal, "rollbacks"), expected, "{rollbacks:?}");
    }
}

struct Says(Answer);

impl Gate for Says {
    fn ask<'a>(&'a self, phase: Phase, activity: &'a Map<String, Value>) -> BoxFuture<'a, Answer> {
        let is_asked = phase == Phase::Method && activity["name"] == "b";
        let answer = if is_asked { self.0 } else { Answer::Yes };
        Box::pin(async move { answer })
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_asked_may_skip_or_abort() {
    let run = |answer| {
        let method = ["a", "b", "c"].map(|name| action(name, json!({})));
        let of = experiment(Value::Null, json!(method), json!([action("r", json!({}))]));
        Stage::new(of)
            .change(|setup| setup.gate = Some(Arc::new(Says(answer))))
            .run()
    };
    let journal = run(Answer::Skip).await;
    assert_eq!(
        runs(&journal, "run"),
        ["a succeeded", "b skipped", "c succeeded"]
    );
    let journal = run(Answer::Abort).await;
    assert_eq!(runs(&journal, "run"), ["a succeeded"]);
    assert_eq!(journal["status"], "aborted");
    assert_eq!(runs(&journal, "rollbacks"), ["r succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_aborts_stops_the_faults_before_anything_is_undone() {
    let method = json!([fault("f", 1000.0), action("b", json!({}))]);
    let rollbacks = json!([action("r", json!({"takes": 1}))]);
    let stage = Stage::new(experiment(Value::Null, method, rollbacks));
    let log = stage.log.clone();
    let says = Arc::new(Says(Answer::Abort));
    let journal = stage.change(|setup| setup.gate = Some(says)).run().await;
    assert_eq!(journal["status"], "aborted");
    assert!(log.at("f told to stop") < log.at("r begins"));
}

/// One that cannot be reached, and one that never answers.
enum Deaf {
    Gone,
    Silent,
}

impl Observer for Deaf {
    fn hear(&self, _event: Event<'_>) {}

    fn close(&self) -> BoxFuture<'_, Result<(), String>> {
        match self {
            Self::Gone => Box::pin(async { Err("nobody is there".to_owned()) }),
            Self::Silent => Box::pin(std::future::pending()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_could_not_be_told_is_said_to_all_others() {
    let of = experiment(Value::Null, json!([action("a", json!({}))]), json!([]));
    let stage = Stage::new(of).change(|setup| {
        setup.observers.insert(0, Arc::new(Deaf::Silent));
        setup.observers.push(Arc::new(Deaf::Gone));
    });
    let log = stage.log.clone();
    stage.run().await;
    assert!(log.has("untold: somebody was not told of the end in time"));
    assert!(log.at("untold: nobody is there") > log.at("a done"));
}
