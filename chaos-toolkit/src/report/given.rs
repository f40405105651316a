//! Values that the experiment's configuration spells out, in place of their names: a reader wants the address, not `${url}`.
//!
//! What came from an environment, a vault or a probe is not in a journal, and keeps its name.

use serde_json::{Map, Value};

/// In all activities of a journal; what they gave is left as it is.
pub(super) fn fill(journal: &mut Value) {
    let configuration = journal.pointer("/experiment/configuration");
    let Some(Value::Object(configuration)) = configuration else {
        return;
    };
    let mut given = configuration.clone();
    given.retain(|_, value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)));
    if given.is_empty() {
        return;
    }
    for pointer in ["steady-state-hypothesis", "method", "rollbacks"] {
        if let Some(declared) = journal.pointer_mut(&format!("/experiment/{pointer}")) {
            fill_in(declared, &given);
        }
    }
    for key in ["run", "rollbacks", "steady_states"] {
        if let Some(runs) = journal.get_mut(key) {
            fill_activities(runs, &given);
        }
    }
}

fn fill_activities(value: &mut Value, given: &Map<String, Value>) {
    match value {
        Value::Array(of) => of
            .iter_mut()
            .for_each(|value| fill_activities(value, given)),
        Value::Object(of) => {
            for (key, value) in of {
                match key.as_str() {
                    "activity" => fill_in(value, given),
                    "output" => {}
                    _ => fill_activities(value, given),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fill_in(value: &mut Value, given: &Map<String, Value>) {
    match value {
        Value::String(text) if text.contains("${") => *value = filled(text, given),
        Value::Array(of) => of.iter_mut().for_each(|value| fill_in(value, given)),
        Value::Object(of) => of.values_mut().for_each(|value| fill_in(value, given)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A name alone becomes its value, of whatever type; within a text, all become text.
fn filled(text: &str, given: &Map<String, Value>) -> Value {
    let alone = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(value) = alone.and_then(|name| given.get(name)) {
        return value.clone();
    }
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("${") {
        made.push_str(before);
        let named = from.split_once('}');
        match named.and_then(|(name, after)| Some((given.get(name)?, after))) {
            Some((Value::String(value), after)) => {
                made.push_str(value);
                rest = after;
            }
            Some((value, after)) => {
                made.push_str(&value.to_string());
                rest = after;
            }
            None => {
                made.push_str("${");
                rest = from;
            }
        }
    }
    made.push_str(rest);
    Value::String(made)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_become_values_in_activities_alone() {
        let mut journal = json!({
            "experiment": {
                "configuration": { "url": "http://x", "pause": 1.5, "region": { "type": "env", "key": "R" } },
                "method": [{ "pauses": { "after": "${pause}" }, "provider": { "url": "${url}/${region}/${pause}${" } }],
            },
            "run": [{ "activity": { "provider": { "url": "${url}" } }, "output": { "activity": "${url}" } }],
        });
        fill(&mut journal);
        let method = json!([{ "pauses": { "after": 1.5 }, "provider": { "url": "http://x/${region}/1.5${" } }]);
        assert_eq!(journal["experiment"]["method"], method);
        let run = json!([{ "activity": { "provider": { "url": "http://x" } }, "output": { "activity": "${url}" } }]);
        assert_eq!(journal["run"], run);
    }
}
