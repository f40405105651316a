//! What the faults hit: their counters, over all targets and at each.

use maud::{Markup, html};
use serde_json::Value;

use super::super::fault::{Fault, Target};
use super::super::journal::{Guard, Journal, Run};
use super::super::{clock, words};

pub(super) fn section(journal: &Journal) -> Markup {
    html! {
        @if journal.faults().next().is_some() {
            section class="hits" {
                h3 { "What the faults hit" }
                @for (run, fault) in journal.faults() { (card(run, fault)) }
            }
        }
        @if !journal.guards.is_empty() {
            section class="guards" {
                h3 { "Guards" }
                ul { @for guard in &journal.guards { li { (of_guard(journal, guard)) } } }
            }
        }
    }
}

fn card(run: &Run, fault: &Fault) -> Markup {
    let (hit, zero): (Vec<_>, Vec<_>) = fault.totals.iter().partition(|(_, number)| number != "0");
    html! {
        div class="fault" {
            h4 { (run.activity.name) @if let Some(id) = &fault.id { " " code { (id) } } }
            p class="line" { (words::provider(&run.activity.provider)) }
            @if let Some(does) = run.output.get("does").and_then(Value::as_str) { p { (does) } }
            @if run.failed() { p class="no" { "It did not act: " (words::saw(run)) } }
            @if !hit.is_empty() {
                ul class="counters" { @for (name, number) in &hit { li { strong { (grouped(number)) } " " (words::counted(number, name)) } } }
            } @else if !fault.totals.is_empty() {
                p class="warned" { "It hit nothing." }
            } @else if !run.failed() {
                p class="soft" { "The journal does not say what it hit." }
            }
            @if !zero.is_empty() {
                p class="soft" {
                    "Zero: "
                    (zero.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "))
                }
            }
            @if let Some(ended) = &fault.ended { p class="soft" { "Ended: " (ended) } }
            @for note in &fault.notes { p class="soft" { (note) } }
            @if !fault.targets.is_empty() { (targets(&fault.targets)) }
        }
    }
}

fn targets(targets: &[Target]) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    for (name, number) in targets.iter().flat_map(|target| &target.counters) {
        if number != "0" && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    html! {
        details class="fold" open[targets.len() <= 4] {
            summary { (words::count(targets.len(), "target", "targets")) }
            @if names.is_empty() { ul { @for target in targets { li { (target.name) } } } }
            @else {
                div class="scroll" tabindex="0" {
                    table class="stack" {
                        thead { tr { th { "Target" } @for name in &names { th { (name) } } } }
                        tbody {
                            @for target in targets {
                                tr {
                                    td { (target.name) }
                                    @for name in &names {
                                        td data-label=(name) {
                                            @match target.counters.iter().find(|(known, _)| known == name) {
                                                Some((_, number)) => { (grouped(number)) }
                                                None => { "–" }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// With commas between the thousands of a whole number.
fn grouped(number: &str) -> String {
    if number.len() <= 3 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut made = String::with_capacity(number.len() * 4 / 3);
    for (index, digit) in number.chars().enumerate() {
        if index > 0 && (number.len() - index).is_multiple_of(3) {
            made.push(',');
        }
        made.push(digit);
    }
    made
}

fn of_guard(journal: &Journal, guard: &Guard) -> Markup {
    let at = journal
        .start
        .zip(guard.tripped_at)
        .map(|(start, at)| clock::seconds(start, at));
    html! {
        strong { (guard.name) }
        @match (guard.tripped_at, at) {
            (None, _) => { " did not trip" }
            (Some(_), Some(at)) => { span class="no" { " tripped at " (clock::span(at)) } }
            (Some(moment), None) => { span class="no" { " tripped, " (clock::moment(moment)) } }
        }
        @if let Some(saw) = &guard.saw { ": saw " (words::short(saw)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let numbers = [
            "0",
            "123",
            "12345",
            "1234567",
            "1.5",
            "18446744073709551615",
        ]
        .map(grouped);
        let wanted = [
            "0",
            "123",
            "12,345",
            "1,234,567",
            "1.5",
            "18,446,744,073,709,551,615",
        ];
        assert_eq!(numbers, wanted);
    }
}
