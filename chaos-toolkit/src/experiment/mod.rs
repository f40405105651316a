//! What an experiment must be: everything that is wrong with one, at once, and where.
//!
//! What the reference refuses is refused here, also where it breaks instead of saying so; what it accepts is accepted,
//! but for the keys that it does not have, which are ours. Nothing of an experiment runs: programs are looked for,
//! variables of the environment are read, and Python modules are imported, as there.

mod activity;
mod control;
mod guard;
mod hypothesis;
mod imports;
mod keys;
mod provider;
mod report;
mod variables;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

pub(crate) use self::guard::{check_alone as check_guards, time as time_of_guard};
pub use self::imports::Asked;
use self::report::{At, Report, is_nothing, kind};
use crate::document::Document;
use crate::faults::Faults;
use crate::problem::{Flaw, Problem};
use crate::variables::Environment;

/// Looks at what experiments ask of Python; imports modules, and calls nothing but a control's own `validate_control`.
pub trait Imports: Send + Sync {
    /// Whether an activity's function is there, and takes its arguments.
    fn activity<'a>(&'a self, activity: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>>;

    /// The environment that the experiment will find.
    fn environment(&self) -> Environment {
        Environment::default()
    }

    /// What a control says of itself. One whose module is not there is left out of a run, as in the reference.
    fn control<'a>(&'a self, control: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>>;
}

/// Asks Python for nothing, where there is none at hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unasked;

impl Imports for Unasked {
    fn activity<'a>(&'a self, _activity: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>> {
        Box::pin(async { Vec::new() })
    }

    fn control<'a>(&'a self, _control: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>> {
        Box::pin(async { Vec::new() })
    }
}

/// What came of looking at an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Why it cannot be run, in the order of the text.
    pub problems: Vec<Problem>,
    /// What is probably not meant as it is written.
    pub warnings: Vec<Problem>,
}

/// All that is wrong with an experiment. `faults`: who knows what providers of `type: chaos` say; without, they are
/// not looked at.
pub async fn validate(
    document: &Document,
    faults: Option<&dyn Faults>,
    python: &dyn Imports,
) -> Vec<Problem> {
    check(document, faults, python).await.problems
}

/// The same, and what to warn of.
pub async fn check(
    document: &Document,
    faults: Option<&dyn Faults>,
    python: &dyn Imports,
) -> Checked {
    let mut report = Report::new(document, faults);
    report.environment = python.environment();
    experiment(&mut report);
    for asked in std::mem::take(&mut report.asked) {
        let flaws = if asked.control {
            python.control(asked.whole).await
        } else {
            python.activity(asked.whole).await
        };
        for flaw in flaws {
            let pointer = match flaw.key {
                Some(key) => format!("{}/{key}", asked.provider),
                None => asked.provider.clone(),
            };
            report.wrong(&pointer, flaw.what).instead = flaw.instead;
        }
    }
    report.finish()
}

fn experiment(report: &mut Report<'_>) {
    let whole = At::whole(report.document);
    if is_nothing(whole.value) {
        report
            .wrong("", "this is empty, and an experiment is not")
            .or("give it a title, a description and a method");
        return;
    }
    let Some(whole) = report.mapping(&whole, "an experiment") else {
        return;
    };
    for key in ["title", "description"] {
        report.required(&whole, key, "an experiment", &keys::EXPERIMENT);
    }
    tags(report, &whole);
    extensions(report, &whole);
    variables::check(report, &whole);
    let named = activity::Named::of(&whole);
    hypothesis::check(report, &whole);
    if let Some(method) = whole.key("method") {
        activity::method(report, &method, &named);
    } else {
        let problem = report.missing(&whole, "method", "an experiment", &keys::EXPERIMENT);
        if problem.instead.is_none() {
            problem.or("write a list of activities, or [] to look at the hypothesis alone");
        }
    }
    activity::rollbacks(report, &whole, &named);
    control::check(report, &whole);
    guard::check(report, &whole);
    runtime(report, &whole);
    keys::look(report, &whole, &keys::EXPERIMENT);
    report.repeated();
}

fn tags<'a>(report: &mut Report<'a>, whole: &At<'a>) {
    let Some(tags) = whole.key("tags").filter(|tags| !is_nothing(tags.value)) else {
        return;
    };
    match tags.value {
        Value::Array(_) => {
            for tag in tags.items() {
                if tag.value.as_str().is_none_or(str::is_empty) {
                    let what = format!("a tag is a text, and this is {}", kind(tag.value));
                    report.wrong(&tag.pointer, what).or("write a word");
                }
            }
        }
        Value::Object(map) if map.keys().all(|key| !key.is_empty()) => not_a_list(report, &tags),
        Value::String(_) => not_a_list(report, &tags),
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            report.list(&tags, "tags", "of texts");
        }
    }
}

/// The reference takes letters or keys for tags, and says nothing.
fn not_a_list(report: &mut Report<'_>, tags: &At<'_>) {
    let what = format!(
        "tags must be a list of texts, and this is {}",
        kind(tags.value)
    );
    report
        .warn(&tags.pointer, what)
        .or("write [\u{2026}] around it");
}

fn extensions<'a>(report: &mut Report<'a>, whole: &At<'a>) {
    let Some(extensions) = whole.key("extensions") else {
        return;
    };
    if is_nothing(extensions.value) || !report.list(&extensions, "extensions", "of mappings") {
        return;
    }
    for extension in extensions.items() {
        if let Some(extension) = report.mapping(&extension, "an extension") {
            match extension.key("name").map(|name| (name.value, name.pointer)) {
                Some((Value::String(name), _)) if !name.trim().is_empty() => {}
                Some((other, pointer)) if !is_nothing(other) && !other.is_string() => {
                    report.not_text(&pointer, "the name of an extension", other);
                }
                _ => report.required_text(&extension, "name", "an extension", &keys::EXTENSION),
            }
            keys::look(report, &extension, &keys::EXTENSION);
        }
    }
}

/// What an experiment says of the way that it is run.
fn runtime<'a>(report: &mut Report<'a>, whole: &At<'a>) {
    const HYPOTHESIS: [&str; 6] = [
        "default",
        "before-method-only",
        "after-method-only",
        "during-method-only",
        "continuously",
        "skip",
    ];
    const ROLLBACKS: [&str; 4] = ["default", "always", "never", "deviated"];
    let Some(runtime) = whole
        .key("runtime")
        .filter(|runtime| !is_nothing(runtime.value))
    else {
        return;
    };
    let Some(runtime) = report.mapping(&runtime, "a runtime") else {
        return;
    };
    keys::look(report, &runtime, &keys::RUNTIME);
    for (key, words) in [
        ("hypothesis", &HYPOTHESIS[..]),
        ("rollbacks", &ROLLBACKS[..]),
    ] {
        let Some(part) = runtime.key(key) else {
            continue;
        };
        let Some(part) = report.mapping(&part, &format!("the {key} of a runtime")) else {
            continue;
        };
        keys::look(report, &part, &keys::STRATEGY);
        let Some(strategy) = part.key("strategy") else {
            continue;
        };
        let said = strategy.value.as_str();
        // A spelling that was once the right one.
        if said.is_some_and(|said| {
            words.contains(&said) || said == "continously" && key == "hypothesis"
        }) {
            continue;
        }
        report.one_of(&strategy, &format!("a strategy of the {key}"), words);
    }
}
