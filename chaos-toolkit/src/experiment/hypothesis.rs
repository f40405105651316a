//! The hypothesis, and the tolerances of its probes.

use serde_json::Value;

use super::report::{At, Report, kind};
use super::{activity, keys};
use crate::tolerance::unreadable;

pub(super) fn check<'a>(report: &mut Report<'a>, whole: &At<'a>) {
    let Some(hypothesis) = whole.key("steady-state-hypothesis") else {
        return;
    };
    let Some(hypothesis) = report.mapping(&hypothesis, "a hypothesis") else {
        return;
    };
    keys::look(report, &hypothesis, &keys::HYPOTHESIS);
    report.required(&hypothesis, "title", "a hypothesis", &keys::HYPOTHESIS);
    let Some(probes) = hypothesis.key("probes") else {
        return;
    };
    if !report.list(&probes, "the probes of a hypothesis", "of activities") {
        return;
    }
    for probe in probes.items() {
        activity::named(report, &probe);
        if probe.map().is_none_or(serde_json::Map::is_empty) {
            continue;
        }
        if let Some(given) = probe.key("tolerance") {
            tolerance(report, &given);
            continue;
        }
        let of = "a probe of a hypothesis";
        let problem = report.missing(&probe, "tolerance", of, &keys::ACTIVITY);
        if problem.instead.is_none() {
            problem.or("write what its value must be, such as 200 or true");
        }
    }
}

/// Looks at a tolerance, of a probe or of a guard.
pub(super) fn tolerance<'a>(report: &mut Report<'a>, tolerance: &At<'a>) {
    const TYPES: [&str; 4] = ["probe", "regex", "jsonpath", "range"];
    match tolerance.value {
        Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {}
        Value::Number(number) if !number.is_f64() => {}
        Value::Number(number) => {
            let what = "a tolerance that is a number is a whole one";
            let near =
                format!("write a range, such as {{type: range, range: [{number}, {number}]}}");
            report.wrong(&tolerance.pointer, what).or(near);
        }
        Value::Null => {
            let what = "a tolerance says what a value must be, and this says nothing";
            report.wrong(&tolerance.pointer, what).or(
                "write a whole number, a text, true or false, a list, or a mapping with a `type`",
            );
        }
    }
    if !tolerance.value.is_object() {
        return;
    }
    let Some(of) = tolerance.key("type") else {
        let what = "a tolerance that is a mapping needs `type`";
        report
            .wrong(&tolerance.pointer, what)
            .or("write one of probe, regex, jsonpath and range");
        return;
    };
    match of.value.as_str() {
        Some("probe") => activity::check(report, tolerance),
        Some("regex") => {
            keys::look(report, tolerance, &keys::REGEX);
            text(report, tolerance, "pattern", &keys::REGEX, true);
        }
        Some("jsonpath") => {
            keys::look(report, tolerance, &keys::JSONPATH);
            text(report, tolerance, "path", &keys::JSONPATH, false);
        }
        Some("range") => {
            keys::look(report, tolerance, &keys::RANGE);
            range(report, tolerance);
        }
        Some(_) | None => report.one_of(&of, "a type of tolerance", &TYPES),
    }
}

/// A pattern, or a path: a text in the notation of its kind.
fn text<'a>(
    report: &mut Report<'a>,
    tolerance: &At<'a>,
    key: &str,
    known: &keys::Keys,
    may_be_empty: bool,
) {
    let Some(given) = tolerance.key(key) else {
        report.missing(tolerance, key, known.of, known);
        return;
    };
    let Value::String(text) = given.value else {
        let of = format!("the `{key}` of {}", known.of);
        report.not_text(&given.pointer, &of, given.value);
        return;
    };
    if text.trim().is_empty() && !may_be_empty {
        let what = format!(
            "the `{key}` of {} must say something, and is empty",
            known.of
        );
        report
            .wrong(&given.pointer, what)
            .or("write a path such as $.status");
        return;
    }
    if let Some(said) = unreadable(key, text) {
        report.wrong(&given.pointer, said);
    }
}

fn range<'a>(report: &mut Report<'a>, tolerance: &At<'a>) {
    let of = keys::RANGE.of;
    let Some(range) = tolerance.key("range") else {
        report.missing(tolerance, "range", of, &keys::RANGE);
        return;
    };
    let items = range.items();
    if !range.value.is_array() || items.len() != 2 {
        let what = match range.value {
            Value::Array(_) => format!("this has {} values", items.len()),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => {
                format!("this is {}", kind(range.value))
            }
        };
        let what = format!("the `range` of {of} is a list of two numbers, and {what}");
        report.wrong(&range.pointer, what).or("write [LEAST, MOST]");
        return;
    }
    for (bound, name) in items.iter().zip(["lower", "upper"]) {
        if !matches!(bound.value, Value::Number(_) | Value::Bool(_)) {
            let what = format!(
                "the {name} bound of a range is a number, and this is {}",
                kind(bound.value)
            );
            let is_quoted = bound
                .value
                .as_str()
                .is_some_and(|text| text.parse::<f64>().is_ok());
            let problem = report.wrong(&bound.pointer, what);
            if is_quoted {
                problem.or("leave the quotes out");
            }
        }
    }
    if let [Some(least), Some(most)] = [&items[0], &items[1]].map(|bound| bound.value.as_f64())
        && least > most
    {
        let what = format!("nothing is within {least} and {most}");
        report
            .warn(&range.pointer, what)
            .or(format!("write [{most}, {least}]"));
    }
}
