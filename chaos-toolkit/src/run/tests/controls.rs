//! Controls hear of every part, may change what they are told of, and may end the run.

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::fake::{Log, Stage, action, experiment, hypothesis, runs};
use crate::run::{Call, Controls, Interrupted};
use crate::variables::Variables;

/// Logs what it is told, and does what its arguments say: `{"on": "Method Before", "interrupt": "text"}`, or
/// `"status": "failed"` for what is over.
struct Fake(Log);

impl Controls for Fake {
    fn configure<'a>(
        &'a self,
        control: &'a Map<String, Value>,
        _experiment: &'a mut Value,
        _variables: &'a mut Variables,
        _settings: &'a Value,
    ) -> BoxFuture<'a, bool> {
        self.0.add(format!("{} configured", control["name"]));
        Box::pin(async { true })
    }

    fn apply<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<(), Interrupted>> {
        Box::pin(async move {
            let of = call.context["name"].as_str().unwrap_or_default().to_owned();
            let at = format!("{:?} {:?} {of}", call.level, call.scope);
            self.0.add(at.trim_end());
            let does = &call.control["provider"];
            if does["on"].as_str() != Some(at.trim_end()) {
                return Ok(());
            }
            if let Some(status) = does.get("status")
                && let Some(state) = call.state
            {
                state["status"] = status.clone();
            }
            if let Some(script) = does.get("gives") {
                call.context["provider"]["gives"] = script.clone();
            }
            if does["seven"] == true {
                call.variables
                    .configuration
                    .insert("n".to_owned(), json!(7));
            }
            match does["interrupt"].as_str() {
                Some(why) => Err(Interrupted::Raised(why.to_owned())),
                None => Ok(()),
            }
        })
    }

    fn cleanup<'a>(&'a self, control: &'a Map<String, Value>) -> BoxFuture<'a, ()> {
        self.0.add(format!("{} cleaned up", control["name"]));
        Box::pin(async {})
    }
}

#[expect(clippy::needless_pass_by_value, reason = "shorter where it is called")]
fn controlled(does: Value) -> Stage {
    let method = json!([
        action("a", json!({"gives": 1})),
        action("b", json!({"takes": 1}))
    ]);
    let rollbacks = json!([action("r", json!({}))]);
    let mut of = experiment(hypothesis(json!({"gives": true})), method, rollbacks);
    of["controls"] = json!([{"name": "c", "provider": does}]);
    let stage = Stage::new(of);
    let log = stage.log.clone();
    stage.change(|setup| setup.controls = Some(Arc::new(Fake(log))))
}

#[tokio::test(start_paused = true)]
async fn they_hear_of_every_part_in_order() {
    let stage = controlled(json!({}));
    let log = stage.log.clone();
    stage.run().await;
    let told = log.lines();
    let is_of_controls = |line: &&String| {
        let words = ["Before", "After"];
        line.starts_with('"')
            || line
                .split(' ')
                .nth(1)
                .is_some_and(|scope| words.contains(&scope))
    };
    let told: Vec<_> = told.iter().filter(is_of_controls).collect();
    assert_eq!(
        told,
        [
            "\"c\" configured",
            "Experiment Before",
            "Hypothesis Before",
            "Activity Before steady",
            "Activity After steady",
            "Hypothesis After",
            "Method Before",
            "Activity Before a",
            "Activity After a",
            "Activity Before b",
            "Activity After b",
            "Method After",
            "Hypothesis Before",
            "Activity Before steady",
            "Activity After steady",
            "Hypothesis After",
            "Rollback Before",
            "Activity Before r",
            "Activity After r",
            "Rollback After",
            "Experiment After",
            "\"c\" cleaned up",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_they_change_is_what_is_done_and_journaled() {
    let journal = controlled(json!({"on": "Activity After a", "status": "failed"}))
        .run()
        .await;
    assert_eq!(runs(&journal, "run"), ["a failed", "b succeeded"]);
    let journal = controlled(json!({"on": "Activity Before a", "gives": 5}))
        .run()
        .await;
    assert_eq!(journal["run"][0]["output"], 5);
    assert_eq!(journal["experiment"]["method"][0]["provider"]["gives"], 5);
    let journal = controlled(json!({"on": "Experiment After", "status": "failed"}))
        .run()
        .await;
    assert_eq!(journal["status"], "failed");
    // Of the hypothesis too: a probe that a control calls failed is not right.
    let journal = controlled(json!({"on": "Activity After steady", "status": "failed"}))
        .run()
        .await;
    assert_eq!(journal["status"], "failed");
    assert_eq!(runs(&journal, "run"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn they_may_interrupt_anywhere() {
    for (on, ran, rolled_back) in [
        ("Experiment Before", vec![], vec![]),
        ("Hypothesis Before", vec![], vec![]),
        ("Method Before", vec![], vec![]),
        ("Activity Before b", vec!["a succeeded"], vec![]),
        ("Activity After a", vec!["a succeeded"], vec![]),
        ("Method After", vec!["a succeeded", "b succeeded"], vec![]),
        (
            "Activity Before r",
            vec!["a succeeded", "b succeeded"],
            vec![],
        ),
        (
            "Rollback After",
            vec!["a succeeded", "b succeeded"],
            vec!["r succeeded"],
        ),
    ] {
        let stage = controlled(json!({"on": on, "interrupt": "enough"}));
        let log = stage.log.clone();
        let journal = stage.run().await;
        assert_eq!(journal["status"], "interrupted", "{on}");
        assert_eq!(runs(&journal, "run"), ran, "{on}");
        assert_eq!(runs(&journal, "rollbacks"), rolled_back, "{on}");
        // Whatever began is over.
        for level in ["Experiment", "Hypothesis", "Method", "Rollback"] {
            let count = |scope| {
                let line = format!("{level} {scope}");
                log.lines().iter().filter(|other| **other == line).count()
            };
            assert_eq!(count("Before"), count("After"), "{on} {level}");
        }
    }
    // The run is over: nothing is left to interrupt.
    let over = controlled(json!({"on": "Experiment After", "interrupt": "enough"}))
        .run()
        .await;
    assert_eq!(over["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn variables_that_they_set_are_used() {
    let method = json!([action("a", json!({"gives": 1}))]);
    let mut probe = super::fake::activity("probe", "steady", json!({"gives": 7}));
    probe["tolerance"] = "${n}".into();
    let hypothesis = json!({"title": "h", "probes": [probe]});
    let mut of = experiment(hypothesis, method, json!([]));
    of["controls"] = json!([{"name": "c", "provider": {"on": "Experiment Before", "seven": true}}]);
    let stage = Stage::new(of);
    let log = stage.log.clone();
    let journal = stage
        .change(|setup| setup.controls = Some(Arc::new(Fake(log))))
        .run()
        .await;
    assert_eq!(journal["deviated"], false);
    assert_eq!(runs(&journal, "run"), ["a succeeded"]);
}

#[test]
fn those_of_the_settings_have_the_names_of_their_keys() {
    let settings = json!({"controls": {"x": {"provider": {"type": "python"}}, "broken": 1}});
    let controls = crate::run::controls_of(settings.get("controls"));
    assert_eq!(
        controls,
        [json!({"provider": {"type": "python"}, "name": "x"})]
    );
    assert_eq!(crate::run::controls_of(None), [Value::Null; 0]);
}
