//! Controls: who hears of each step, and may say no. Those of an experiment, of its hypothesis and of each activity.

use serde_json::Value;

use super::keys;
use super::report::{Asked, At, Report, is_nothing, kind, shown};

pub(super) fn check<'a>(report: &mut Report<'a>, whole: &At<'a>) {
    let hypothesis = whole.key("steady-state-hypothesis");
    let probes = hypothesis
        .as_ref()
        .and_then(|hypothesis| hypothesis.key("probes"));
    let lists = [probes, whole.key("method"), whole.key("rollbacks")];
    let activities = lists.into_iter().flatten().flat_map(|list| list.items());
    let within = std::iter::once(whole.clone())
        .chain(hypothesis)
        .chain(activities);
    let mut controls = Vec::new();
    for at in within {
        if let Some(list) = at.key("controls")
            // The reference goes through anything that has no items.
            && !(matches!(list.value, Value::Object(_) | Value::String(_)) && is_nothing(list.value))
            && report.list(&list, "controls", "of mappings")
        {
            controls.extend(list.items());
        }
    }
    let originals = controls
        .iter()
        .filter(|control| control.key("ref").is_none());
    let names: Vec<_> = originals
        .filter_map(|control| Some(control.key("name")?.value))
        .collect();
    for control in &controls {
        one(report, control, &names);
    }
}

fn one<'a>(report: &mut Report<'a>, control: &At<'a>, names: &[&Value]) {
    let known = &keys::CONTROL;
    let before = report.count();
    let Some(control) = report.mapping(control, "a control") else {
        return;
    };
    if let Some(name) = control.key("ref")
        && !names.contains(&name.value)
    {
        let what = format!("no control is called `{}`", shown(name.value));
        let names: Vec<_> = names.iter().filter_map(|name| name.as_str()).collect();
        let meant = name
            .value
            .as_str()
            .and_then(|name| keys::nearest(name, &names));
        report.wrong(&name.pointer, what).instead = meant.map(|meant| format!("write `{meant}`"));
    }
    if control.key("name").is_none() {
        report.missing(&control, "name", known.of, known);
    }
    if let Some(scope) = control.key("scope")
        && !is_nothing(scope.value)
        && !["before", "after"].iter().any(|known| scope.value == known)
    {
        report.one_of(&scope, "a scope of a control", &["before", "after"]);
    }
    keys::look(report, &control, known);
    match control.key("provider") {
        None => {
            report.missing(&control, "provider", known.of, known);
        }
        Some(provider) => {
            if let Some(provider) = report.mapping(&provider, "the provider of a control") {
                of_python(report, &control, &provider, before);
            }
        }
    }
}

/// `before`: how many problems there were before this control, whose module is not to see one that is wrong already.
fn of_python<'a>(report: &mut Report<'a>, control: &At<'a>, provider: &At<'a>, before: usize) {
    let of = provider.key("type");
    let said = of.as_ref().and_then(|of| of.value.as_str());
    if said != Some("python") {
        let said = of.map_or("none".to_owned(), |of| format!("`{}`", shown(of.value)));
        let what = format!(
            "controls are of type `python`, this one is of type {said}, and nothing will come of it"
        );
        let problem = report.warn(&provider.pointer, what);
        problem.or("write `type: python`, and the `module`");
        return;
    }
    keys::look(report, provider, &keys::PYTHON);
    let Some(module) = report.required(provider, "module", "a control", &keys::PYTHON) else {
        return;
    };
    if !module.value.is_string() {
        return report.not_text(&module.pointer, "the module of a control", module.value);
    }
    if let Some(arguments) = provider.key("arguments")
        && !arguments.value.is_object()
    {
        let what = format!(
            "the arguments of a control are a mapping, and this is {}",
            kind(arguments.value)
        );
        report.warn(&arguments.pointer, what);
    }
    if report.count() == before
        && let Some(map) = control.map()
    {
        report.asked.push(Asked {
            whole: map,
            control: true,
            provider: provider.pointer.clone(),
        });
    }
}
