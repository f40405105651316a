//! What is told of a fault: what its action gives when it acts, and what became of it.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::commands::steered::{Acts, Ended};
use crate::error::CommandError;

/// Why a fault ended that the run itself told to.
pub(in crate::commands) const STOPPED_BY_RUN: &str = "the run stopped it";

/// As the journal has times.
fn written(time: SystemTime) -> Value {
    let time = Timestamp::try_from(time).ok();
    time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string())
        .into()
}

/// What the action gives: of `-o json` what is known when it begins.
pub(super) fn started(acts: &Acts) -> Value {
    let experiment = &acts.experiment;
    let targets = experiment["targets"].as_array().into_iter().flatten();
    let targets = targets.map(|target| {
        let keys = ["node", "pod", "name", "netns", "interface"];
        let entries = keys.map(|key| (key.to_owned(), target[key].clone()));
        Value::Object(entries.into_iter().collect())
    });
    let length = experiment["duration_ns"].as_u64().unwrap_or_default();
    // The time since it acts is in no step of the clock.
    let left = Duration::from_nanos(length).saturating_sub(acts.since.elapsed());
    json!({
        "id": experiment["id"],
        "does": acts.did,
        "rules": experiment["rules"],
        "targets": targets.collect::<Vec<_>>(),
        "duration_ns": length,
        "ends_at": written(SystemTime::now() + left),
    })
}

/// What became of it: the experiment as `-o json` has it, and how it ended; `was_stopped` by the run that it is a part
/// of.
pub(super) fn ended(ended: &Ended, was_stopped: bool) -> Value {
    let result = ended.json.as_ref();
    let notes = result.map_or(json!([]), |result| result["notes"].clone());
    let mut told = json!({
        "outcome": ended.outcome().unwrap_or("failed"),
        "reason": reason(ended, was_stopped),
        "ended_at": written(SystemTime::now()),
        "nothing_hit": null,
        "error": ended.error.as_ref().map(sentence),
        "warnings": ended.warnings,
        "notes": notes,
    });
    let experiment = result.map(|result| &result["experiment"]);
    // Where nobody tells how it ended, as it began.
    if let Some(Value::Object(experiment)) = experiment.or(ended.began.as_ref()) {
        for (key, value) in experiment {
            told[key] = value.clone();
        }
    }
    if result.is_some() {
        told["nothing_hit"] = json!(told["totals"]["matched_packets"] == 0);
    }
    told
}

fn reason(ended: &Ended, was_stopped: bool) -> String {
    let reason = ended.json.as_ref();
    let reason = reason.and_then(|result| result["experiment"]["end_reason"].as_str());
    match (reason, &ended.error) {
        (Some("expired"), _) => "its duration has passed".to_owned(),
        (Some("stopped"), _) if was_stopped => STOPPED_BY_RUN.to_owned(),
        (Some("stopped"), _) => "somebody else stopped it".to_owned(),
        (_, Some(error)) => error.source.to_string(),
        (reason, None) => reason.unwrap_or("it is not known").to_owned(),
    }
}

/// What `chaosctl` would print, in one line.
pub(super) fn sentence(error: &CommandError) -> String {
    let mut sentence = error.source.to_string();
    for hint in &error.hints {
        sentence.push_str("; hint: ");
        sentence.push_str(hint);
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_nobody_tells_the_end_of_is_told_as_it_began() {
        let of = Ended {
            json: None,
            table: None,
            did: None,
            began: Some(json!({ "id": "delay-1", "totals": { "matched_packets": 0 } })),
            warnings: vec!["careful".to_owned()],
            error: Some(CommandError::new(ErrorKind::Failed, "not told").hint("look")),
        };
        let told = ended(&of, true);
        assert_eq!(told["outcome"], "failed", "{told}");
        assert_eq!(told["reason"], "not told");
        assert_eq!(told["error"], "not told; hint: look");
        assert_eq!(told["id"], "delay-1");
        assert_eq!(told["nothing_hit"], Value::Null, "that is not known");
        assert_eq!(told["warnings"], json!(["careful"]));
    }

    #[test]
    fn times_are_as_in_the_journal() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(written(time), "1970-01-01T00:00:01.500000+00:00");
    }
}
