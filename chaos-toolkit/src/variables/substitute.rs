//! `${name}`: by the rules of Python's `string.Template`, but that a text which is nothing else becomes the value itself.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has six kinds of values and gets no more; most of them are wrong in the same way"
)]

use serde_json::{Map, Value};

use super::Variables;
use crate::python_value::text;

/// Replaces names by what they stand for, in texts at any depth; keys stay. Configuration goes before secrets. A name that
/// stands for nothing stays as it is, `$$` becomes `$`, and what was put in is not looked at again.
pub fn substitute(data: &Value, variables: &Variables) -> Value {
    match data {
        Value::String(template) => substitute_text(template, variables),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| substitute(item, variables))
                .collect(),
        ),
        Value::Object(entries) => Value::Object(substitute_entries(entries, variables)),
        Value::Null | Value::Bool(_) | Value::Number(_) => data.clone(),
    }
}

fn substitute_entries(entries: &Map<String, Value>, variables: &Variables) -> Map<String, Value> {
    entries
        .iter()
        .map(|(key, value)| (key.clone(), substitute(value, variables)))
        .collect()
}

fn substitute_text(template: &str, variables: &Variables) -> Value {
    if !template.contains('$') {
        return Value::String(template.to_owned());
    }
    let whole = template
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(value) = whole
        .filter(|name| is_name(name))
        .and_then(|name| variables.find(name))
    {
        return value.clone();
    }
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let pattern = &rest[at..];
        let after = &pattern[1..];
        let (length, name) = if after.starts_with('$') {
            out.push('$');
            rest = &pattern[2..];
            continue;
        } else if let Some(braced) = after.strip_prefix('{') {
            let name = name_at(braced);
            let closed = braced[name.len()..].starts_with('}');
            if closed {
                (name.len() + 3, name)
            } else {
                (1, "")
            }
        } else {
            let name = name_at(after);
            (name.len() + 1, name)
        };
        match Some(name)
            .filter(|name| !name.is_empty())
            .and_then(|name| variables.find(name))
        {
            Some(value) => out.push_str(&text(value)),
            None => out.push_str(&pattern[..length]),
        }
        rest = &pattern[length..];
    }
    out.push_str(rest);
    Value::String(out)
}

/// The name that a text begins with; empty if none.
fn name_at(text: &str) -> &str {
    let end = text
        .find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
        .unwrap_or(text.len());
    let name = &text[..end];
    if name.starts_with(|character: char| character.is_ascii_digit()) {
        ""
    } else {
        name
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && name_at(text) == text
}

impl Variables {
    /// What a name stands for. Secrets are found by their own names, not by those of their groups; a secret that is in no
    /// group by its own too.
    pub fn find(&self, name: &str) -> Option<&Value> {
        self.configuration.get(name).or_else(|| {
            self.secrets.iter().find_map(|(own, group)| match group {
                Value::Object(group) => group.get(name),
                secret => Some(secret).filter(|_| own == name),
            })
        })
    }
}

#[cfg(test)]
mod tests;
