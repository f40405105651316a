//! Several journals in one table, and how the same experiment went over time.

use maud::{Markup, html};

use super::super::journal::{Journal, Verdict};
use super::super::{clock, words};

/// The last of them are what a trend is.
const TREND: usize = 12;

pub(super) fn section(journals: &[Journal]) -> Markup {
    html! {
        section class="overview" {
            p class="counts" { (counts(journals)) }
            table class="stack" {
                thead { tr { th { "Experiment" } th class="text" { "Result" } th { "When" } th { "Took" } th { "Activities" } th { "Faults" } th class="text" { "Trend" } } }
                tbody {
                    @for (number, journal) in journals.iter().enumerate() {
                        tr {
                            td { a href=(format!("#j{}", number + 1)) { (journal.title) } span class="line" { (journal.source) } }
                            td class="text" data-label="Result" { (super::badge(journal.verdict())) }
                            td data-label="When" { (journal.start.map_or_else(|| "–".to_owned(), clock::short)) }
                            td data-label="Took" { (journal.seconds.map_or_else(|| "–".to_owned(), clock::span)) }
                            td data-label="Activities" { (activities(journal)) }
                            td data-label="Faults" { (journal.faults().count()) }
                            td class="text" data-label="Trend" { (trend(journals, number)) }
                        }
                    }
                }
            }
        }
    }
}

/// How many ended how, the bad before the good.
fn counts(journals: &[Journal]) -> String {
    let order = [
        Verdict::Deviated,
        Verdict::Failed,
        Verdict::Aborted,
        Verdict::Interrupted,
        Verdict::NotSteady,
        Verdict::Unknown,
        Verdict::Completed,
        Verdict::Met,
    ];
    let counts = order.into_iter().filter_map(|verdict| {
        let count = journals
            .iter()
            .filter(|journal| journal.verdict() == verdict)
            .count();
        (count > 0).then(|| format!("{count} {}", verdict.word()))
    });
    counts.collect::<Vec<_>>().join(" · ")
}

fn activities(journal: &Journal) -> String {
    let runs = journal.activities().count();
    let failed = journal.activities().filter(|run| run.failed()).count();
    match failed {
        0 => runs.to_string(),
        failed => format!("{runs}, {failed} failed"),
    }
}

/// Runs of the same experiment, the oldest first; the ring is this one.
fn trend(journals: &[Journal], this: usize) -> Markup {
    let mut same: Vec<(usize, &Journal)> = journals
        .iter()
        .enumerate()
        .filter(|(_, journal)| journal.title == journals[this].title)
        .collect();
    same.sort_by_key(|(_, journal)| journal.start);
    // The last ones, and this one among them.
    let at = same
        .iter()
        .position(|(number, _)| *number == this)
        .unwrap_or_default();
    let from = same.len().saturating_sub(TREND).min(at);
    let shown = &same[from..same.len().min(from + TREND)];
    let said = shown
        .iter()
        .map(|(_, journal)| journal.verdict().word())
        .collect::<Vec<_>>()
        .join(", ");
    html! {
        @if shown.len() < 2 { span class="soft" { "once" } }
        @else {
            span class="pair" {
            svg class="trend" width=(14 * shown.len() + 4) height="16" role="img" aria-label=(said) {
                @for (place, (number, journal)) in shown.iter().enumerate() {
                    circle class=(format!("dot {}{}", journal.verdict().class(), if *number == this { " this" } else { "" })) cx=(9 + 14 * place) cy="8" r="4" {
                        title {
                            (journal.verdict().word())
                            @if let Some(start) = journal.start { ", " (clock::short(start)) }
                        }
                    }
                }
            }
            span class="soft" { (words::count(same.len(), "run", "runs")) }
            }
        }
    }
}
