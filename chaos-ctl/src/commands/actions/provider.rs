//! What a provider of `type: chaos` says, as an experiment: the same keys and values as in an experiment file. Asks
//! nobody.

use chaos_toolkit::problem::Flaw;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use serde_path_to_error::Segment;

use super::value::{Json, Misread};
use crate::arguments::{Base, SelectorError};
use crate::commands::apply::Described;
use crate::commands::apply::file::{ExperimentFile, FileError, instead_of};
use crate::way::Need;

/// What errors of the schema call it; none of them is told with it.
const NAME: &str = "here";
/// Stands for a key that nobody knows, to be told those that there are.
const NOBODY: &str = "?";

/// What is wrong, and what it depends on.
struct Wrong {
    problem: Flaw,
    on: On,
}

/// What a problem depends on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// A key, whatever its value is.
    Key,
    /// The value of its key.
    Value,
    /// What there is, or is missing, beside it.
    Whole,
}

impl Wrong {
    fn new(on: On, key: Option<&str>, what: impl Into<String>, instead: impl Into<String>) -> Self {
        let instead = Some(instead.into()).filter(|instead| !instead.is_empty());
        Self {
            problem: Flaw {
                key: key.map(str::to_owned),
                what: what.into(),
                instead,
            },
            on,
        }
    }
}

/// Reads it.
pub(super) fn read(provider: &Map<String, Value>) -> Result<Described, Flaw> {
    described(provider).map_err(|wrong| wrong.problem)
}

/// Looks at it as far as it is known: `${name}` stands for something that is known only when the experiment runs.
pub(super) fn check(provider: &Map<String, Value>) -> Result<(), Flaw> {
    let mut known = Value::Object(provider.clone());
    let mut open = Vec::new();
    take_out(&mut known, "", &mut open);
    let Value::Object(known) = known else {
        return Ok(());
    };
    let Err(Wrong { problem, on }) = described(&known) else {
        return Ok(());
    };
    let within = |one: &str, other: &str| {
        let rest = one.strip_prefix(other);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_open = match (on, &problem.key) {
        (On::Key, _) => false,
        (On::Value, Some(key)) => open
            .iter()
            .any(|open| within(open, key) || within(key, open)),
        // What is not known yet may make it good.
        (On::Whole, _) | (On::Value, None) => !open.is_empty(),
    };
    if is_open { Ok(()) } else { Err(problem) }
}

fn described(provider: &Map<String, Value>) -> Result<Described, Wrong> {
    let form = Form::of(provider)?;
    let file = form.parse()?;
    if file.duration().is_none() {
        return Err(Wrong::new(
            On::Whole,
            None,
            "does not say for how long",
            "give `duration`, such as 30s",
        ));
    }
    let described = file.timed(NAME, Base::of_process());
    let described = described.map_err(|error| form.of_schema(&error))?;
    selects(&described)?;
    Ok(described)
}

/// Puts null in the place of each value with `$` in it, and says where that was.
fn take_out(value: &mut Value, place: &str, open: &mut Vec<String>) {
    let below = |key: &str| match place {
        "" => key.to_owned(),
        place => format!("{place}/{key}"),
    };
    match value {
        Value::String(text) if text.contains('$') => {
            open.push(place.to_owned());
            *value = Value::Null;
        }
        Value::Array(all) => {
            for (index, value) in all.iter_mut().enumerate() {
                take_out(value, &below(&index.to_string()), open);
            }
        }
        Value::Object(all) => {
            for (key, value) in all {
                take_out(value, &below(key), open);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The provider as an experiment file would have it.
struct Form {
    file: Value,
    /// The fault, where there is one and its options stand beside it; none where there are rules.
    fault: Option<String>,
}

/// The keys at a place of an experiment file.
fn keys(file: &Value) -> &'static [&'static str] {
    match ExperimentFile::deserialize(Json(file)) {
        Err(Misread::Key(_, known)) => known,
        Ok(_) | Err(_) => &[],
    }
}

fn keys_of_rule(part: &str) -> &'static [&'static str] {
    keys(&json!({ "rules": [{ part: { NOBODY: null } }] }))
}

fn faults() -> Vec<&'static str> {
    let all = keys(&json!({ "rules": [{ NOBODY: null }] }))
        .iter()
        .copied();
    all.filter(|key| !is_of_rule(key)).collect()
}

/// What a rule has beside its fault.
fn is_of_rule(key: &str) -> bool {
    matches!(key, "filter" | "pulse")
}

impl Form {
    fn of(provider: &Map<String, Value>) -> Result<Self, Wrong> {
        let given = |key: &str| provider.get(key).filter(|value| !value.is_null());
        let fault = match (given("fault"), given("rules")) {
            (Some(_), Some(_)) => {
                return Err(Wrong::new(
                    On::Key,
                    Some("rules"),
                    "`rules` and `fault` both say what to do",
                    "give one of them; each of several faults is a rule",
                ));
            }
            (None, None) => {
                return Err(Wrong::new(
                    On::Whole,
                    None,
                    "does not say what to do",
                    format!(
                        "give `fault`, one of {}; or `rules` for several",
                        faults().join(", ")
                    ),
                ));
            }
            (None, Some(_)) => {
                let is_own = |key: &str| matches!(key, "type" | "fault");
                let all = provider.iter().filter(|(key, _)| !is_own(key));
                let all = all.map(|(key, value)| (key.clone(), value.clone()));
                return Ok(Self {
                    file: Value::Object(all.collect()),
                    fault: None,
                });
            }
            (Some(fault), None) => fault,
        };
        let known = faults();
        let Some(fault) = fault.as_str() else {
            return Err(Wrong::new(
                On::Value,
                Some("fault"),
                format!("`fault` is {fault}, and must be a word"),
                format!("there are {}", known.join(", ")),
            ));
        };
        if !known.contains(&fault) {
            return Err(Wrong::new(
                On::Value,
                Some("fault"),
                format!("there is no fault `{fault}`"),
                instead_of(fault, &known),
            ));
        }
        Self::beside(fault, provider)
    }

    /// With the fault's options beside it.
    fn beside(fault: &str, provider: &Map<String, Value>) -> Result<Self, Wrong> {
        let of_experiment = keys(&json!({ NOBODY: null }));
        let of_fault = keys_of_rule(fault);
        let (mut file, mut rule, mut options) = (Map::new(), Map::new(), Map::new());
        for (key, value) in provider {
            let part = match key.as_str() {
                "type" | "fault" | "rules" => continue,
                key if of_fault.contains(&key) => &mut options,
                key if is_of_rule(key) => &mut rule,
                key if of_experiment.contains(&key) => &mut file,
                key => return Err(unknown(key, fault, of_fault, of_experiment)),
            };
            part.insert(key.clone(), value.clone());
        }
        rule.insert(fault.to_owned(), Value::Object(options));
        file.insert("rules".to_owned(), json!([rule]));
        Ok(Self {
            file: Value::Object(file),
            fault: Some(fault.to_owned()),
        })
    }

    fn parse(&self) -> Result<ExperimentFile, Wrong> {
        let read = serde_path_to_error::deserialize(Json(&self.file));
        read.map_err(|error| {
            let mut path: Vec<_> = error.path().iter().filter_map(part).collect();
            let misread = error.into_inner();
            if let Misread::Key(key, _) = &misread
                && path.last() != Some(key)
            {
                path.push(key.clone());
            }
            let key = self.key(&path);
            let (on, what, instead) = match misread {
                Misread::Key(word, known) => (
                    On::Key,
                    format!("there is no key `{word}` here"),
                    instead_of(&word, known),
                ),
                Misread::Word(word, known) => (
                    On::Value,
                    format!("`{key}` cannot be `{word}`"),
                    instead_of(&word, known),
                ),
                Misread::Kind(what) => (On::Value, format!("`{key}` {what}"), String::new()),
                Misread::Said(what) => (On::Value, what, String::new()),
            };
            Wrong::new(on, Some(&key), what, instead)
        })
    }

    /// Where that is in the provider, as the rest of a JSON pointer.
    fn key(&self, path: &[String]) -> String {
        let path = match (&self.fault, path) {
            (Some(fault), [rules, index, key, rest @ ..]) if rules == "rules" && index == "0" => {
                if key == fault {
                    rest
                } else {
                    &path[2..]
                }
            }
            (_, path) => path,
        };
        let tokens = path
            .iter()
            .map(|key| key.replace('~', "~0").replace('/', "~1"));
        tokens.collect::<Vec<_>>().join("/")
    }

    /// What the schema says as a whole.
    fn of_schema(&self, error: &FileError) -> Wrong {
        let place = |number: usize| match self.fault {
            Some(_) => None,
            None => Some(format!("rules/{}", number.saturating_sub(1))),
        };
        let sentence = error.to_string();
        let instead = sentence.split_once(": ").map_or("", |(_, instead)| instead);
        match error {
            FileError::Where { .. } => Wrong::new(On::Whole, None, "does not say where", instead),
            FileError::WithoutService { key, .. } => Wrong::new(
                On::Whole,
                Some(key),
                format!("`{key}` goes with `service` only"),
                "leave it out",
            ),
            FileError::NoRules { .. } => {
                Wrong::new(On::Value, Some("rules"), "there is no rule", instead)
            }
            FileError::Fault { number, .. } => Wrong::new(
                On::Whole,
                place(*number).as_deref(),
                "a rule has one fault, no more and no less",
                instead,
            ),
            FileError::Options { number, source, .. } => {
                Wrong::new(On::Whole, place(*number).as_deref(), source.to_string(), "")
            }
            FileError::Read { .. }
            | FileError::Parse { .. }
            | FileError::Duration { .. }
            | FileError::NoFiles { .. } => Wrong::new(On::Whole, None, sentence, ""),
        }
    }
}

/// Part of a JSON pointer.
fn part(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

/// A key that is neither the fault's nor the experiment's.
fn unknown(
    key: &str,
    fault: &str,
    of_fault: &'static [&'static str],
    of_experiment: &'static [&'static str],
) -> Wrong {
    let what = format!("`{fault}` has no key `{key}`");
    let instead = if keys_of_rule("filter").contains(&key) {
        format!("which packets is said by `filter`: {{ {key}: … }}")
    } else {
        let beside = of_experiment.iter().copied().filter(|key| *key != "rules");
        let beside = beside.chain(["filter", "pulse", "fault"]);
        let all: Vec<_> = of_fault.iter().copied().chain(beside).collect();
        let near = instead_of(key, &all);
        if near.starts_with("did you mean") || of_fault.is_empty() {
            near
        } else {
            // All keys of an experiment would be too many to read.
            instead_of(NOBODY, of_fault)
        }
    };
    let pointer = key.replace('~', "~0").replace('/', "~1");
    Wrong::new(On::Key, Some(&pointer), what, instead)
}

/// Whether there can be such names; whether there are is for somebody else to say.
fn selects(described: &Described) -> Result<(), Wrong> {
    let selector = &described.selector;
    let checked = match selector.need() {
        Need::Any => return Ok(()),
        Need::Cluster => selector.in_cluster().map(|_| ()),
        Need::Host(_) => selector.to_wire(described.namespace.as_deref()).map(|_| ()),
    };
    checked.map_err(|error| {
        let option = match &error {
            SelectorError::ClusterOnly { option }
            | SelectorError::NotAName { option, .. }
            | SelectorError::NoLabels { option }
            | SelectorError::NotOfNodes { option } => Some(*option),
            SelectorError::NoNamespace { .. }
            | SelectorError::Inventory { .. }
            | SelectorError::EmptyInventory { .. }
            | SelectorError::NotText { .. }
            | SelectorError::NotAbsolute { .. } => None,
        };
        let key = option.map(|option| match option {
            "--svc" => "service",
            option => option.trim_start_matches('-'),
        });
        let sentence = error.to_string();
        let what = match (option, key) {
            (Some(option), Some(key)) => sentence.replacen(option, key, 1),
            _ => sentence,
        };
        Wrong::new(On::Whole, key, what, "")
    })
}

#[cfg(test)]
mod tests;
