//! What it ran with: controls, configuration, extensions, the machine.

use maud::{Markup, html};

use super::super::journal::Journal;
use super::activities::parts;

pub(super) fn section(journal: &Journal) -> Markup {
    let has_any =
        !journal.controls.is_empty() || !journal.kept.is_empty() || !journal.environment.is_empty();
    html! {
        @if has_any {
            section class="facts" {
                h3 { "What it ran with" }
                @if !journal.controls.is_empty() {
                    h4 { "Controls, in order" }
                    ol { @for control in &journal.controls { li { strong { (control.name) } " of " (control.of) " " span class="line" { (control.does) } } } }
                }
                dl {
                    @for (name, value) in &journal.environment { dt { (name) } dd { (value) } }
                    dt { "Journal" } dd { (journal.source) }
                    @if let Some(dry) = &journal.dry { dt { "Dry" } dd { (dry) } }
                    @for (name, value) in &journal.kept { dt { (name) } dd { (parts(value)) } }
                }
            }
        }
    }
}
