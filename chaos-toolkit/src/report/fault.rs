//! What the run of an action of `type: chaos` says of its fault, under the key `chaos`.
//!
//! It is the experiment of `-o json` (`id`, `targets` with their `counters`, `totals`), with `outcome`, `reason` and `ended_at`,
//! `error`, `warnings` and `notes`. Read by name, and nothing is asked of it: targets may be names alone, sums may be called
//! `counters`, the reason `ended` or `end_reason`. Counters are whatever numbers there are, so that new ones need nothing here.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::clock;

/// A fault that acted.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault {
    pub(super) id: Option<String>,
    /// Why it ended, in words.
    pub(super) ended: Option<String>,
    pub(super) ended_at: Option<Timestamp>,
    /// What it hit, over all targets: name and number as it is in the journal.
    pub(super) totals: Vec<(String, String)>,
    pub(super) targets: Vec<Target>,
    /// What was said on the way.
    pub(super) notes: Vec<String>,
}

/// What it acted on.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) counters: Vec<(String, String)>,
}

/// Of the value of `chaos`; none where it is no object.
pub(super) fn read(value: &Value) -> Option<Fault> {
    let of = value.as_object()?;
    let text = |keys: &[&str]| {
        let mut found = keys.iter().filter_map(|key| of.get(*key));
        found.find_map(|value| value.as_str().map(str::to_owned))
    };
    let nested = of.get("ended").and_then(Value::as_object);
    let within = |keys: &[&str]| {
        let mut found = keys.iter().filter_map(|key| nested?.get(*key)?.as_str());
        found.next().map(str::to_owned)
    };
    let reason = text(&["reason", "ended", "end_reason", "outcome"])
        .or_else(|| within(&["reason", "end_reason"]));
    let detail = text(&["end_detail", "detail"]).or_else(|| within(&["detail", "end_detail"]));
    let ended = match (reason, detail) {
        (Some(reason), Some(detail)) => {
            let code = of.get("end_reason").and_then(Value::as_str);
            Some(once(&spaced(&reason), &detail, code.unwrap_or_default()))
        }
        (Some(said), None) | (None, Some(said)) => Some(spaced(&said)),
        (None, None) => None,
    };
    let at = text(&["ended_at", "end"]).or_else(|| within(&["at", "ended_at"]));
    let sums = ["counters", "totals"].iter().find_map(|key| of.get(*key));
    let targets = of.get("targets").and_then(Value::as_array);
    let lists = ["warnings", "notes"].map(|key| of.get(key).and_then(Value::as_array));
    let notes = lists.into_iter().flatten().flatten();
    let error = text(&["error"]).filter(|error| ended.as_ref() != Some(error));
    Some(Fault {
        id: text(&["id", "experiment"]),
        ended,
        ended_at: at.and_then(|at| clock::read(&at)),
        totals: sums.map(numbers).unwrap_or_default(),
        targets: targets.into_iter().flatten().map(target).collect(),
        notes: error
            .into_iter()
            .chain(notes.filter_map(|note| note.as_str().map(str::to_owned)))
            .collect(),
    })
}

/// Why it ended, without saying the same in two ways.
fn once(reason: &str, detail: &str, code: &str) -> String {
    let is_all_of_it = match code {
        // Who stopped it is known to the run alone.
        "stopped" if detail == "it was stopped" => return reason.to_owned(),
        "expired" | "client_gone" | "agent_stopped" | "agent_stalled" => true,
        _ => detail.contains(reason),
    };
    if reason.contains(detail) {
        reason.to_owned()
    } else if is_all_of_it {
        detail.to_owned()
    } else {
        format!("{reason}: {detail}")
    }
}

fn spaced(word: &str) -> String {
    word.replace('_', " ")
}

fn target(value: &Value) -> Target {
    let Some(of) = value.as_object() else {
        let name = value.as_str().map(str::to_owned);
        return Target {
            name: name.unwrap_or_else(|| value.to_string()),
            counters: Vec::new(),
        };
    };
    let mut parts = Vec::new();
    if let Some(pod) = of.get("pod") {
        parts.extend(full_name(pod));
    }
    for key in ["name", "netns", "interface", "node"] {
        let part = of.get(key).and_then(Value::as_str).map(str::to_owned);
        let is_said = |part: &String| parts.iter().any(|known| known.ends_with(part.as_str()));
        parts.extend(part.filter(|part| !part.is_empty() && !is_said(part)));
    }
    Target {
        name: parts.join(" · "),
        counters: of.get("counters").map(numbers).unwrap_or_default(),
    }
}

fn full_name(pod: &Value) -> Option<String> {
    if let Some(name) = pod.as_str() {
        return Some(name.to_owned());
    }
    let name = pod.get("name")?.as_str()?;
    match pod.get("namespace").and_then(Value::as_str) {
        Some(namespace) => Some(format!("{namespace}/{name}")),
        None => Some(name.to_owned()),
    }
}

/// The numbers of an object, those of the objects within it too. A list is one set of counters for each rule: summed.
fn numbers(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(of) => of_object(of),
        Value::Array(rules) => summed(rules),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn of_object(of: &Map<String, Value>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, value) in of {
        match value {
            Value::Number(number) => found.push((spaced(key), number.to_string())),
            Value::Object(inner) => {
                let inner = of_object(inner).into_iter();
                found.extend(
                    inner.map(|(name, number)| (format!("{} {name}", spaced(key)), number)),
                );
            }
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) => {}
        }
    }
    found
}

fn summed(rules: &[Value]) -> Vec<(String, String)> {
    if let [only] = rules {
        return numbers(only);
    }
    let mut sums: Vec<(String, u64)> = Vec::new();
    for (name, number) in rules.iter().flat_map(numbers) {
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum = sum.saturating_add(number),
            None => sums.push((name, number)),
        }
    }
    let sums = sums.into_iter();
    sums.map(|(name, sum)| (name, sum.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn targets_and_counters_are_read() {
        let fault = read(&json!({
            "id": "delay-3f9a1c",
            "ended": "completed",
            "ended_at": "2026-11-22T18:43:05+00:00",
            "targets": [
                { "node": "n1", "pod": { "namespace": "shop", "name": "web-0" }, "interface": "eth0",
                  "counters": [{ "matched_packets": 2, "requests": { "seen": 1 } }, { "matched_packets": 40 }] },
                "netns web",
            ],
            "counters": { "matched_packets": 42, "delayed_bytes": 18_446_744_073_709_551_615_u64, "requests": null },
        }))
        .unwrap();
        assert_eq!(fault.id.as_deref(), Some("delay-3f9a1c"));
        assert_eq!(fault.ended.as_deref(), Some("completed"));
        assert!(fault.ended_at.is_some());
        let pair = |name: &str, number: &str| (name.to_owned(), number.to_owned());
        let wanted = [
            pair("matched packets", "42"),
            pair("delayed bytes", "18446744073709551615"),
        ];
        assert_eq!(fault.totals, wanted);
        assert_eq!(fault.targets[0].name, "shop/web-0 · eth0 · n1");
        let wanted = [pair("matched packets", "42"), pair("requests seen", "1")];
        assert_eq!(fault.targets[0].counters, wanted);
        assert_eq!(fault.targets[1].name, "netns web");
    }

    #[test]
    fn an_end_may_be_an_object_and_all_may_be_missing() {
        let fault =
            read(&json!({ "ended": { "reason": "client_gone", "detail": "no word for 5 s" } }))
                .unwrap();
        assert_eq!(fault.ended.as_deref(), Some("client gone: no word for 5 s"));
        assert!(read(&json!({})).is_some());
        assert!(read(&json!({ "id": 7, "targets": 3, "counters": "x" })).is_some());
        assert!(read(&json!(null)).is_none());
    }
}
