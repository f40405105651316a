//! Configuration and secrets: what of the environment must be there before anything begins.

use std::env;

use serde_json::Value;

use super::report::{At, Report, kind, shown};
use super::{keys, provider};

const TYPES: [&str; 9] = [
    "str", "string", "int", "integer", "float", "number", "bytes", "bool", "json",
];

pub(super) fn check<'a>(report: &mut Report<'a>, whole: &At<'a>) {
    if let Some(configuration) = whole.key("configuration")
        && let Some(configuration) = report.mapping(&configuration, "the configuration")
    {
        for (_, entry) in configuration.entries() {
            match entry.key("type").as_ref().and_then(|of| of.value.as_str()) {
                Some("env") => from_environment(report, &entry),
                Some("probe") => from_probe(report, &entry),
                Some(_) | None => {}
            }
        }
    }
    if let Some(secrets) = whole.key("secrets")
        && let Some(secrets) = report.mapping(&secrets, "secrets")
    {
        for (name, of) in secrets.entries() {
            if of.value.is_object() {
                secret(report, &of);
            } else {
                let what = format!(
                    "secrets are mappings of names to secrets, and this is {}",
                    kind(of.value)
                );
                report.wrong(&of.pointer, what).or(format!(
                    "write {{{name}: ...}} under a name of what it is for"
                ));
            }
        }
    }
}

/// The name of a variable, and what it says if it is there.
fn variable<'a>(
    report: &mut Report<'a>,
    entry: &At<'a>,
    known: &keys::Keys,
) -> Option<(At<'a>, Option<String>)> {
    let Some(key) = entry.key("key") else {
        report.missing(entry, "key", known.of, known);
        return None;
    };
    let Value::String(name) = key.value else {
        report.not_text(
            &key.pointer,
            "the name of a variable of the environment",
            key.value,
        );
        return None;
    };
    // No variable has such a name, and the standard library breaks on it.
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    let said = is_name.then(|| report.environment.get_os(name)).flatten();
    let said = said.map(|said| said.to_string_lossy().into_owned());
    Some((key, said))
}

fn unset(report: &mut Report<'_>, key: &At<'_>, instead: &str) {
    let name = shown(key.value);
    let what = format!("the environment has no variable `{name}`");
    let mut names: Vec<_> = env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    names.sort_unstable();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    // Short names are near to anything.
    let meant = keys::nearest(&name, &names).filter(|_| name.len() > 4);
    let instead = meant.map_or(instead.to_owned(), |meant| {
        format!("{instead}, or write `{meant}`")
    });
    report.wrong(&key.pointer, what).or(instead);
}

fn from_environment<'a>(report: &mut Report<'a>, entry: &At<'a>) {
    keys::look(report, entry, &keys::ENVIRONMENT);
    let variable = variable(report, entry, &keys::ENVIRONMENT);
    let default = entry.key("default");
    let of = entry.given("env_var_type");
    if let Some(of) = &of
        && !of.value.as_str().is_some_and(|said| TYPES.contains(&said))
    {
        return report.one_of(of, "a type of variable", &TYPES);
    }
    let of = of.as_ref().and_then(|of| of.value.as_str());
    let Some((key, said)) = variable else {
        return;
    };
    let (said, pointer) = match (said, default) {
        (Some(said), _) => (Value::String(said), key.pointer),
        (None, Some(default)) => (default.value.clone(), default.pointer),
        (None, None) => return unset(report, &key, "set it, or give a `default`"),
    };
    if let Some(of) = of.filter(|of| !is_of(&said, of)) {
        let what = format!(
            "this is to be of type {of}, and its value is not: {}",
            shown(&said)
        );
        report.wrong(&pointer, what);
    }
}

/// Whether Python makes such a value of it.
fn is_of(value: &Value, of: &str) -> bool {
    let number = |text: &str| {
        let text = text.trim().replace('_', "").to_lowercase();
        let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
        digits.parse::<f64>().is_ok() && !digits.starts_with(['-', '+'])
    };
    match (of, value) {
        ("int" | "integer", Value::String(text)) => {
            let text = text.trim().replace('_', "");
            let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
            !digits.is_empty() && digits.chars().all(char::is_numeric)
        }
        ("float" | "number", Value::String(text)) => number(text),
        ("int" | "integer" | "float" | "number", value) => value.is_number() || value.is_boolean(),
        ("bytes", value) => value.is_string(),
        ("bool", value) => value.is_string() || value.is_boolean(),
        ("json", Value::String(text)) => {
            text.is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        }
        _ => true,
    }
}

/// A probe whose value becomes the variable's; the reference sees that it cannot only when it begins.
fn from_probe<'a>(report: &mut Report<'a>, entry: &At<'a>) {
    keys::look(report, entry, &keys::ACTIVITY);
    let of = entry
        .key("provider")
        .and_then(|provider| provider.key("type"));
    let known = of.as_ref().and_then(|of| of.value.as_str());
    if !known.is_some_and(|of| provider::OF_ACTIVITIES.contains(&of) && of != "chaos") {
        let what =
            "a probe of the configuration needs a `provider` of type python, process or http";
        report.warn(&of.map_or(entry.pointer.clone(), |of| of.pointer), what);
    }
}

fn secret<'a>(report: &mut Report<'a>, entry: &At<'a>) {
    match entry.key("type").as_ref().and_then(|of| of.value.as_str()) {
        Some("env") => {
            keys::look(report, entry, &keys::SECRET_ENVIRONMENT);
            if let Some((key, None)) = variable(report, entry, &keys::SECRET_ENVIRONMENT) {
                unset(report, &key, "set it");
            }
        }
        Some("vault") => {
            keys::look(report, entry, &keys::VAULT);
            if entry.given("path").is_none() {
                let what = "a secret of Vault needs `path`, and without it there is none";
                let problem = report.warn(&entry.pointer, what);
                if entry.key("key").is_some() {
                    problem.or("write `path` for `key`, which is a key of what is found there");
                }
            }
        }
        Some(_) | None => {
            for (_, below) in entry.entries() {
                if below.value.is_object() {
                    secret(report, &below);
                }
            }
        }
    }
}
