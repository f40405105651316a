//! The report as one HTML file. Every text of a journal is untrusted, and escaped by what writes the markup.

mod activities;
mod belief;
mod contributions;
mod facts;
mod faults;
mod overview;
mod series;
mod timeline;
mod track;

use maud::{Markup, html};

use super::journal::{Journal, Verdict};
use super::page::page;
use super::{clock, told, words};

const STYLE: &str = include_str!("../report.css");

/// The whole page of these journals, in their order.
pub fn report(journals: &[Journal], title: Option<&str>) -> String {
    let (heading, body) = match journals {
        [only] => {
            let heading = title.unwrap_or(&only.title);
            (heading.to_owned(), html! { (experiment(only, 1, title)) })
        }
        journals => {
            let heading = title.map_or_else(
                || words::count(journals.len(), "experiment", "experiments"),
                str::to_owned,
            );
            let body = html! {
                header class="top" { h1 { (heading) } }
                (overview::section(journals))
                (contributions::matrix(journals))
                @for (number, journal) in journals.iter().enumerate() { (experiment(journal, number + 1, None)) }
            };
            (heading, body)
        }
    };
    let body = html! {
        main { (body) }
        footer class="soft" { "Made by chaosctl " (env!("CARGO_PKG_VERSION")) " from " (words::count(journals.len(), "journal", "journals")) "." }
    };
    page(&heading, STYLE, &body.into_string())
}

fn badge(verdict: Verdict) -> Markup {
    html! { span class=(format!("verdict {}", verdict.class())) { (verdict.word()) } }
}

/// One journal. `above` is what the whole page is called, where that is not the experiment's own title.
fn experiment(journal: &Journal, number: usize, above: Option<&str>) -> Markup {
    let mut told = told::told(journal).into_iter();
    html! {
        article id=(format!("j{number}")) {
            header {
                @if let Some(above) = above { p class="soft above" { (above) } }
                h1 { (journal.title) }
                p class="result" {
                    (badge(journal.verdict()))
                    @for (name, value) in figures(journal) { span { (value) " " span class="soft" { (name) } } }
                }
                @if let Some(first) = told.next() { p class="lead" { (first) } }
                ul class="told" { @for sentence in told { li { (sentence) } } }
                @if let Some(description) = &journal.description { p class="description" { (description) } }
                @if !journal.tags.is_empty() { p class="chips" { @for tag in &journal.tags { span class="chip" { (tag) } } } }
            }
            (belief::section(journal))
            (timeline::section(journal))
            (faults::section(journal))
            (activities::method(journal))
            (activities::rollbacks(journal))
            (contributions::section(journal))
            (facts::section(journal))
        }
    }
}

/// The figures beside the verdict.
fn figures(journal: &Journal) -> Vec<(&'static str, String)> {
    let mut figures = Vec::new();
    figures.extend(journal.start.map(|start| ("", clock::moment(start))));
    figures.extend(
        journal
            .seconds
            .map(|seconds| ("in all", clock::span(seconds))),
    );
    let runs = journal.activities().count();
    figures.push((
        if runs == 1 { "activity" } else { "activities" },
        runs.to_string(),
    ));
    let faults = journal.faults().count();
    if faults > 0 {
        figures.push((
            if faults == 1 { "fault" } else { "faults" },
            faults.to_string(),
        ));
    }
    figures
}
