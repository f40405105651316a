//! Verdicts and `JUnit` of journals as runs write them.

use quick_junit::{Report, TestCaseStatus};
use serde_json::{Map, Value, json};

use super::{Outcome, junit, verdict};

fn run(name: &str, status: &str) -> Value {
    json!({
        "activity": {"type": "probe", "name": name, "tolerance": 200, "provider": {"type": "http", "url": "http://x"}},
        "output": {"status": 503},
        "status": status,
        "start": "2026-01-02T03:04:05.000006+00:00",
        "end": "2026-01-02T03:04:06.000006+00:00",
        "duration": 1.0,
    })
}

fn state(met: bool, probe: &str) -> Value {
    let mut run = run(probe, "succeeded");
    run["tolerance_met"] = met.into();
    json!({"steady_state_met": met, "probes": [run]})
}

fn journal(status: &str, deviated: bool, before: bool, after: Option<bool>) -> Map<String, Value> {
    let journal = json!({
        "chaoslib-version": "1.44.0",
        "experiment": {"title": "Does <it> hold?"},
        "start": "2026-01-02T03:04:05.000006+00:00",
        "status": status,
        "deviated": deviated,
        "steady_states": {
            "before": state(before, "answers"),
            "after": after.map(|met| state(met, "still answers")),
            "during": [],
        },
        "run": [run("stop it", "succeeded"), run("look", "failed")],
        "rollbacks": [],
        "end": "2026-01-02T03:04:09.000006+00:00",
        "duration": 4.0,
    });
    journal.as_object().unwrap().clone()
}

#[test]
fn what_a_journal_comes_down_to() {
    let of =
        |status, deviated, before, after| Outcome::of(&journal(status, deviated, before, after));
    assert_eq!(of("completed", false, true, Some(true)), Outcome::Passed);
    assert_eq!(of("completed", false, true, None), Outcome::Passed);
    assert_eq!(of("completed", true, true, Some(false)), Outcome::Deviated);
    assert_eq!(of("failed", true, true, Some(false)), Outcome::Deviated);
    assert_eq!(of("completed", false, false, None), Outcome::Failed);
    assert_eq!(of("failed", false, true, Some(true)), Outcome::Failed);
    assert_eq!(of("interrupted", false, true, None), Outcome::Interrupted);
    assert_eq!(of("aborted", true, true, Some(true)), Outcome::Aborted);
    assert_eq!(Outcome::of(&Map::new()), Outcome::Failed);
}

#[test]
fn a_verdict_names_the_probes_that_were_not_met() {
    let told = verdict(
        &journal("completed", true, true, Some(false)),
        "journal.json",
    );
    assert_eq!(told["verdict"], "deviated");
    assert_eq!(told["title"], "Does <it> hold?");
    assert_eq!(told["journal"], "journal.json");
    assert_eq!(
        told["unmet"],
        json!([{
            "hypothesis": "after",
            "probe": "still answers",
            "tolerance": 200,
            "output": {"status": 503},
            "status": "succeeded",
        }])
    );
    let passed = verdict(&journal("completed", false, true, Some(true)), "j");
    assert_eq!(
        (&passed["verdict"], &passed["unmet"]),
        (&json!("passed"), &json!([]))
    );
}

#[test]
fn junit_has_a_case_for_each_look_and_each_activity() {
    let deviated = journal("completed", true, true, Some(false));
    let passed = journal("completed", false, true, Some(true));
    let xml = junit([&deviated, &passed]).unwrap();
    let report = Report::deserialize_from_str(&xml).unwrap();
    assert_eq!(
        (report.tests, report.failures, report.errors),
        (8, 1, 2),
        "{xml}"
    );
    let suite = &report.test_suites[0];
    assert_eq!(suite.name.as_str(), "Does <it> hold?");
    let cases: Vec<&str> = suite
        .test_cases
        .iter()
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(
        cases,
        [
            "hypothesis before the method",
            "stop it",
            "look",
            "hypothesis after the method"
        ]
    );
    let TestCaseStatus::NonSuccess { message, .. } = &suite.test_cases[3].status else {
        panic!("{xml}");
    };
    assert_eq!(
        message.as_ref().unwrap().as_str(),
        r#"the probe `still answers` gave {"status":503}, and 200 was expected"#
    );
}

#[test]
fn junit_of_a_run_that_was_ended_is_no_success() {
    let mut ended = journal("aborted", false, true, None);
    ended.insert(
        "guards".to_owned(),
        json!([{"name": "errors", "saw": "12 %"}]),
    );
    let xml = junit([&ended]).unwrap();
    let report = Report::deserialize_from_str(&xml).unwrap();
    let last = report.test_suites[0].test_cases.last().unwrap();
    let TestCaseStatus::NonSuccess { message, .. } = &last.status else {
        panic!("{xml}");
    };
    assert_eq!(
        message.as_ref().unwrap().as_str(),
        "the run was aborted: guard `errors` saw 12 %"
    );
    // What is no journal at all makes no panic, and no success.
    let nothing = junit([&Map::new()]).unwrap();
    assert!(Report::deserialize_from_str(&nothing).is_ok(), "{nothing}");
}

#[test]
fn a_verdict_says_what_became_of_each_fault() {
    let mut journal = journal("completed", false, true, Some(true));
    journal["run"][0]["chaos"] = json!({
        "outcome": "agent_lost", "reason": "the agent died", "nothing_hit": null, "totals": {},
    });
    assert_eq!(
        verdict(&journal, "j")["faults"],
        json!([{
            "activity": "stop it", "outcome": "agent_lost", "reason": "the agent died", "nothing_hit": null,
        }])
    );
}

#[test]
fn a_fault_that_did_not_act_is_one_of_the_faults() {
    let fault = |name: &str, status: Option<&str>, told: Option<Value>| {
        let mut run = json!({
            "activity": {"type": "action", "name": name, "provider": {"type": "chaos"}},
            "exception": ["chaoslib.exceptions.ActivityFailed: no agent answers\n"],
        });
        if let Some(status) = status {
            run["status"] = status.into();
        }
        if let Some(told) = told {
            run["chaos"] = told;
        }
        run
    };
    let mut journal = journal("completed", false, true, Some(true));
    let over =
        json!({"outcome": "completed", "reason": "its duration has passed", "nothing_hit": false});
    journal["run"] = json!([
        fault("good", Some("succeeded"), Some(over)),
        fault("refused", Some("failed"), None),
        fault("lost", Some("succeeded"), None),
        fault("cut", None, None),
        fault("left out", Some("skipped"), None),
        run("no fault", "failed"),
    ]);
    let outcomes = |journal: &Map<String, Value>| -> Vec<String> {
        let told = verdict(journal, "j");
        let faults = told["faults"].as_array().unwrap().iter();
        faults
            .map(|fault| {
                format!(
                    "{} {} {}",
                    fault["activity"], fault["outcome"], fault["reason"]
                )
            })
            .collect()
    };
    let unwaited = r#""unknown" "its end was not waited for""#;
    assert_eq!(
        outcomes(&journal),
        [
            r#""good" "completed" "its duration has passed""#.to_owned(),
            r#""refused" "not_started" "no agent answers""#.to_owned(),
            format!(r#""lost" {unwaited}"#),
            format!(r#""cut" {unwaited}"#),
        ]
    );
    journal["experiment"]["dry"] = "actions".into();
    journal["run"] = json!([fault("played at", Some("succeeded"), None)]);
    assert!(outcomes(&journal).is_empty());
    assert_eq!(verdict(&journal, "j")["dry"], "actions");
}

#[test]
fn what_was_not_undone_is_told() {
    let program = |name: &str, kind: &str, code: i32| {
        json!({
            "activity": {"type": kind, "name": name, "provider": {"type": "process"}},
            "status": "succeeded", "output": {"status": code},
        })
    };
    let mut journal = journal("completed", false, true, Some(true));
    journal["rollbacks"] = json!([
        program("good", "action", 0),
        program("says no", "action", 3),
        program("asks only", "probe", 1),
        run("fails", "failed"),
        run("left out", "skipped"),
    ]);
    assert_eq!(
        verdict(&journal, "j")["not_undone"],
        json!([
            {"activity": "says no", "reason": "its program ended with status 3"},
            {"activity": "fails", "reason": "it failed"},
        ])
    );
}
