//! The time line: faults as bars over what probes saw and how long they took.

use maud::{Markup, html};

use super::super::journal::Journal;
use super::super::timeline::{Kind, Lane, Timeline};
use super::super::{clock, words};
use super::track::{self, Across};

pub(super) fn section(journal: &Journal) -> Markup {
    let timeline = Timeline::of(journal).filter(|timeline| !timeline.phases.is_empty());
    let Some(timeline) = timeline else {
        return html! {};
    };
    let across = Across::new(&timeline);
    let of_kind = |kind: Kind| timeline.lanes.iter().filter(move |lane| lane.kind == kind);
    let has_faults = !timeline.shades.is_empty();
    let judged = of_kind(Kind::Probe)
        .flat_map(|lane| &lane.points)
        .any(|point| point.class == "ok" || point.class == "no");
    let pauses = timeline
        .lanes
        .iter()
        .flat_map(|lane| &lane.bars)
        .any(|bar| bar.class == "pause");
    html! {
        section class="when" {
            h3 { "Over time" }
            p class="key" {
                @if has_faults { span class="of-fault" { "a fault acts" } }
                @if judged { span class="of-ok round" { "as expected" } span class="of-no round" { "not as expected" } }
                @if of_kind(Kind::Probe).any(|lane| lane.band.is_some() && lane.seen().is_some()) { span class="of-band" { "expected" } }
                @if pauses { span class="of-pause" { "pause" } }
                @if !timeline.cuts.is_empty() { span class="of-cut" { "a guard tripped" } }
            }
            div class="lanes" {
                (lane_of(&html! {}, &track::axis(&across)))
                (lane_of(&html! { span class="of" { "Phases" } }, &track::phases(&across, &timeline)))
                @for (kind, what) in [(Kind::Fault, "fault"), (Kind::Background, "in the background"), (Kind::Action, "action")] {
                    @for lane in of_kind(kind) {
                        (lane_of(&named(lane, &[what.to_owned()]), &track::bars(&across, &timeline, lane)))
                    }
                }
                @for lane in of_kind(Kind::Probe) {
                    (lane_of(&named(lane, &notes(lane)), &html! {
                        (track::values(&across, &timeline, lane))
                        @if lane.points.len() > 1 { (track::latencies(&across, &timeline, lane)) }
                    }))
                }
            }
        }
    }
}

fn lane_of(name: &Markup, tracks: &Markup) -> Markup {
    html! { div class="lane" { div class="who" { (name) } div class="tracks" { (tracks) } } }
}

fn named(lane: &Lane, notes: &[String]) -> Markup {
    html! {
        span class="of" { (lane.name) }
        @for note in notes { span class="note" { (note) } }
    }
}

fn notes(lane: &Lane) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some((least, most)) = lane.seen() {
        notes.push(if (most - least).abs() < f64::EPSILON {
            format!("saw {}", words::number(least))
        } else {
            format!("saw {} to {}", words::number(least), words::number(most))
        });
    }
    let looks = words::count(lane.points.len(), "look", "looks");
    notes.push(format!("{looks}, at most {}", clock::span(lane.longest())));
    notes
}
