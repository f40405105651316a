//! What was found in an experiment so far, and the words for what is found most.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Checked;
use super::keys::{self, Keys};
use crate::document::{Document, pointer_token};
use crate::faults::Faults;
use crate::problem::Problem;
use crate::variables::Environment;

/// Whether Python takes a value for nothing.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(items) if items.is_empty() => "an empty list",
        Value::Array(_) => "a list",
        Value::Object(map) if map.is_empty() => "an empty mapping",
        Value::Object(_) => "a mapping",
    }
}

/// A value as a user would know it again.
pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    };
    let mut characters = text.chars();
    let begin: String = characters.by_ref().take(40).collect();
    match characters.next() {
        Some(_) => format!("{begin}\u{2026}"),
        None => begin,
    }
}

/// Words as one says them: `a`, `b` or `c`.
pub(super) fn either(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// A value, and where it is.
#[derive(Clone)]
pub(super) struct At<'a> {
    pub(super) value: &'a Value,
    pub(super) pointer: String,
}

impl<'a> At<'a> {
    pub(super) fn whole(document: &'a Document) -> Self {
        Self {
            value: &document.value,
            pointer: String::new(),
        }
    }

    pub(super) fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    /// The value of a key.
    pub(super) fn key(&self, key: &str) -> Option<Self> {
        let value = self.map()?.get(key)?;
        let pointer = self.below(key);
        Some(Self { value, pointer })
    }

    /// The same unless it is null.
    pub(super) fn given(&self, key: &str) -> Option<Self> {
        self.key(key).filter(|at| !at.value.is_null())
    }

    pub(super) fn below(&self, key: &str) -> String {
        format!("{}/{}", self.pointer, pointer_token(key))
    }

    pub(super) fn items(&self) -> Vec<Self> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items
            .map(|(index, value)| Self {
                value,
                pointer: format!("{}/{index}", self.pointer),
            })
            .collect()
    }

    pub(super) fn entries(&self) -> Vec<(&'a str, Self)> {
        let entries = self.map().into_iter().flatten();
        entries
            .map(|(key, value)| {
                let pointer = self.below(key);
                (key.as_str(), Self { value, pointer })
            })
            .collect()
    }
}

/// Something that Python is to be asked about.
pub(super) struct Asked<'a> {
    pub(super) whole: &'a Map<String, Value>,
    pub(super) control: bool,
    /// The pointer of its provider.
    pub(super) provider: String,
}

/// What was found so far.
pub(super) struct Report<'a> {
    pub(super) document: &'a Document,
    pub(super) faults: Option<&'a dyn Faults>,
    pub(super) environment: Environment,
    pub(super) asked: Vec<Asked<'a>>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(super) fn new(document: &'a Document, faults: Option<&'a dyn Faults>) -> Self {
        Self {
            document,
            faults,
            environment: Environment::default(),
            asked: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// How many problems there are.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    fn found(&self, pointer: &str, of_key: bool, what: String) -> Problem {
        let place = if of_key {
            self.document.key_place(pointer)
        } else {
            self.document.place(pointer)
        };
        Problem {
            source: self.document.source.clone(),
            place,
            pointer: pointer.to_owned(),
            what,
            instead: None,
        }
    }

    fn push(problems: &mut Vec<Problem>, problem: Problem) -> &mut Problem {
        let last = problems.len();
        problems.push(problem);
        &mut problems[last]
    }

    /// A value is wrong.
    pub(super) fn wrong(&mut self, pointer: &str, what: impl Into<String>) -> &mut Problem {
        let found = self.found(pointer, false, what.into());
        Self::push(&mut self.problems, found)
    }

    /// A key is wrong.
    pub(super) fn wrong_key(&mut self, pointer: &str, what: impl Into<String>) -> &mut Problem {
        let found = self.found(pointer, true, what.into());
        Self::push(&mut self.problems, found)
    }

    /// A value is odd.
    pub(super) fn warn(&mut self, pointer: &str, what: impl Into<String>) -> &mut Problem {
        let found = self.found(pointer, false, what.into());
        Self::push(&mut self.warnings, found)
    }

    /// A key is odd.
    pub(super) fn warn_key(&mut self, pointer: &str, what: impl Into<String>) -> &mut Problem {
        let found = self.found(pointer, true, what.into());
        Self::push(&mut self.warnings, found)
    }

    /// It must be a mapping.
    pub(super) fn mapping(&mut self, at: &At<'a>, of: &str) -> Option<At<'a>> {
        if at.value.is_object() {
            return Some(at.clone());
        }
        let what = format!("{of} must be a mapping, and this is {}", kind(at.value));
        self.wrong(&at.pointer, what);
        None
    }

    /// It must be a list.
    pub(super) fn list(&mut self, at: &At<'_>, of: &str, items: &str) -> bool {
        if at.value.is_array() {
            return true;
        }
        let what = format!(
            "{of} must be a list {items}, and this is {}",
            kind(at.value)
        );
        let problem = self.wrong(&at.pointer, what);
        match at.value {
            Value::Null => problem.or("write [], or leave the key out"),
            Value::Object(_) => problem.or("begin each with `- `, or put [\u{2026}] around them"),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
        }
        false
    }

    /// A key must be there, and say something.
    pub(super) fn required(
        &mut self,
        at: &At<'a>,
        key: &str,
        of: &str,
        known: &Keys,
    ) -> Option<At<'a>> {
        match at.key(key) {
            Some(value) if !is_nothing(value.value) => Some(value),
            Some(value) => {
                let what = format!(
                    "the `{key}` of {of} must say something, and is {}",
                    kind(value.value)
                );
                self.wrong(&value.pointer, what);
                None
            }
            None => {
                self.missing(at, key, of, known);
                None
            }
        }
    }

    /// The same, of which nobody needs the value.
    pub(super) fn required_text(&mut self, at: &At<'a>, key: &str, of: &str, known: &Keys) {
        if let Some(value) = self.required(at, key, of, known)
            && let Value::String(text) = value.value
            && text.trim().is_empty()
        {
            let what = format!("the `{key}` of {of} must say something, and is blank");
            self.wrong(&value.pointer, what);
        }
    }

    /// A key is not there; one that looks like it may be meant.
    pub(super) fn missing(
        &mut self,
        at: &At<'_>,
        key: &str,
        of: &str,
        known: &Keys,
    ) -> &mut Problem {
        let what = format!("{of} needs `{key}`");
        match at.map().and_then(|map| keys::meant(map, key, known)) {
            Some(written) => {
                let problem = self.wrong_key(
                    &at.below(written),
                    format!("{what}, and `{written}` is not it"),
                );
                problem.or(format!("write `{key}`"));
                problem
            }
            None => self.wrong(&at.pointer, what),
        }
    }

    pub(super) fn not_text(&mut self, pointer: &str, of: &str, value: &Value) {
        let what = format!("{of} is a text, and this is {}", kind(value));
        let problem = self.wrong(pointer, what);
        if matches!(value, Value::Number(_) | Value::Bool(_)) {
            problem.or("write it in quotes");
        }
    }

    /// It is none of some words.
    pub(super) fn one_of(&mut self, at: &At<'_>, of: &str, words: &[&str]) {
        let what = format!("`{}` is not {of}: it is {}", shown(at.value), either(words));
        let problem = self.wrong(&at.pointer, what);
        if let Some(meant) = at
            .value
            .as_str()
            .and_then(|said| keys::nearest(said, words))
        {
            problem.or(format!("write `{meant}`"));
        }
    }

    /// Keys that are there twice.
    pub(super) fn repeated(&mut self) {
        for (place, pointer) in &self.document.repeated {
            let key = pointer.rsplit('/').next().unwrap_or_default();
            let key = key.replace("~1", "/").replace("~0", "~");
            let again = self.document.key_place(pointer);
            let again = again.map_or(String::new(), |again| format!(" in line {}", again.line));
            self.warnings.push(Problem {
                source: self.document.source.clone(),
                place: Some(*place),
                pointer: pointer.clone(),
                what: format!("`{key}` stands there again{again}, and only the last one counts"),
                instead: Some("leave one out".to_owned()),
            });
        }
    }

    pub(super) fn finish(mut self) -> Checked {
        for problems in [&mut self.problems, &mut self.warnings] {
            problems.sort_by(|a, b| (a.place, &a.pointer).cmp(&(b.place, &b.pointer)));
            problems.dedup();
        }
        // A key of which a problem speaks needs no warning.
        let problems: HashSet<_> = self
            .problems
            .iter()
            .map(|problem| &problem.pointer)
            .collect();
        self.warnings
            .retain(|warning| !problems.contains(&warning.pointer));
        Checked {
            problems: self.problems,
            warnings: self.warnings,
        }
    }
}
