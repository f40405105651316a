//! Stands in for the values of a run: configuration, secrets, environment, `${name}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What files of variables add to the environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    added: BTreeMap<String, String>,
}

impl Environment {
    /// These.
    pub fn with(added: BTreeMap<String, String>) -> Self {
        Self { added }
    }

    /// What there is beside this process's own.
    pub fn added(&self) -> impl Iterator<Item = (&str, &str)> {
        self.added
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The values of one run.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// By name.
    pub configuration: Map<String, Value>,
    /// Groups of secrets by name.
    pub secrets: Map<String, Value>,
    /// What programs that are started see.
    pub environment: Environment,
}

impl Variables {
    /// Those of this configuration and these secrets.
    pub fn new(configuration: Map<String, Value>, secrets: Map<String, Value>) -> Self {
        Self {
            configuration,
            secrets,
            ..Self::default()
        }
    }
}

/// Replaces names that are the whole text.
pub fn substitute(data: &Value, variables: &Variables) -> Value {
    match data {
        Value::String(text) => text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            .and_then(|name| variables.configuration.get(name))
            .unwrap_or(data)
            .clone(),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| substitute(item, variables))
                .collect(),
        ),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), substitute(value, variables)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => data.clone(),
    }
}
