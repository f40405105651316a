//! Activities: of the method, of rollbacks, of hypotheses, and what undoes an action.

use std::collections::HashSet;

use serde_json::Value;

use super::report::{At, Report, is_nothing, kind, shown};
use super::{keys, provider};

/// The activities that others may refer to by name.
pub(super) struct Named<'a>(HashSet<&'a str>);

impl<'a> Named<'a> {
    pub(super) fn of(whole: &At<'a>) -> Self {
        let probes = whole
            .key("steady-state-hypothesis")
            .and_then(|hypothesis| hypothesis.key("probes"));
        let lists = [whole.key("method"), probes];
        let all = lists.into_iter().flatten().flat_map(|list| list.items());
        let names = all.filter_map(|activity| activity.key("name")?.value.as_str());
        Self(names.collect())
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let mut names: Vec<_> = self.0.iter().copied().collect();
        names.sort_unstable();
        keys::nearest(name, &names).map(|name| format!("write `{name}`"))
    }
}

/// What may be left out of an activity.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    /// One that others may refer to.
    Named,
    Whole,
    /// Type and name are those of what it undoes.
    Undo,
}

pub(super) fn method<'a>(report: &mut Report<'a>, method: &At<'a>, named: &Named<'a>) {
    if method.value.is_null() {
        let what = "an experiment needs a `method`, and this says nothing";
        report
            .wrong(&method.pointer, what)
            .or("write a list of activities, or [] to look at the hypothesis alone");
        return;
    }
    if !report.list(method, "the activities of a method", "of mappings") {
        return;
    }
    for activity in method.items() {
        self::named(report, &activity);
        if let Some(name) = activity.key("ref")
            && let Value::String(text) = name.value
            && !text.is_empty()
            && !named.0.contains(text.as_str())
        {
            let what = format!(
                "no activity of the method or the hypothesis is called `{}`",
                shown(name.value)
            );
            report.wrong(&name.pointer, what).instead = named.nearest(text);
        }
        undo(report, &activity, named);
    }
}

pub(super) fn rollbacks<'a>(report: &mut Report<'a>, whole: &At<'a>, named: &Named<'a>) {
    let Some(rollbacks) = whole.key("rollbacks") else {
        return;
    };
    let nothing = is_nothing(rollbacks.value);
    // The reference goes through anything that has no items.
    if nothing && matches!(rollbacks.value, Value::Object(_) | Value::String(_)) {
        return;
    }
    if !report.list(&rollbacks, "rollbacks", "of activities") {
        return;
    }
    for activity in rollbacks.items() {
        check(report, &activity);
        unfound(report, &activity, named);
        if let Some(undo) = activity.key("undo") {
            let what = "nothing comes after rollbacks that could undo them";
            report.wrong_key(&undo.pointer, what).or("leave it out");
        }
    }
}

/// The reference looks for what rollbacks refer to only when it plays them.
fn unfound(report: &mut Report<'_>, activity: &At<'_>, named: &Named<'_>) {
    let Some(name) = activity.key("ref") else {
        return;
    };
    if let Value::String(text) = name.value
        && !text.is_empty()
        && !named.0.contains(text.as_str())
    {
        let what = format!(
            "no activity of the method or the hypothesis is called `{}`, and this will fail",
            shown(name.value)
        );
        report.warn(&name.pointer, what).instead = named.nearest(text);
    }
}

/// What undoes an action is one that may go without a name.
fn undo<'a>(report: &mut Report<'a>, activity: &At<'a>, named: &Named<'_>) {
    let Some(undo) = activity.key("undo") else {
        return;
    };
    let is_probe = activity.key("type").is_some_and(|of| of.value == "probe");
    if is_probe {
        let what = "a probe changes nothing, and has nothing to `undo`";
        report.wrong_key(&undo.pointer, what).or("leave it out");
        return;
    }
    if activity.key("ref").is_some() {
        let what = "what a reference leads to has an `undo` of its own";
        report.wrong_key(&undo.pointer, what).or("write it there");
        return;
    }
    if !undo.value.is_object() || is_nothing(undo.value) {
        let what = format!(
            "what undoes an action is an activity, and this is {}",
            kind(undo.value)
        );
        report
            .wrong(&undo.pointer, what)
            .or("write `provider: ...` in it");
        return;
    }
    one(report, &undo, As::Undo);
    unfound(report, &undo, named);
    if undo.key("undo").is_some() {
        let what = "what undoes an action is not undone itself";
        report
            .wrong_key(&undo.below("undo"), what)
            .or("leave it out");
    }
}

/// Looks at one activity that others may refer to.
pub(super) fn named<'a>(report: &mut Report<'a>, activity: &At<'a>) {
    one(report, activity, As::Named);
}

/// Looks at one activity that nobody can refer to.
pub(super) fn check<'a>(report: &mut Report<'a>, activity: &At<'a>) {
    one(report, activity, As::Whole);
}

fn one<'a>(report: &mut Report<'a>, activity: &At<'a>, how: As) {
    if is_nothing(activity.value) {
        let what = "this activity is empty";
        report
            .wrong(&activity.pointer, what)
            .or("leave it out, or give it a type, a name and a provider");
        return;
    }
    let Some(activity) = report.mapping(activity, "an activity") else {
        return;
    };
    if let Some(name) = activity.given("ref") {
        if name.value.as_str().is_none_or(str::is_empty) {
            let what = format!(
                "a reference is the name of an activity, and this is {}",
                kind(name.value)
            );
            report.wrong(&name.pointer, what);
        }
        return;
    }
    kind_of(report, &activity, how);
    if how != As::Undo
        && let Some(name) = report.required(&activity, "name", "an activity", &keys::ACTIVITY)
        && (name.value.is_array() || name.value.is_object())
    {
        let what = format!(
            "the name of an activity is a text, and this is {}",
            kind(name.value)
        );
        if how == As::Named {
            report.wrong(&name.pointer, what);
        } else {
            report.warn(&name.pointer, what);
        }
    }
    if let Some(provider) = report.required(&activity, "provider", "an activity", &keys::ACTIVITY) {
        provider::check(report, &activity, &provider, &provider::OF_ACTIVITIES);
    }
    if let Some(timeout) = activity.given("timeout")
        && !matches!(timeout.value, Value::Number(_) | Value::Bool(_))
    {
        let what = format!(
            "the timeout of an activity is a number of seconds, and this is {}",
            kind(timeout.value)
        );
        report.wrong(&timeout.pointer, what);
    }
    pauses(report, &activity);
    if let Some(background) = activity.key("background")
        && !background.value.is_boolean()
    {
        let what = format!(
            "`background` is true or false, and this is {}",
            kind(background.value)
        );
        report.wrong(&background.pointer, what);
    }
    keys::look(report, &activity, &keys::ACTIVITY);
}

fn kind_of<'a>(report: &mut Report<'a>, activity: &At<'a>, how: As) {
    const TYPES: [&str; 2] = ["action", "probe"];
    if how == As::Undo && activity.key("type").is_none() {
        return;
    }
    let Some(of) = report.required(activity, "type", "an activity", &keys::ACTIVITY) else {
        return;
    };
    let Some(said) = of.value.as_str().filter(|said| TYPES.contains(said)) else {
        if of
            .value
            .as_str()
            .is_some_and(|said| provider::OF_ACTIVITIES.contains(&said))
        {
            let what = format!(
                "`{}` is the type of a provider, and that of an activity is `action` or `probe`",
                shown(of.value)
            );
            report
                .wrong(&of.pointer, what)
                .or("write it in the provider, and here `action` or `probe`");
            return;
        }
        report.one_of(&of, "the type of an activity", &TYPES);
        return;
    };
    if how == As::Undo && said == "probe" {
        report
            .wrong(&of.pointer, "a probe undoes nothing")
            .or("write `action`");
    }
}

fn pauses<'a>(report: &mut Report<'a>, activity: &At<'a>) {
    let Some(pauses) = activity.given("pauses") else {
        return;
    };
    let Some(pauses) = report.mapping(&pauses, "the pauses of an activity") else {
        return;
    };
    keys::look(report, &pauses, &keys::PAUSES);
    for key in ["before", "after"] {
        let Some(pause) = pauses.given(key) else {
            continue;
        };
        let said = format!(
            "a pause is a number of seconds, or the name of one as in ${{name}}, and this is {}",
            shown(pause.value)
        );
        match pause.value {
            Value::String(text) if text.starts_with("${") && text.ends_with('}') => {}
            Value::String(text) => {
                let problem = report.wrong(&pause.pointer, said);
                if text.parse::<f64>().is_ok() {
                    problem.or("leave the quotes out");
                }
            }
            Value::Number(number) if number.as_f64().is_some_and(|seconds| seconds >= 0.0) => {}
            Value::Bool(_) | Value::Null => {}
            // Taken by the reference, which breaks when it pauses.
            Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                report.warn(&pause.pointer, said);
            }
        }
    }
}
