//! Keeps secrets out of what is printed and journaled.
//!
//! A text of at least four characters among the secrets is replaced wherever it occurs, also as it stands inside JSON and in
//! an address; in the names of a mapping only one of at least twelve. Shorter ones, and numbers of fewer than six digits, would tear up everything else and show by that what
//! they are: they are replaced only where the file declares them. A number, or a text of digits, counts only as a whole
//! number, not as a part of a longer one such as a time.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has six kinds of values and gets no more; most of them are wrong in the same way"
)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::Variables;
use crate::python_value::text;

/// What stands in place of a secret.
pub const HIDDEN: &str = "***";

const SHORTEST_TEXT: usize = 4;
const SHORTEST_NUMBER: usize = 6;
const SHORTEST_IN_KEY: usize = 12;

/// Configuration that is as secret as secrets: what Vault is asked with.
const SECRET_CONFIGURATION: [&str; 2] = ["vault_token", "vault_role_secret"];

impl Variables {
    /// The text without the values of secrets.
    pub fn redact(&self, text: &str) -> String {
        redact_text(text, &self.hidden())
    }

    /// The value without those of secrets, at any depth.
    pub fn redact_value(&self, value: &Value) -> Value {
        redact_value(value, &self.hidden())
    }

    /// An experiment without the values of secrets: as [`Variables::redact_value`], and those that the file itself has under
    /// `secrets` whatever they are. What says where a secret comes from stays.
    pub fn redact_experiment(&self, experiment: &Map<String, Value>) -> Map<String, Value> {
        let hidden = self.hidden();
        let mut redacted: Map<String, Value> = experiment
            .iter()
            .map(|(key, value)| (key.clone(), redact_value(value, &hidden)))
            .collect();
        if let (Some(declared), Some(Value::Object(original))) =
            (redacted.get_mut("secrets"), experiment.get("secrets"))
        {
            *declared = Value::Object(redact_declared(original));
        }
        if let Some(Value::Object(configuration)) = redacted.get_mut("configuration") {
            for name in SECRET_CONFIGURATION {
                if let Some(value @ Value::String(_)) = configuration.get_mut(name) {
                    *value = Value::String(HIDDEN.to_owned());
                }
            }
        }
        redacted
    }

    /// The secrets that are too short to be looked for, by their pointers.
    pub(super) fn unhidden(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, secret) in &self.secrets {
            short(&format!("/secrets/{name}"), secret, &mut found);
        }
        found
    }

    /// What must not be seen, the longest first: a secret may be a part of another.
    fn hidden(&self) -> Vec<String> {
        let mut hidden = Vec::new();
        for secret in self.secrets.values() {
            gather(secret, &mut hidden);
        }
        for secret in SECRET_CONFIGURATION
            .iter()
            .filter_map(|name| self.configuration.get(*name))
        {
            gather(secret, &mut hidden);
        }
        hidden.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        hidden.dedup();
        hidden
    }
}

fn redact_declared(entries: &Map<String, Value>) -> Map<String, Value> {
    let comes_from_elsewhere = matches!(
        entries.get("type").and_then(Value::as_str),
        Some("env" | "vault")
    );
    if comes_from_elsewhere {
        return entries.clone();
    }
    entries
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Value::Object(entries) => Value::Object(redact_declared(entries)),
                Value::Null => Value::Null,
                _ => Value::String(HIDDEN.to_owned()),
            };
            (key.clone(), value)
        })
        .collect()
}

fn gather(secret: &Value, hidden: &mut Vec<String>) {
    match secret {
        Value::Null | Value::Bool(_) => {}
        Value::Number(_) => {
            let digits = text(secret);
            if digits.len() >= SHORTEST_NUMBER {
                hidden.push(digits);
            }
        }
        Value::String(secret) => {
            // What ends a line is seldom printed with it.
            let secret = secret.trim();
            if secret.chars().count() < SHORTEST_TEXT {
                return;
            }
            let in_json = Value::from(secret).to_string();
            hidden.push(in_json[1..in_json.len() - 1].to_owned());
            hidden.push(form_urlencoded::byte_serialize(secret.as_bytes()).collect());
            hidden.push(percent_encoded(secret));
            // As Kubernetes and HTTP have it, with or without what fills it up.
            hidden.push(STANDARD_NO_PAD.encode(secret));
            hidden.push(URL_SAFE_NO_PAD.encode(secret));
            // Of a key or a certificate, one line is enough.
            let lines = secret.lines().map(str::trim);
            hidden.extend(
                lines
                    .filter(|line| line.chars().count() >= SHORTEST_IN_KEY)
                    .map(str::to_owned),
            );
            hidden.push(secret.to_owned());
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, hidden)),
        Value::Object(entries) => entries.values().for_each(|value| gather(value, hidden)),
    }
}

fn short(pointer: &str, secret: &Value, found: &mut Vec<String>) {
    match secret {
        Value::Null | Value::Bool(_) => {}
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                short(&format!("{pointer}/{index}"), item, found);
            }
        }
        Value::Object(entries) => {
            for (name, entry) in entries {
                short(&format!("{pointer}/{name}"), entry, found);
            }
        }
        Value::Number(_) | Value::String(_) => {
            let mut hidden = Vec::new();
            gather(secret, &mut hidden);
            if hidden.is_empty() && secret.as_str() != Some("") {
                found.push(pointer.to_owned());
            }
        }
    }
}

/// As in an address, where a form's `+` is `%20`.
fn percent_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn redact_value(value: &Value, hidden: &[String]) -> Value {
    if hidden.is_empty() {
        return value.clone();
    }
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(_) => {
            let digits = text(value);
            if digits.len() >= SHORTEST_NUMBER && hidden.contains(&digits) {
                Value::String(HIDDEN.to_owned())
            } else {
                value.clone()
            }
        }
        Value::String(text) => Value::String(redact_text(text, hidden)),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| redact_value(item, hidden))
                .collect(),
        ),
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (redact_key(key, hidden), redact_value(value, hidden)))
                .collect(),
        ),
    }
}

/// Names of things are seldom secret, and often words that somebody has for a password, such as `secret`.
fn redact_key(key: &str, hidden: &[String]) -> String {
    let is_long = |secret: &&String| secret.len() >= SHORTEST_IN_KEY;
    redact_text(key, hidden.iter().filter(is_long))
}

fn redact_text<'a>(text: &str, hidden: impl IntoIterator<Item = &'a String>) -> String {
    let mut text = text.to_owned();
    for secret in hidden {
        if text.contains(secret.as_str()) {
            text = without(&text, secret);
        }
    }
    text
}

fn without(text: &str, secret: &str) -> String {
    let number = secret
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let continues =
        |next: Option<char>| next.is_some_and(|next| next.is_ascii_digit() || next == '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let after = &rest[at + secret.len()..];
        out.push_str(&rest[..at]);
        let before = out.chars().next_back();
        if number && (continues(before) || after.starts_with(|next: char| next.is_ascii_digit())) {
            out.push_str(secret);
        } else {
            out.push_str(HIDDEN);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
