//! What experiments contribute to: a chart for one of them, a matrix for several.

use maud::{Markup, html};

use super::super::journal::{Journal, Level};
use super::super::words;

/// Of one experiment.
pub(super) fn section(journal: &Journal) -> Markup {
    html! {
        @if !journal.contributions.is_empty() {
            section class="contributes" {
                h3 { "What it contributes to" }
                ul class="levels" { @for (name, level) in &journal.contributions { li { (pips(level)) " " strong { (name) } " " span class="soft" { (level.word()) } } } }
            }
        }
    }
}

/// Of several: experiments down, characteristics across.
pub(super) fn matrix(journals: &[Journal]) -> Markup {
    let mut rows: Vec<&Journal> = Vec::new();
    for journal in journals
        .iter()
        .filter(|journal| !journal.contributions.is_empty())
    {
        let known = |row: &&Journal| {
            row.title == journal.title && row.contributions == journal.contributions
        };
        if !rows.iter().any(known) {
            rows.push(journal);
        }
    }
    let mut names: Vec<&str> = rows
        .iter()
        .flat_map(|row| &row.contributions)
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    html! {
        @if !rows.is_empty() {
            section class="contributes" {
                h2 { "What the experiments contribute to" }
                p class="key" {
                    @for level in [Level::High, Level::Medium, Level::Low, Level::None] { span class="bare" { (pips(&level)) " " (level.word()) } }
                    span class="bare" { "– nothing is said" }
                }
                div class="scroll" tabindex="0" {
                    table class="matrix" {
                        thead { tr { th { "Experiment" } @for name in &names { th { (name) } } } }
                        tbody { @for row in &rows { tr { th class="text" scope="row" { (row.title) } @for name in &names { td { (level(row, name)) } } } } }
                        tfoot { tr { th class="text" scope="row" { "At least low" } @for name in &names { td { (covered(&rows, name)) } } } }
                    }
                }
                (by_tag(&rows, &names))
            }
        }
    }
}

fn of<'a>(row: &'a Journal, name: &str) -> Option<&'a Level> {
    let mut levels = row.contributions.iter();
    levels
        .find(|(known, _)| known == name)
        .map(|(_, level)| level)
}

fn level(row: &Journal, name: &str) -> Markup {
    html! {
        @if let Some(level) = of(row, name) { (pips(level)) }
        @else { span class="soft" title="nothing is said" { "–" } }
    }
}

fn covered(rows: &[&Journal], name: &str) -> String {
    let covers = rows
        .iter()
        .filter(|row| of(row, name).is_some_and(|level| level.pips() > 0))
        .count();
    format!("{covers} of {}", rows.len())
}

/// The highest level that an experiment of each tag has.
fn by_tag(rows: &[&Journal], names: &[&str]) -> Markup {
    let mut tags: Vec<&str> = rows
        .iter()
        .flat_map(|row| &row.tags)
        .map(String::as_str)
        .collect();
    tags.sort_unstable();
    tags.dedup();
    let highest = |tag: &str, name: &str| {
        let tagged = rows
            .iter()
            .filter(|row| row.tags.iter().any(|known| known == tag));
        tagged
            .filter_map(|row| of(row, name))
            .max_by_key(|level| level.pips())
    };
    html! {
        @if !tags.is_empty() {
            details class="fold" {
                summary { "By tag: the most that any experiment of " (words::count(tags.len(), "tag", "tags")) " contributes" }
                div class="scroll" tabindex="0" {
                    table class="matrix" {
                        thead { tr { th { "Tag" } @for name in names { th { (name) } } } }
                        tbody {
                            @for tag in &tags {
                                tr {
                                    th class="text" scope="row" { (tag) }
                                    @for name in names {
                                        td { @match highest(tag, name) { Some(level) => { (pips(level)) } None => { span class="soft" { "–" } } } }
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

/// Three of them, as many filled as the level is high.
fn pips(level: &Level) -> Markup {
    html! {
        svg class="pips" width="34" height="12" viewBox="0 0 34 12" role="img" aria-label=(level.word()) {
            title { (level.word()) }
            @for pip in 0..3_u8 {
                rect class=(if pip < level.pips() { "pip full" } else { "pip" }) x=(1 + 12 * u16::from(pip)) y="1.5" width="8" height="9" rx="1.5" {}
            }
        }
    }
}
