//! Secrets that the reference leaves in its journals: a report has none of them.

use serde_json::{Map, Value};

use crate::variables::HIDDEN;

/// Shorter ones would take harmless text with them: they are hidden where they are declared alone.
const LEAST: usize = 4;

/// Hides the secrets that the experiment spells out, wherever they stand in the journal.
pub(super) fn hide(journal: &mut Value) {
    let mut secrets = Vec::new();
    if let Some(Value::Object(scopes)) = journal.pointer_mut("/experiment/secrets") {
        for scope in scopes.values_mut() {
            hide_declared(scope, &mut secrets);
        }
    }
    secrets.retain(|secret| secret.len() >= LEAST && secret != HIDDEN);
    // The longer first: one may be a part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    if !secrets.is_empty() {
        hide_in(journal, &secrets);
    }
}

/// A secret that is to be looked up says where; any other is the secret itself.
fn hide_declared(value: &mut Value, secrets: &mut Vec<String>) {
    match value {
        Value::Object(entry) if is_reference(entry) => {
            if let Some(default) = entry.get_mut("default") {
                hide_declared(default, secrets);
            }
        }
        Value::Object(entries) => entries
            .values_mut()
            .for_each(|value| hide_declared(value, secrets)),
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| hide_declared(value, secrets)),
        Value::String(text) => {
            secrets.push(std::mem::take(text));
            HIDDEN.clone_into(text);
        }
        Value::Number(number) => {
            secrets.push(number.to_string());
            *value = HIDDEN.into();
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn is_reference(entry: &Map<String, Value>) -> bool {
    matches!(
        entry.get("type").and_then(Value::as_str),
        Some("env" | "vault" | "probe")
    )
}

fn hide_in(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => {
            for secret in secrets {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), HIDDEN);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| hide_in(value, secrets)),
        Value::Object(entries) => entries
            .values_mut()
            .for_each(|value| hide_in(value, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_spelled_out_is_nowhere() {
        let mut journal = json!({
            "experiment": { "secrets": {
                "shop": { "token": "hunter2", "longer": "hunter2-and-more", "pin": "no" },
                "env": { "key": { "type": "env", "key": "NO_SECRET", "default": "fallback" } },
            } },
            "run": [{ "output": ["Bearer hunter2-and-more", "it is no use: hunter2", "fallback", "NO_SECRET"] }],
        });
        hide(&mut journal);
        let wanted = json!({
            "experiment": { "secrets": {
                "shop": { "token": "***", "longer": "***", "pin": "***" },
                "env": { "key": { "type": "env", "key": "NO_SECRET", "default": "***" } },
            } },
            "run": [{ "output": ["Bearer ***", "it is no use: ***", "***", "NO_SECRET"] }],
        });
        assert_eq!(journal, wanted);
    }

    #[test]
    fn a_journal_without_secrets_stays() {
        for mut journal in [json!({}), json!({ "experiment": { "secrets": null } })] {
            let before = journal.clone();
            hide(&mut journal);
            assert_eq!(journal, before);
        }
    }
}
