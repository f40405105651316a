//! What a tolerance must look like, before anything has run.

use serde_json::{Map, Value};

use super::{jsonpath, pattern};
use crate::python_value::kind;

/// What is wrong with a tolerance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Shape {
    /// The key of it that is wrong; none: one is missing, or it is wrong as a whole.
    pub key: Option<&'static str>,
    /// What is wrong, and what was expected.
    pub what: String,
}

fn whole(what: impl Into<String>) -> Result<(), Shape> {
    Err(Shape {
        key: None,
        what: what.into(),
    })
}

fn at(key: &'static str, what: impl Into<String>) -> Result<(), Shape> {
    Err(Shape {
        key: Some(key),
        what: what.into(),
    })
}

/// Looks at a tolerance. One of type probe is an activity, and looked at as such by whoever knows activities.
pub fn check_shape(tolerance: &Value) -> Result<(), Shape> {
    match tolerance {
        Value::Number(number) if number.is_f64() => whole(format!(
            "{number} is no whole number: a tolerance of a fraction is of type range"
        )),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Ok(()),
        Value::Null => whole(
            "a tolerance must be a whole number, a text, a boolean, a list or a mapping, not nothing",
        ),
        Value::Object(entries) => match entries.get("type") {
            Some(Value::String(name)) => match name.as_str() {
                "probe" => Ok(()),
                "regex" => regex(entries),
                "jsonpath" => json_path(entries),
                "range" => range(entries),
                other => at(
                    "type",
                    format!("there is no type `{other}` of a tolerance: it is {TYPES}"),
                ),
            },
            None => whole(format!(
                "a tolerance that is a mapping must have a `type`: {TYPES}"
            )),
            Some(other) => at(
                "type",
                format!("the `type` of a tolerance is {TYPES}, not {}", kind(other)),
            ),
        },
    }
}

const TYPES: &str = "probe, regex, jsonpath or range";

fn regex(entries: &Map<String, Value>) -> Result<(), Shape> {
    match entries.get("pattern") {
        None => whole("a tolerance of type regex must have a `pattern`"),
        Some(Value::String(text)) => match pattern::compile(text) {
            Ok(_) => Ok(()),
            Err(why) => at(
                "pattern",
                format!("the pattern `{text}` cannot be used: {why}"),
            ),
        },
        Some(other) => at(
            "pattern",
            format!("a `pattern` must be a text, not {}", kind(other)),
        ),
    }
}

fn json_path(entries: &Map<String, Value>) -> Result<(), Shape> {
    match entries.get("path") {
        None => whole("a tolerance of type jsonpath must have a `path`"),
        Some(Value::String(path)) if path.trim().is_empty() => {
            at("path", "a `path` must not be empty: `$` is all")
        }
        Some(Value::String(path)) => match jsonpath::Path::parse(path) {
            Ok(_) => Ok(()),
            Err(why) => at("path", format!("the path `{path}` cannot be used: {why}")),
        },
        Some(other) => at(
            "path",
            format!("a `path` must be a text, not {}", kind(other)),
        ),
    }
}

fn range(entries: &Map<String, Value>) -> Result<(), Shape> {
    let ends = match entries.get("range") {
        None => {
            return whole("a tolerance of type range must have a `range`: a list of two numbers");
        }
        Some(Value::Array(ends)) => ends,
        Some(other) => {
            return at(
                "range",
                format!(
                    "a `range` must be a list of two numbers, not {}",
                    kind(other)
                ),
            );
        }
    };
    let [low, high] = ends.as_slice() else {
        return at(
            "range",
            format!(
                "a `range` must have two numbers, and this one has {}",
                ends.len()
            ),
        );
    };
    for (end, name) in [(low, "lower"), (high, "upper")] {
        if !matches!(end, Value::Number(_) | Value::Bool(_)) {
            return at(
                "range",
                format!(
                    "the {name} end of a `range` must be a number, not {}",
                    kind(end)
                ),
            );
        }
    }
    Ok(())
}
