//! What was done: each activity with its arguments, its output and its exception, folded.

use maud::{Markup, PreEscaped, html};
use serde_json::Value;

use super::super::journal::{Journal, Run};
use super::super::{clock, words};
use super::series;

/// More than this of an output nobody reads here, and a page must open on a phone.
const MOST: usize = 20_000;

/// An object of more than these is shown as one.
const MOST_PARTS: usize = 12;

/// Shorter values have a line and no block.
const IN_LINE: usize = 90;

/// More lines than these are folded once more.
const LONG: usize = 24;

pub(super) fn method(journal: &Journal) -> Markup {
    let left_out = journal.declared.saturating_sub(journal.runs.len());
    html! {
        section class="did" {
            h3 { "What was done" }
            @if journal.runs.is_empty() { p class="soft" { "Nothing of the method was played." } }
            (list(journal, &journal.runs))
            @if left_out > 0 && !journal.runs.is_empty() {
                p class="soft" { (words::count(left_out, "activity", "activities")) " of the method did not run." }
            }
        }
    }
}

pub(super) fn rollbacks(journal: &Journal) -> Markup {
    html! {
        @if !journal.rollbacks.is_empty() {
            section class="undone" {
                h3 { "What was undone" }
                (list(journal, &journal.rollbacks))
            }
        }
    }
}

fn list(journal: &Journal, runs: &[Run]) -> Markup {
    html! { ol class="steps" { @for run in runs { li { (one(journal, run)) } } } }
}

/// The mark of how something went, also for who does not see colours.
pub(super) fn mark(good: Option<bool>) -> Markup {
    match good {
        Some(true) => html! { span class="mark ok" { "✓" } },
        Some(false) => html! { span class="mark no" { "✗" } },
        None => html! { span class="mark soft" { "·" } },
    }
}

fn one(journal: &Journal, run: &Run) -> Markup {
    let activity = &run.activity;
    let at = journal
        .start
        .zip(run.start)
        .map(|(start, at)| clock::seconds(start, at));
    let at = at.map(|at| format!("at {}", clock::span(at)));
    let took = run
        .seconds
        .map(|seconds| format!("took {}", clock::span(seconds)));
    let said: Vec<_> = at.into_iter().chain(took).collect();
    let good = match run.status.as_str() {
        "succeeded" => Some(true),
        "failed" | "aborted" => Some(false),
        _ => None,
    };
    html! {
        details open[good == Some(false)] {
            summary {
                (mark(good))
                span {
                  span class="name" { (activity.name) }
                  span class="chips" {
                    span class="chip" { (activity.kind) }
                    @if activity.is_background { span class="chip" { "background" } }
                    @if activity.is_undo { span class="chip" { "undo" } }
                    @if !matches!(run.status.as_str(), "succeeded" | "failed") { span class="chip" { (run.status) } }
                  }
                }
                span class="at" {
                    (said.join(", "))
                }
                span class="line" { (words::short(&words::provider(&activity.provider))) }
            }
            (inside(run))
        }
    }
}

fn inside(run: &Run) -> Markup {
    let activity = &run.activity;
    let arguments = activity
        .provider
        .get("arguments")
        .filter(|value| !value.is_null());
    let others = activity
        .provider
        .iter()
        .filter(|(key, value)| *key != "arguments" && !value.is_null());
    let [before, after] = &activity.pauses;
    html! {
        div class="inside" {
            @if let Some(exception) = &run.exception { p class="no" { (words::cause(exception)) } }
            @if let Some(chart) = series::chart(&run.output) { (chart) }
            dl {
                @for (key, value) in others { dt { (key) } dd { (whole(value)) } }
                @if let Some(arguments) = arguments { dt { "arguments" } dd { (whole(arguments)) } }
                @if activity.tolerance.is_some() { dt { "expected" } dd { (words::expected(activity, Some(&run.output))) } }
                @if let Some(pause) = before { dt { "pause before" } dd { (words::plain(pause)) " s" } }
                @if let Some(pause) = after { dt { "pause after" } dd { (words::plain(pause)) " s" } }
                dt { "output" }
                dd { @if run.output.is_null() { span class="soft" { "none" } } @else { (parts(&run.output)) } }
                @if let Some(exception) = &run.exception {
                    dt { "exception" }
                    dd { details class="fold" { summary { "all of it" } (block(exception)) } }
                }
            }
        }
    }
}

/// The values of an object each by itself, so that what a process printed has its own lines.
pub(super) fn parts(value: &Value) -> Markup {
    let parts = value
        .as_object()
        .filter(|of| (1..=MOST_PARTS).contains(&of.len()));
    let Some(parts) = parts else {
        return whole(value);
    };
    html! {
        dl { @for (key, value) in parts { dt { (key) } dd { (whole(value)) } } }
    }
}

/// A value in a line if it has one, else in a block, folded where that is long.
pub(super) fn whole(value: &Value) -> Markup {
    let line = words::plain(value);
    if line.is_empty() {
        return html! { span class="soft" { "empty" } };
    }
    if !line.contains('\n') && line.chars().count() <= IN_LINE {
        return html! { code { (line) } };
    }
    let text = words::pretty(value);
    let lines = text.lines().count();
    if lines > LONG || text.len() > 4_000 {
        let about = words::short(&text);
        let size = words::count(lines, "line", "lines");
        return html! { details class="fold" { summary { code { (about) } " " span class="soft" { (size) } } (block(&text)) } };
    }
    block(&text)
}

fn block(text: &str) -> Markup {
    let shown: String = text.chars().take(MOST).collect();
    let left = text[shown.len()..].chars().count();
    html! {
        // A browser swallows the first line's end of `pre`.
        pre { (PreEscaped("\n")) (shown) }
        @if left > 0 { p class="soft" { (left) " more characters are in the journal." } }
    }
}
