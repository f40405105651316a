//! Journals as `JUnit` XML, which CI systems show: an experiment is a test suite, each look at the hypothesis and each
//! activity a test case.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Map, Value};

use super::{Outcome, State, states};

/// A report that could not be written down.
#[derive(Debug, thiserror::Error)]
#[error("cannot write JUnit XML: {0}")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// The XML of these journals.
pub fn junit<'a>(
    journals: impl IntoIterator<Item = &'a Map<String, Value>>,
) -> Result<String, JunitError> {
    let mut report = Report::new("chaosctl run");
    report.add_test_suites(journals.into_iter().map(suite));
    Ok(report.to_string()?)
}

fn suite(journal: &Map<String, Value>) -> TestSuite {
    let field = |name: &str| journal.get(name).unwrap_or(&Value::Null);
    let title = text(&field("experiment")["title"]);
    let mut suite = TestSuite::new(title.clone());
    suite.set_time(seconds(field("duration")));
    if let Some(start) = time(field("start")) {
        suite.set_timestamp(start);
    }
    let runs = |name: &str| field(name).as_array().cloned().unwrap_or_default();
    let (before, later): (Vec<_>, Vec<_>) =
        states(journal).partition(|state| state.name == "before");
    let mut cases: Vec<TestCase> = before.iter().map(hypothesis).collect();
    cases.extend(runs("run").iter().map(|run| activity("method", run)));
    cases.extend(later.iter().map(hypothesis));
    cases.extend(
        runs("rollbacks")
            .iter()
            .map(|run| activity("rollbacks", run)),
    );
    let outcome = Outcome::of(journal);
    if matches!(outcome, Outcome::Interrupted | Outcome::Aborted) {
        cases.push(ended(outcome, journal));
    }
    for case in &mut cases {
        let part = case
            .classname
            .take()
            .map_or_else(String::new, quick_junit::XmlString::into_string);
        case.set_classname(format!("{title}.{part}"));
    }
    suite.add_test_cases(cases);
    suite
}

/// One look at the hypothesis, with what each of its probes said.
fn hypothesis(state: &State<'_>) -> TestCase {
    let mut status = TestCaseStatus::success();
    let mut lasted = Duration::ZERO;
    for run in state.probes() {
        lasted += seconds(&run["duration"]);
        if run["tolerance_met"] != Value::Bool(false) {
            continue;
        }
        let name = text(&run["activity"]["name"]);
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type("hypothesis");
        status.set_message(if run["status"] == "failed" {
            format!("the probe `{name}` failed: {}", last_line(run))
        } else {
            format!(
                "the probe `{name}` gave {}, and {} was expected",
                run["output"], run["activity"]["tolerance"]
            )
        });
    }
    let mut case = TestCase::new(
        format!("hypothesis {} the method", when(state.name)),
        status,
    );
    case.set_classname("hypothesis");
    case.set_time(lasted);
    case
}

fn when(state: &str) -> &str {
    match state {
        "recovery" => "after rollbacks of",
        state => state,
    }
}

fn activity(part: &str, run: &Value) -> TestCase {
    let status = match run["status"].as_str() {
        Some("succeeded") => TestCaseStatus::success(),
        Some("skipped") => TestCaseStatus::skipped(),
        Some(_) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("activity").set_message(last_line(run));
            status.set_description(trace(run));
            status
        }
        None => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("activity").set_message("interrupted");
            status
        }
    };
    let mut case = TestCase::new(text(&run["activity"]["name"]), status);
    case.set_classname(part);
    case.set_time(seconds(&run["duration"]));
    case
}

/// A run that did not come to its end is no success, whatever was seen until then.
fn ended(outcome: Outcome, journal: &Map<String, Value>) -> TestCase {
    let guards = journal.get("guards").and_then(Value::as_array);
    let tripped: Vec<String> = guards
        .into_iter()
        .flatten()
        .map(|guard| {
            format!(
                "guard `{}` saw {}",
                text(&guard["name"]),
                text(&guard["saw"])
            )
        })
        .collect();
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(outcome.as_str());
    status.set_message(if tripped.is_empty() {
        format!("the run was {}", outcome.as_str())
    } else {
        format!("the run was {}: {}", outcome.as_str(), tripped.join(", "))
    });
    let mut case = TestCase::new("the run comes to its end", status);
    case.set_classname("run");
    case
}

fn trace(run: &Value) -> String {
    let lines = run["exception"].as_array().into_iter().flatten();
    lines.filter_map(Value::as_str).collect()
}

fn last_line(run: &Value) -> String {
    let trace = trace(run);
    trace.lines().last().unwrap_or("failed").to_owned()
}

/// What stands there, as a person would write it.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn seconds(value: &Value) -> Duration {
    Duration::try_from_secs_f64(value.as_f64().unwrap_or_default()).unwrap_or_default()
}

fn time(value: &Value) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok()
}
