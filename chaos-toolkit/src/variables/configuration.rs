//! The configuration of a file: values as they stand, from the environment, and what a probe finds.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has six kinds of values and gets no more; most of them are wrong in the same way"
)]

use serde_json::{Map, Value};

use super::{Environment, VariableError, Variables, given, key_of, pointer};
use crate::provider::python::Python;
use crate::provider::{Thread, perform};
use crate::python_value::text;

/// Everything but what probes are to find, which stays as it stands. Of what was given, only names that the file has count.
pub(super) fn declared(
    entries: &Map<String, Value>,
    mut given: Map<String, Value>,
    environment: &Environment,
) -> Result<Map<String, Value>, VariableError> {
    let mut configuration = Map::new();
    for (name, value) in entries {
        let value = given.remove(name).unwrap_or_else(|| value.clone());
        let value = match &value {
            Value::Object(entry) if entry.get("type").and_then(Value::as_str) == Some("env") => {
                from_environment(name, entry, environment)?
            }
            _ => value,
        };
        configuration.insert(name.clone(), value);
    }
    Ok(configuration)
}

fn from_environment(
    name: &str,
    entry: &Map<String, Value>,
    environment: &Environment,
) -> Result<Value, VariableError> {
    let place = pointer("/configuration", name);
    let key = key_of(entry, &place)?;
    let value = match (environment.get(key), entry.get("default")) {
        (Some(value), _) => Value::String(value),
        (None, Some(default)) => default.clone(),
        (None, None) => {
            return Err(VariableError::NotSet {
                section: "configuration",
                name: name.to_owned(),
                key: key.to_owned(),
                default: true,
            });
        }
    };
    match entry.get("env_var_type") {
        None | Some(Value::Null) => Ok(value),
        Some(Value::String(wanted)) => given::convert(name, Some(wanted), value),
        Some(other) => Err(VariableError::UnknownType {
            name: name.to_owned(),
            kind: text(other),
        }),
    }
}

/// Asks the probes, in the order of the file. Each sees what stands above it, and no probe that failed.
pub(super) async fn find(variables: &mut Variables, python: &Python) -> Result<(), VariableError> {
    let declared = std::mem::take(&mut variables.configuration);
    for (name, value) in declared {
        let probe = match value {
            Value::Object(entry) if entry.get("type").and_then(Value::as_str) == Some("probe") => {
                entry
            }
            value => {
                variables.configuration.insert(name, value);
                continue;
            }
        };
        match ask(&name, probe, variables, python).await? {
            Ok(Some(found)) => {
                variables.configuration.insert(name, found);
            }
            Ok(None) => {}
            Err(why) => {
                let why = variables.redact(&why);
                variables.notices.push(format!(
                    "configuration `{name}` is left out: its probe failed: {why}"
                ));
            }
        }
    }
    Ok(())
}

async fn ask(
    name: &str,
    mut probe: Map<String, Value>,
    variables: &Variables,
    python: &Python,
) -> Result<Result<Option<Value>, String>, VariableError> {
    let malformed = |what: &str| VariableError::Malformed {
        pointer: pointer("/configuration", name),
        what: format!("configuration `{name}` is of type probe and must have {what}"),
    };
    let Some(Value::Object(provider)) = probe.get_mut("provider") else {
        return Err(malformed("a `provider`"));
    };
    let Some(way) = provider
        .get("type")
        .and_then(Value::as_str)
        .map(str::to_owned)
    else {
        return Err(malformed("a provider with a `type`"));
    };
    // A probe here gets all secrets without asking for them.
    let groups = variables
        .secrets
        .keys()
        .cloned()
        .map(Value::String)
        .collect();
    provider.insert("secrets".to_owned(), Value::Array(groups));
    let output = match perform(&probe, variables, python, Thread::Main).await {
        Ok(output) => output,
        Err(stopped) => return Ok(Err(stopped.to_string())),
    };
    Ok(match way.as_str() {
        "python" | "prometheus" => Ok(Some(output)),
        "process" if output["status"] == 0 => Ok(Some(Value::String(
            output["stdout"]
                .as_str()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        ))),
        "process" => Err(format!(
            "the process ended with {}: {}",
            output["status"],
            text(&output["stderr"]).trim()
        )),
        "http" => Ok(Some(output["body"].clone())),
        // The reference asks nobody, and says nothing.
        _ => Ok(None),
    })
}

#[cfg(test)]
mod tests;
