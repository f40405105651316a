//! Whether the value that a probe gave is right: scalars, lists, patterns, JSON paths, ranges and further probes, by the
//! reference's own rules. Knows no hypothesis and no journal.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has six kinds of values and gets no more; most of them are wrong in the same way"
)]

use futures::future::{BoxFuture, FutureExt as _};
use serde_json::{Map, Value};

use crate::provider::python::Python;
use crate::provider::{Stopped, Thread, perform};
use crate::python_value::{equal, kind, order, repr, truth};
use crate::variables::{Variables, substitute};

mod decimal;
mod jsonpath;
mod pattern;
mod shape;

use decimal::Decimal;
pub(crate) use shape::unreadable;

/// Whether the value is within the tolerance. Names in a tolerance that is a text are replaced first; what it becomes by
/// that decides how it is read. `place` is for a tolerance that is itself a probe.
///
/// What Python ends with an exception of its own here is [`Stopped::Crashed`], such as a text in a range of numbers.
pub fn within<'a>(
    tolerance: &'a Value,
    value: &'a Value,
    variables: &'a Variables,
    python: &'a Python,
    place: Thread,
) -> BoxFuture<'a, Result<bool, Stopped>> {
    // Boxed: a probe may have a tolerance that is a probe.
    async move {
        if let Value::String(_) = tolerance {
            return match substitute(tolerance, variables) {
                Value::Object(entries) => mapping(&entries, value, variables, python, place).await,
                other => plain(&other, value),
            };
        }
        match tolerance {
            Value::Object(entries) => mapping(entries, value, variables, python, place).await,
            other => plain(other, value),
        }
    }
    .boxed()
}

fn plain(tolerance: &Value, value: &Value) -> Result<bool, Stopped> {
    match tolerance {
        Value::Bool(_) | Value::String(_) => Ok(equal(value, tolerance)),
        Value::Number(number) if !number.is_f64() => {
            Ok(equal(status_of(value).unwrap_or(value), tolerance))
        }
        Value::Array(items) => list(items, value),
        // The reference checks nothing here, and takes that for a no.
        Value::Null | Value::Number(_) | Value::Object(_) => Ok(false),
    }
}

/// The status of what a process or a request gave.
fn status_of(value: &Value) -> Option<&Value> {
    value.as_object().and_then(|entries| entries.get("status"))
}

/// Two items are the ends of a range, unless there is a status to be one of them.
fn list(items: &[Value], value: &Value) -> Result<bool, Stopped> {
    if let Some(status) = status_of(value) {
        return Ok(items.iter().any(|item| equal(item, status)));
    }
    let [low, high] = items else {
        return Ok(items.iter().any(|item| equal(item, value)));
    };
    Ok(is_ordered(low, value)? && is_ordered(value, high)?)
}

fn is_ordered(low: &Value, high: &Value) -> Result<bool, Stopped> {
    order(low, high)
        .map(|order| order.is_some_and(std::cmp::Ordering::is_le))
        .map_err(|unordered| {
            Stopped::crashed(format!(
                "a tolerance of two items is a range, and {unordered}"
            ))
        })
}

async fn mapping(
    tolerance: &Map<String, Value>,
    value: &Value,
    variables: &Variables,
    python: &Python,
    place: Thread,
) -> Result<bool, Stopped> {
    match tolerance.get("type").and_then(Value::as_str) {
        Some("probe") => probe(tolerance, value, variables, python, place).await,
        Some("regex") => regex(tolerance, value, variables),
        Some("jsonpath") => json_path(tolerance, value, variables),
        Some("range") => range(tolerance, value),
        _ => Ok(false),
    }
}

/// Gives the value to a probe, as its argument `value`; what it gives is a yes or a no.
async fn probe(
    tolerance: &Map<String, Value>,
    value: &Value,
    variables: &Variables,
    python: &Python,
    place: Thread,
) -> Result<bool, Stopped> {
    let mut probe = tolerance.clone();
    let Some(Value::Object(provider)) = probe.get_mut("provider") else {
        return Err(Stopped::crashed(
            "the tolerance is a probe without a provider",
        ));
    };
    let arguments = provider
        .entry("arguments")
        .or_insert_with(|| Value::Object(Map::new()));
    match arguments {
        Value::Object(arguments) => arguments.insert("value".to_owned(), value.clone()),
        other => {
            let kind = kind(other);
            return Err(Stopped::crashed(format!(
                "the arguments of a tolerance that is a probe must be a mapping, which the value is added to, not {kind}"
            )));
        }
    };
    match perform(&probe, variables, python, place).await {
        Ok(answer) => Ok(truth(&answer)),
        Err(Stopped::Failed(_)) => Ok(false),
        Err(stopped) => Err(stopped),
    }
}

fn regex(
    tolerance: &Map<String, Value>,
    value: &Value,
    variables: &Variables,
) -> Result<bool, Stopped> {
    let pattern = replaced(tolerance, "pattern", variables);
    let Value::String(pattern) = &pattern else {
        return Err(Stopped::crashed(format!(
            "the pattern of a tolerance must be a text, not {}",
            kind(&pattern)
        )));
    };
    let expression = pattern::compile(pattern).map_err(|why| {
        Stopped::crashed(format!(
            "the pattern `{pattern}` of a tolerance cannot be used: {why}"
        ))
    })?;
    let Value::String(text) = target(tolerance, value)? else {
        let kind = kind(target(tolerance, value)?);
        return Err(Stopped::crashed(format!(
            "a pattern is looked for in a text, and the value is {kind}"
        )));
    };
    expression.is_match(text).map_err(|error| {
        Stopped::crashed(format!(
            "the pattern `{pattern}` of a tolerance was given up: {error}"
        ))
    })
}

fn json_path(
    tolerance: &Map<String, Value>,
    value: &Value,
    variables: &Variables,
) -> Result<bool, Stopped> {
    let path = replaced(tolerance, "path", variables);
    let Value::String(path) = &path else {
        return Err(Stopped::crashed(format!(
            "the path of a tolerance must be a text, not {}",
            kind(&path)
        )));
    };
    let wrong = |why: jsonpath::Wrong| {
        Stopped::crashed(format!(
            "the path `{path}` of a tolerance cannot be used: {why}"
        ))
    };
    let parsed = jsonpath::Path::parse(path).map_err(wrong)?;
    let value = target(tolerance, value)?;
    // A text that is JSON is what it says.
    let inside = value
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok());
    let found = parsed
        .find(inside.as_ref().unwrap_or(value))
        .map_err(wrong)?;
    Ok(match (tolerance.get("expect"), tolerance.get("count")) {
        (Some(expected), _) => match substitute(expected, variables) {
            Value::Array(expected) => equal(&Value::Array(found), &Value::Array(expected)),
            expected => equal(&Value::Array(found), &Value::Array(vec![expected])),
        },
        (None, None | Some(Value::Null)) => !found.is_empty(),
        (None, Some(count)) => equal(&Value::from(found.len()), count),
    })
}

fn range(tolerance: &Map<String, Value>, value: &Value) -> Result<bool, Stopped> {
    let value = target(tolerance, value)?;
    let value = match value {
        Value::String(text) => match Decimal::parse(text) {
            Some(value) => value,
            None => return Ok(false),
        },
        other => number(other, "the value")?,
    };
    let Some(Value::Array(ends)) = tolerance.get("range") else {
        return Err(Stopped::crashed(
            "a tolerance of type range must have a `range`: a list of two numbers",
        ));
    };
    let [low, high, ..] = ends.as_slice() else {
        return Err(Stopped::crashed(format!(
            "a range has two ends, and this one is {}",
            repr(&Value::from(ends.clone()))
        )));
    };
    if value == Decimal::NaN {
        return Err(Stopped::crashed(
            "the value is NaN, which no range can be compared with",
        ));
    }
    Ok(number(low, "the lower end")? <= value && value <= number(high, "the upper end")?)
}

fn number(value: &Value, what: &str) -> Result<Decimal, Stopped> {
    let wrong = || {
        Stopped::crashed(format!(
            "{what} of a range must be a number, and is {}",
            kind(value)
        ))
    };
    Decimal::of(value).ok_or_else(wrong)
}

/// What is looked at: what the value has under the name of the target, or else the value.
fn target<'a>(tolerance: &Map<String, Value>, value: &'a Value) -> Result<&'a Value, Stopped> {
    let Some(target) = tolerance.get("target").filter(|target| truth(target)) else {
        return Ok(value);
    };
    let Value::Object(entries) = value else {
        let kind = kind(value);
        return Err(Stopped::crashed(format!(
            "a target is a part of a mapping, and the value is {kind}"
        )));
    };
    Ok(target
        .as_str()
        .and_then(|target| entries.get(target))
        .unwrap_or(value))
}

fn replaced(tolerance: &Map<String, Value>, key: &str, variables: &Variables) -> Value {
    tolerance
        .get(key)
        .map_or(Value::Null, |value| substitute(value, variables))
}

#[cfg(test)]
mod tests;
