//! What the command line says of variables: `--var` and `--var-file`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has six kinds of values and gets no more; most of them are wrong in the same way"
)]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Environment, VariableError};
use crate::document::{Document, Format};
use crate::python_value::kind;

/// Values that go before those of the file.
#[derive(Clone, Default)]
pub struct Given {
    /// By name; an entry may be of type env, as in a file.
    pub configuration: Map<String, Value>,
    /// Groups of secrets by name; taken as they are.
    pub secrets: Map<String, Value>,
    /// Names that the command line has, and no file: who writes one of them means it.
    pub named: Vec<String>,
    /// With what files of the kind `.env` say.
    pub environment: Environment,
}

impl Given {
    /// Reads `--var` (`name=value`, `name:type=value`) and `--var-file`. A later one goes before an earlier one, and `--var`
    /// before all files.
    ///
    /// Files that end in `.json`, `.yaml` and `.yml` are mappings with `configuration` and `secrets`; others have lines of
    /// `NAME=value` for the environment, taken as they stand.
    pub fn read<P: AsRef<Path>>(variables: &[String], files: &[P]) -> Result<Self, VariableError> {
        let mut given = Self::default();
        let mut environment = BTreeMap::new();
        for file in files {
            given.read_file(file.as_ref(), &mut environment)?;
        }
        given.environment = Environment::with(environment);
        for variable in variables {
            let (name, value) = parse(variable)?;
            given.named.push(name.clone());
            given.configuration.insert(name, value);
        }
        Ok(given)
    }

    fn read_file(
        &mut self,
        path: &Path,
        environment: &mut BTreeMap<String, String>,
    ) -> Result<(), VariableError> {
        let shown = path.display().to_string();
        // The reference goes on without a file that it cannot read, and does to one target what was meant for another.
        let unread = |what: String| VariableError::Unread {
            path: shown.clone(),
            what,
        };
        let content = std::fs::read_to_string(path).map_err(|error| unread(error.to_string()))?;
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or_default();
        let format = match ending {
            "json" => Format::Json,
            "yaml" | "yml" if content.trim().is_empty() => return Ok(()),
            "yaml" | "yml" => Format::Yaml,
            _ => return read_environment(&shown, &content, environment),
        };
        // As an experiment is read, so that a value means the same in both.
        let document = Document::read(&shown, &content, format)
            .map_err(|problem| unread(problem.to_string()))?;
        self.take(&shown, document.value)
    }

    fn take(&mut self, path: &str, value: Value) -> Result<(), VariableError> {
        let wrong = |what: String| VariableError::File {
            path: path.to_owned(),
            line: None,
            what,
        };
        let mut sections = match value {
            Value::Null => return Ok(()),
            Value::Object(sections) => sections,
            other => {
                let kind = kind(&other);
                return Err(wrong(format!(
                    "must be a mapping with `configuration` and `secrets`, not {kind}"
                )));
            }
        };
        for (name, target) in [
            ("configuration", &mut self.configuration),
            ("secrets", &mut self.secrets),
        ] {
            match sections.remove(name) {
                None => {}
                Some(Value::Object(entries)) => target.extend(entries),
                Some(other) => {
                    return Err(wrong(format!(
                        "`{name}` must be a mapping, not {}",
                        kind(&other)
                    )));
                }
            }
        }
        Ok(())
    }
}

fn read_environment(
    path: &str,
    content: &str,
    environment: &mut BTreeMap<String, String>,
) -> Result<(), VariableError> {
    for (index, line) in content.split('\n').enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parts = line
            .split_once('=')
            .filter(|(name, _)| !name.is_empty() && !line.contains('\0'));
        let Some((name, value)) = parts else {
            return Err(VariableError::File {
                path: path.to_owned(),
                line: Some(index + 1),
                what: format!("must be NAME=value{}", meant(path)),
            });
        };
        environment.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

/// What may have been meant instead by a file of lines.
fn meant(path: &str) -> &'static str {
    let path = path.to_lowercase();
    if [".json", ".yaml", ".yml"]
        .iter()
        .any(|ending| path.ends_with(ending))
    {
        "; for a mapping its name must end in .json, .yaml or .yml, in small letters"
    } else {
        ""
    }
}

fn parse(variable: &str) -> Result<(String, Value), VariableError> {
    let Some((name, value)) = variable.split_once('=') else {
        return Err(VariableError::NotAVariable {
            given: variable.to_owned(),
        });
    };
    let value = Value::String(value.to_owned());
    match name.rsplit_once(':') {
        None => Ok((name.to_owned(), value)),
        Some((name, kind)) => Ok((name.to_owned(), convert(name, Some(kind), value)?)),
    }
}

/// Makes a value one of this type, by Python's rules. A value of no type stays what it is.
pub(super) fn convert(
    name: &str,
    wanted: Option<&str>,
    value: Value,
) -> Result<Value, VariableError> {
    let wrong = |kind: &'static str, why: String| VariableError::NotOfType {
        name: name.to_owned(),
        kind,
        why,
    };
    match wanted {
        None | Some("str" | "string") => Ok(value),
        Some("int" | "integer") => whole(&value).map_err(|why| wrong("a whole number", why)),
        Some("float" | "number") => float(&value).map_err(|why| wrong("a number", why)),
        // There are no bytes in JSON: the text that they encode stands for them.
        Some("bytes") => match value {
            Value::String(_) => Ok(value),
            other => Err(wrong("bytes", format!("it is {}", kind(&other)))),
        },
        Some("bool") => match value {
            Value::Bool(_) => Ok(value),
            Value::String(text) => Ok(Value::Bool(!matches!(
                text.to_lowercase().as_str(),
                "false" | "0" | "no"
            ))),
            other => Err(wrong("a boolean", format!("it is {}", kind(&other)))),
        },
        Some("json") => match value {
            Value::String(text) if !text.is_empty() => {
                serde_json::from_str(&text).map_err(|error| wrong("JSON", error.to_string()))
            }
            other => Ok(other),
        },
        Some(other) => Err(VariableError::UnknownType {
            name: name.to_owned(),
            kind: other.to_owned(),
        }),
    }
}

fn whole(value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(truth) => Ok(Value::from(u8::from(*truth))),
        Value::Number(number) if !number.is_f64() => Ok(value.clone()),
        Value::Number(number) => {
            // Cut off, and written without a fraction: what is left is digits.
            let cut = format!("{:.0}", number.as_f64().unwrap_or_default().trunc());
            from_digits(&cut)
        }
        Value::String(text) => {
            let text = text.trim();
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let groups = digits.split('_');
            let plain = groups
                .clone()
                .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
            if !plain {
                return Err("it is no whole number in digits".to_owned());
            }
            let sign = if text.starts_with('-') { "-" } else { "" };
            from_digits(&format!("{sign}{}", groups.collect::<String>()))
        }
        other => Err(format!("it is {}", kind(other))),
    }
}

fn from_digits(digits: &str) -> Result<Value, String> {
    let signed = digits.parse::<i64>().map(Value::from);
    signed
        .or_else(|_| digits.parse::<u64>().map(Value::from))
        .map_err(|_| "it does not fit into 64 bits".to_owned())
}

fn float(value: &Value) -> Result<Value, String> {
    let number = match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => python_float(text),
        other => return Err(format!("it is {}", kind(other))),
    };
    number
        .and_then(serde_json::Number::from_f64)
        .map(Value::Number)
        .ok_or_else(|| "it is no finite number in digits".to_owned())
}

/// Rust's floats are written as Python's, but for `_` between digits.
fn python_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let between = |index: usize| {
        let digit = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(u8::is_ascii_digit)
        };
        digit(index.checked_sub(1)) && digit(index.checked_add(1))
    };
    if bytes
        .iter()
        .enumerate()
        .any(|(index, &byte)| byte == b'_' && !between(index))
    {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests;
