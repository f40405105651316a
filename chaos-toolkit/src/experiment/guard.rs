//! Guards, `abort_when`: probes that end the run when they see what must not be. The reference knows none.

use std::time::Duration;

use serde_json::Value;

use super::report::{At, Report, kind, shown};
use super::{hypothesis, keys, provider};
use crate::document::Document;
use crate::problem::Problem;

pub(super) fn check<'a>(report: &mut Report<'a>, whole: &At<'a>) {
    let Some(guards) = whole.given("abort_when") else {
        return;
    };
    if !report.list(&guards, "guards", "of mappings") {
        return;
    }
    for guard in guards.items() {
        if let Some(guard) = report.mapping(&guard, "a guard") {
            one(report, &guard);
        }
    }
}

/// What is wrong with the guards, where nothing else is looked at. A run must not begin with a guard that would not guard.
pub(crate) fn check_alone(document: &Document) -> Vec<Problem> {
    let mut report = Report::new(document, None);
    check(&mut report, &At::whole(document));
    report.finish().problems
}

fn one<'a>(report: &mut Report<'a>, guard: &At<'a>) {
    let known = &keys::GUARD;
    // A guard whose key is a slip would not guard, so that here a warning is not enough.
    for (key, at) in guard.entries() {
        if !known.all.contains(&key) {
            let what = format!("`{key}` is no key of a guard");
            let problem = report.wrong_key(&at.pointer, what);
            match keys::nearest(key, known.all) {
                Some(meant) => problem.or(format!("write `{meant}`")),
                None => problem.or("leave it out"),
            }
        }
    }
    if let Some(name) = report.required(guard, "name", known.of, known)
        && !name.value.is_string()
    {
        report.not_text(&name.pointer, "the name of a guard", name.value);
    }
    if let Some(provider) = report.required(guard, "provider", known.of, known) {
        provider::check(report, guard, &provider, &provider::OF_GUARDS);
    }
    match (guard.key("is"), guard.key("is_not")) {
        (Some(is), None) => hypothesis::tolerance(report, &is),
        (None, Some(is_not)) => hypothesis::tolerance(report, &is_not),
        (Some(_), Some(is_not)) => {
            let what = "a guard has `is` or `is_not`, and this one has both";
            report
                .wrong_key(&is_not.pointer, what)
                .or("leave one out, or make two guards of it");
        }
        (None, None) => {
            let what = "a guard needs `is` or `is_not`";
            report.wrong(&guard.pointer, what).or(
                "write a tolerance: with `is` it trips when the value is within, with `is_not` when it is not",
            );
        }
    }
    for key in ["every", "timeout"] {
        if let Some(time) = guard.key(key)
            && self::time(time.value).is_none()
        {
            let what = format!(
                "the `{key}` of a guard is a time above 0, and this is {}",
                match time.value {
                    Value::String(_) | Value::Number(_) => format!("`{}`", shown(time.value)),
                    other @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) =>
                        kind(other).to_owned(),
                }
            );
            report
                .wrong(&time.pointer, what)
                .or("write one such as 250ms, or a number of seconds");
        }
    }
    if let Some(then) = guard.key("on_failure") {
        let words = ["abort", "ignore"];
        if !words.iter().any(|word| then.value == word) {
            report.one_of(&then, "what a guard does when its probe fails", &words);
        }
    }
}

/// A time of a guard: a number of seconds, or a text such as 250ms.
pub(crate) fn time(value: &Value) -> Option<Duration> {
    let time = match value {
        Value::Number(seconds) => Duration::try_from_secs_f64(seconds.as_f64()?).ok()?,
        Value::String(text) => humantime::parse_duration(text).ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!time.is_zero()).then_some(time)
}
