//! What a journal comes down to, for programs: one object, or one file of `JUnit`. Reads journals of the reference, too.

mod junit;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub use junit::{JunitError, junit};

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
        "guards": journal.get("guards").cloned().unwrap_or_else(|| json!([])),
        "faults": faults(journal),
        "journal": path,
    })
}

/// What became of each fault, in the order in which they began.
pub fn faults(journal: &Map<String, Value>) -> Vec<Value> {
    let runs = |list: &str| journal.get(list).and_then(Value::as_array);
    let runs = [runs("run"), runs("rollbacks")].into_iter().flatten();
    let of_faults = runs
        .flatten()
        .filter(|run| run["chaos"].is_object())
        .map(|run| {
            let mut fault = json!({ "activity": run["activity"]["name"] });
            for key in ["outcome", "reason", "nothing_hit"] {
                fault[key] = run["chaos"][key].clone();
            }
            fault
        });
    of_faults.collect()
}
