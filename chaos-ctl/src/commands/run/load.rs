//! Stand-in until the toolkit's loaders are merged: an experiment from a file, its configuration as it stands.

use std::path::Path;

use chaos_toolkit::variables::Variables;
use serde_json::{Map, Value};

use crate::error::{CommandError, ErrorKind};

/// What cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {file}: {why}")]
struct Unread {
    file: String,
    why: String,
}

/// Reads a file of JSON or YAML.
pub(super) fn read(path: &Path) -> Result<Value, CommandError> {
    let unread = |why: String| {
        let file = path.display().to_string();
        CommandError::new(ErrorKind::Failed, Unread { file, why })
    };
    let text = std::fs::read_to_string(path).map_err(|error| unread(error.to_string()))?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::from_str(&text).map_err(|error| unread(error.to_string())),
        Some(_) | None => serde_saphyr::from_str(&text).map_err(|error| unread(error.to_string())),
    }
}

pub(super) fn experiment(source: &str) -> Result<Value, CommandError> {
    read(Path::new(source))
}

pub(super) fn settings(path: Option<&Path>) -> Result<Value, CommandError> {
    match path {
        Some(path) if path.exists() => read(path),
        Some(_) | None => Ok(Value::Object(Map::new())),
    }
}

pub(super) fn variables(experiment: &Value, given: &[String]) -> Variables {
    let configuration = experiment.get("configuration").and_then(Value::as_object);
    let mut configuration = configuration.cloned().unwrap_or_default();
    for (key, value) in given.iter().filter_map(|given| given.split_once('=')) {
        configuration.insert(key.to_owned(), value.into());
    }
    Variables::new(configuration, Map::new())
}
