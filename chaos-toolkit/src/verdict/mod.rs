//! What a journal comes down to, for programs: one object, or one file of `JUnit`. Reads journals of the reference, too.

mod junit;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub use junit::{JunitError, junit};

use crate::run::failure;

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The hypothesis was met whenever it was looked at.
    Passed,
    /// It was met before the method, and not any more later.
    Deviated,
    /// It was not met before the method, which was not played then; or the run failed.
    Failed,
    /// The run was ended from outside.
    Interrupted,
    /// The run ended itself: a guard tripped, somebody said no, or something unforeseen happened.
    Aborted,
}

impl Outcome {
    /// Of a journal.
    pub fn of(journal: &Map<String, Value>) -> Self {
        match journal.get("status").and_then(Value::as_str) {
            Some("interrupted") => Self::Interrupted,
            Some("aborted") => Self::Aborted,
            _ if journal.get("deviated") == Some(&Value::Bool(true)) => Self::Deviated,
            // Where all probes answered, the reference calls it `completed` that the method was not played.
            Some("completed") if states(journal).all(|state| state.is_met()) => Self::Passed,
            _ => Self::Failed,
        }
    }

    /// As programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Deviated => "deviated",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Aborted => "aborted",
        }
    }
}

/// One look at the hypothesis.
struct State<'a> {
    /// `before`, `during`, `after` or `recovery`.
    name: &'static str,
    state: &'a Value,
}

impl<'a> State<'a> {
    fn is_met(&self) -> bool {
        self.state.get("steady_state_met") != Some(&Value::Bool(false))
    }

    fn probes(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.state["probes"].as_array().into_iter().flatten()
    }
}

/// All looks at the hypothesis, in the order of time.
fn states(journal: &Map<String, Value>) -> impl Iterator<Item = State<'_>> {
    let states = journal.get("steady_states").unwrap_or(&Value::Null);
    let during = states["during"].as_array().into_iter().flatten();
    let one = |name, state| State { name, state };
    [one("before", &states["before"])]
        .into_iter()
        .chain(during.map(move |state| one("during", state)))
        .chain([
            one("after", &states["after"]),
            one("recovery", &states["recovery"]),
        ])
        .filter(|state| state.state.is_object())
}

/// What became of one run; docs/json.md says what each key means. `path` is where its journal is.
pub fn verdict(journal: &Map<String, Value>, path: &str) -> Value {
    let field = |name: &str| journal.get(name).unwrap_or(&Value::Null);
    let unmet = states(journal).filter(|state| !state.is_met());
    let unmet: Vec<Value> = unmet
        .flat_map(|state| {
            state
                .probes()
                .filter(|run| run["tolerance_met"] == Value::Bool(false))
                .map(|run| {
                    json!({
                        "hypothesis": state.name,
                        "probe": run["activity"]["name"],
                        "tolerance": run["activity"]["tolerance"],
                        "output": run["output"],
                        "status": run["status"],
                    })
                })
                .collect::<Vec<_>>()
        })
        .collect();
    json!({
        "verdict": Outcome::of(journal).as_str(),
        "title": field("experiment")["title"],
        "status": field("status"),
        "deviated": field("deviated"),
        "start": field("start"),
        "end": field("end"),
        "duration": field("duration"),
        "unmet": unmet,
        "dry": field("experiment")["dry"],
        "guards": journal.get("guards").cloned().unwrap_or_else(|| json!([])),
        "faults": faults(journal),
        "not_undone": not_undone(journal),
        "journal": path,
    })
}

/// The runs of a list of the journal.
fn runs<'a>(
    journal: &'a Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> + use<'a> {
    let runs = journal.get(list).and_then(Value::as_array);
    runs.into_iter().flatten().filter_map(Value::as_object)
}

/// What became of each fault, in the order in which they were to begin.
pub fn faults(journal: &Map<String, Value>) -> Vec<Value> {
    let dry = journal
        .get("experiment")
        .and_then(|experiment| experiment["dry"].as_str());
    let is_dry = matches!(dry, Some("actions" | "activities"));
    let all = runs(journal, "run").chain(runs(journal, "rollbacks"));
    all.filter_map(|run| fault(run, is_dry)).collect()
}

fn fault(run: &Map<String, Value>, is_dry: bool) -> Option<Value> {
    let activity = run.get("activity")?;
    let told = match run.get("chaos") {
        Some(told) if told.is_object() => told.clone(),
        _ if activity["provider"]["type"] != "chaos" => return None,
        _ => match run.get("status").and_then(Value::as_str) {
            // Left out by somebody who was asked, or played at.
            Some("skipped") => return None,
            Some("succeeded") if is_dry => return None,
            Some("failed") => json!({ "outcome": "not_started", "reason": failure(run) }),
            _ => json!({ "outcome": "unknown", "reason": "its end was not waited for" }),
        },
    };
    let mut fault = json!({ "activity": activity["name"] });
    for key in ["outcome", "reason", "nothing_hit"] {
        fault[key] = told[key].clone();
    }
    Some(fault)
}

/// What was to undo something, or to roll it back, and did not: a program that says so by its status, too.
pub fn not_undone(journal: &Map<String, Value>) -> Vec<Value> {
    let wrong = runs(journal, "rollbacks").filter_map(|run| {
        let reason = match run.get("status").and_then(Value::as_str) {
            Some("failed") => failure(run),
            Some("succeeded") => said_no(run)?,
            _ => return None,
        };
        Some(json!({ "activity": run["activity"]["name"], "reason": reason }))
    });
    wrong.collect()
}

/// How the program of an action ended, if its status is not that of one that did what it is for. Of a probe, its tolerance
/// says what is right.
pub fn said_no(run: &Map<String, Value>) -> Option<String> {
    let activity = run.get("activity")?;
    if activity["type"] != "action" || activity["provider"]["type"] != "process" {
        return None;
    }
    let status = run.get("output")?["status"].as_i64()?;
    (status != 0).then(|| format!("its program ended with status {status}"))
}
