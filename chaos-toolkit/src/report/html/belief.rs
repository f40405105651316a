//! What was believed: the hypothesis, its probes, and what each of them saw before, during and after.

use maud::{Markup, html};

use super::super::journal::{Journal, Run, State};
use super::super::words;
use super::activities::mark;

pub(super) fn section(journal: &Journal) -> Markup {
    let Some(hypothesis) = &journal.hypothesis else {
        return html! { section class="believed" { h3 { "What was believed" } p class="soft" { "There is no hypothesis: this was run to see what happens." } } };
    };
    let columns: Vec<(&str, &[State])> = journal.looks().collect();
    html! {
        section class="believed" {
            h3 { "What was believed" }
            blockquote { (hypothesis.title) }
            @if hypothesis.probes.is_empty() { p class="soft" { "No probe looks whether it is so." } }
            @else {
                table class="stack" {
                    thead { tr { th { "Probe" } th class="text" { "Expected" } @for (name, _) in &columns { th class="text" { (name) } } } }
                    tbody {
                        @for (number, probe) in hypothesis.probes.iter().enumerate() {
                            tr {
                                td { strong { (probe.name) } span class="line" { (words::short(&words::provider(&probe.provider))) } }
                                td class="text" data-label="Expected" { (words::expected(probe, None)) }
                                @for (name, states) in &columns {
                                    td class="text" data-label=(name) { div { (cell(number, states)) } }
                                }
                            }
                        }
                    }
                }
            }
            @if columns.is_empty() { p class="soft" { "Nobody looked whether it was so." } }
        }
    }
}

/// What the probe of this number saw in these looks; it was not asked where one before it had failed.
fn cell(number: usize, states: &[State]) -> Markup {
    let runs: Vec<&Run> = states
        .iter()
        .filter_map(|state| state.probes.get(number))
        .collect();
    match (&runs[..], states) {
        ([], _) => html! { span class="soft" { "not asked" } },
        ([run], [_]) => html! { (mark(run.met)) " " (words::saw(run)) },
        (runs, _) => {
            let met = runs.iter().filter(|run| run.met == Some(true)).count();
            let unmet = runs.iter().find(|run| run.met == Some(false));
            html! {
                (mark(Some(met == runs.len()))) " " (met) " of " (runs.len())
                @if let Some(unmet) = unmet { span class="line" { "first miss: " (words::saw(unmet)) } }
            }
        }
    }
}
