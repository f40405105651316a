//! What is said of a run that is over, and the exit code.

use std::path::Path;
use std::time::Duration;

use chaos_toolkit::run::{expected, failure, seen};
use chaos_toolkit::verdict::{faults, not_undone, verdict};
use serde_json::{Map, Value};

use crate::commands::actions::STOPPED_BY_RUN;
use crate::error::{CommandError, ErrorKind};
use crate::output::Output;
use crate::output::progress::to_tenths;
use crate::quantity::time_in_words;

/// A run that did not go well.
#[derive(Debug, thiserror::Error)]
enum NotWell {
    #[error("deviated: after the method, {0}")]
    Deviated(String),
    #[error("the method was not played: before it, {0}")]
    NotSteady(String),
    #[error("did not recover: {0}")]
    NotRecovered(String),
    #[error("the hypothesis was not met while the method ran, which --fail-fast ended")]
    FailedFast,
    #[error("aborted: {0}")]
    Aborted(String),
    #[error("interrupted: the experiment did not run to its end")]
    Interrupted,
    #[error("failed")]
    Failed,
    #[error("not passed, as --strict has it: {0}")]
    NotStrict(String),
}

/// Says how it ended, and where that is written.
pub(super) fn say(
    journal: &Map<String, Value>,
    is_refused: bool,
    is_strict: bool,
    path: &Path,
    output: Output<'static>,
) -> Result<(), CommandError> {
    let status = journal["status"].as_str().unwrap_or_default();
    let deviated = journal["deviated"] == Value::Bool(true);
    let line = || {
        let took = journal["duration"].as_f64();
        let took = took.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let took = time_in_words(to_tenths(took.unwrap_or_default()));
        let how = if deviated { "deviated" } else { status };
        let dry = journal["experiment"]["dry"].as_str();
        let dry = dry
            .map(|what| format!(" (dry: {what})"))
            .unwrap_or_default();
        format!("{how} in {took}{dry}; journal: {}", path.display())
    };
    output.result(line, || verdict(journal, &path.display().to_string()))?;
    let shortcomings = shortcomings(journal, status);
    for shortcoming in &shortcomings {
        output.warn(shortcoming);
    }
    let why = why(journal, is_refused, status, deviated);
    let strict = || {
        let first = shortcomings.into_iter().next();
        first.filter(|_| is_strict).map(NotWell::NotStrict)
    };
    match why.or_else(strict) {
        None => Ok(()),
        Some(why) => Err(CommandError::new(ErrorKind::Failed, why)),
    }
}

/// What makes a run show less than it seems to, whatever its status: as in the reference, none of it makes one fail.
fn shortcomings(journal: &Map<String, Value>, status: &str) -> Vec<String> {
    let looks = &journal["steady_states"];
    let mut found = Vec::new();
    if status == "completed" {
        let before = wrong(&looks["before"], &journal["experiment"]);
        found.extend(before.map(|what| format!("the method was not played: before it, {what}")));
        let mut during = looks["during"].as_array().into_iter().flatten();
        if during.any(|state| state["steady_state_met"] == Value::Bool(false)) {
            found.push("the hypothesis was not met while the method ran".to_owned());
        }
    }
    for fault in faults(journal) {
        let name = fault["activity"].as_str().unwrap_or_default();
        let what = otherwise(&fault);
        found.extend(what.map(|what| format!("fault `{name}` {what}")));
    }
    for undo in not_undone(journal) {
        let [name, why] = ["activity", "reason"].map(|key| undo[key].as_str().unwrap_or_default());
        found.push(format!("`{name}` did not undo what it was to: {why}"));
    }
    found
}

fn why(
    journal: &Map<String, Value>,
    is_refused: bool,
    status: &str,
    deviated: bool,
) -> Option<NotWell> {
    let looks = &journal["steady_states"];
    let wrong = |when: &str| wrong(&looks[when], &journal["experiment"]);
    if deviated {
        return Some(NotWell::Deviated(wrong("after").unwrap_or_default()));
    }
    match status {
        "completed" => None,
        "interrupted" => Some(NotWell::Interrupted),
        "aborted" => {
            let guard = &journal.get("guards").unwrap_or(&Value::Null)[0];
            Some(NotWell::Aborted(match guard["name"].as_str() {
                Some(name) => {
                    let saw = guard["saw"].as_str().unwrap_or_default();
                    format!("guard `{name}` saw {saw}")
                }
                None if is_refused => "somebody who was asked said no".to_owned(),
                None => "something could not be done at all (see above)".to_owned(),
            }))
        }
        _ => Some(if let Some(what) = wrong("before") {
            NotWell::NotSteady(what)
        } else if let Some(what) = wrong("recovery") {
            NotWell::NotRecovered(what)
        } else if looks["during"]
            .as_array()
            .is_some_and(|during| !during.is_empty())
        {
            NotWell::FailedFast
        } else {
            NotWell::Failed
        }),
    }
}

/// What a fault did that was not as the experiment has it: the run shows less then than it seems to.
fn otherwise(fault: &Value) -> Option<String> {
    let reason = fault["reason"].as_str().unwrap_or("it is not known why");
    match fault["outcome"].as_str() {
        Some("completed") => None,
        Some("not_started") => Some(format!("did not begin: {reason}")),
        Some("unknown") => Some(format!("may not have ended: {reason}")),
        Some("stopped") if reason == STOPPED_BY_RUN => None,
        Some("nothing_matched") => {
            Some("hit nothing: no packet or request was as it says".to_owned())
        }
        Some("nothing_delayed") => Some("delayed nothing of what it hit".to_owned()),
        _ => Some(format!("ended before its time: {reason}")),
    }
}

/// Which probe was not right: what was expected, and what was seen.
fn wrong(state: &Value, experiment: &Value) -> Option<String> {
    let probes = state["probes"].as_array()?;
    let index = probes.len().checked_sub(1)?;
    let run = probes[index].as_object()?;
    if run.get("tolerance_met") == Some(&Value::Bool(true)) {
        return None;
    }
    let name = run["activity"]["name"].as_str().unwrap_or_default();
    if run["status"] == "failed" {
        return Some(format!("probe `{name}` failed: {}", failure(run)));
    }
    let tolerance = &experiment["steady-state-hypothesis"]["probes"][index]["tolerance"];
    let saw = seen(tolerance, &run["output"]);
    Some(format!(
        "probe `{name}` was expected to see {}, and saw {saw}",
        expected(tolerance)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_that_was_not_as_the_experiment_has_it_is_told() {
        let told = |outcome: &str, reason: &str| {
            otherwise(&json!({ "outcome": outcome, "reason": reason }))
        };
        assert_eq!(told("completed", "its duration has passed"), None);
        assert_eq!(told("stopped", STOPPED_BY_RUN), None);
        assert_eq!(
            told("stopped", "somebody else stopped it").unwrap(),
            "ended before its time: somebody else stopped it"
        );
        assert_eq!(
            told("agent_lost", "the agent died").unwrap(),
            "ended before its time: the agent died"
        );
        assert!(
            told("nothing_matched", "its duration has passed")
                .unwrap()
                .starts_with("hit nothing")
        );
        assert!(
            otherwise(&json!({}))
                .unwrap()
                .ends_with("it is not known why")
        );
    }
}
