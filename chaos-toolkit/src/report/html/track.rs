//! Tracks of the time line as SVG. Across they are shares of the width, so that text stays as large as it is on any screen.

use maud::{Markup, html};

use super::super::clock;
use super::super::scale::Scale;
use super::super::timeline::{Bar, Lane, Point, Timeline};

const BAR: f64 = 26.0;
const VALUES: f64 = 72.0;
const LATENCIES: f64 = 34.0;
const DOTS: f64 = 22.0;
/// Room for the radius of a dot.
const EDGE: f64 = 8.0;

/// From seconds to shares of the width.
pub(super) struct Across {
    scale: Scale,
    length: f64,
}

impl Across {
    pub(super) fn new(timeline: &Timeline) -> Self {
        Self {
            // A little of it is left at both ends, where dots would be cut.
            scale: Scale::exact(timeline.length, 6.0, 0.8, 99.2),
            length: timeline.length,
        }
    }

    fn at(&self, seconds: f64) -> String {
        format!("{:.2}%", self.scale.at(seconds))
    }

    /// At least as wide that it can be seen.
    fn wide(&self, from: f64, to: f64) -> String {
        let wide = self.scale.at(to) - self.scale.at(from);
        format!("{:.2}%", wide.max(0.35))
    }
}

fn px(number: f64) -> String {
    format!("{number:.1}")
}

fn track(across: &Across, timeline: &Timeline, height: f64, label: &str, inner: &Markup) -> Markup {
    html! {
        svg class="track" height=(px(height)) role="img" aria-label=(label) {
            @for seconds in across.scale.marks() {
                line class="grid" x1=(across.at(seconds)) x2=(across.at(seconds)) y1="0" y2=(px(height)) {}
            }
            @for shade in &timeline.shades {
                rect class="shade" x=(across.at(shade.from)) width=(across.wide(shade.from, shade.to)) y="0" height=(px(height)) {}
            }
            (inner)
            @for cut in &timeline.cuts {
                line class="cut" x1=(across.at(cut.from)) x2=(across.at(cut.from)) y1="0" y2=(px(height)) {
                    title { (cut.told) }
                }
            }
        }
    }
}

/// The seconds, above all tracks.
pub(super) fn axis(across: &Across) -> Markup {
    let marks = across.scale.marks();
    let anchor = |seconds: f64| {
        let share = seconds / across.length.max(f64::MIN_POSITIVE);
        if share < 0.03 {
            "start"
        } else if share > 0.95 {
            "end"
        } else {
            "middle"
        }
    };
    html! {
        svg class="axis" height="18" role="img" aria-label="seconds from the beginning" {
            @for (number, seconds) in marks.iter().enumerate() {
                text class=[(number % 2 == 1).then_some("odd")] x=(across.at(*seconds)) y="13" text-anchor=(anchor(*seconds)) {
                    (clock::span(*seconds))
                }
            }
        }
    }
}

/// The phases of the run.
pub(super) fn phases(across: &Across, timeline: &Timeline) -> Markup {
    let inner = html! {
        @for (number, bar) in timeline.phases.iter().enumerate() {
            (phase(across, bar, number))
        }
    };
    track(across, timeline, BAR, "phases", &inner)
}

fn phase(across: &Across, bar: &Bar, number: usize) -> Markup {
    // A word has room in about so much of a narrow screen.
    let has_room = across.scale.at(bar.to) - across.scale.at(bar.from) > 24.0;
    html! {
        g {
            title { (bar.told) }
            rect class=(format!("phase {}", if bar.class == "method" { "method" } else { "look" }))
                x=(across.at(bar.from)) width=(across.wide(bar.from, bar.to)) y="4" height="18" rx="2" data-number=(number) {}
            @if has_room {
                text class="inside" x=(across.at(f64::midpoint(bar.from, bar.to))) y="17" text-anchor="middle" { (bar.class) }
            }
        }
    }
}

/// Whatever lasted.
pub(super) fn bars(across: &Across, timeline: &Timeline, lane: &Lane) -> Markup {
    let inner = html! {
        @for bar in &lane.bars {
            rect class=(format!("bar {}", bar.class)) x=(across.at(bar.from)) width=(across.wide(bar.from, bar.to))
                y=(if bar.class == "pause" { "11" } else { "5" }) height=(if bar.class == "pause" { "4" } else { "16" }) rx="2" {
                title { (bar.told) }
            }
        }
    };
    track(across, timeline, BAR, &lane.name, &inner)
}

/// What a probe saw over time: steps where those are numbers, and dots.
pub(super) fn values(across: &Across, timeline: &Timeline, lane: &Lane) -> Markup {
    // One look has no course.
    let range = range(lane).filter(|_| lane.points.len() > 1);
    let Some((least, most)) = range else {
        let inner = html! { @for point in &lane.points { (dot(across, point, DOTS / 2.0)) } };
        return track(across, timeline, DOTS, &lane.name, &inner);
    };
    let down = |value: f64| {
        // By halves: the largest numbers have no difference that could be written.
        let (whole, above) = (most / 2.0 - least / 2.0, value / 2.0 - least / 2.0);
        let share = if whole > 0.0 { above / whole } else { 0.5 };
        VALUES - EDGE - share.clamp(0.0, 1.0) * (VALUES - 2.0 * EDGE)
    };
    let inner = html! {
        @if let Some((from, to)) = lane.band {
            @let (top, bottom) = (down(from.max(to)), down(from.min(to)));
            rect class="band" x="0" width="100%" y=(px(top - 1.0)) height=(px(bottom - top + 2.0)) {}
        }
        @for pair in lane.points.windows(2) {
            @if let (Some(from), Some(to)) = (pair[0].value, pair[1].value) {
                (step(across, (pair[0].at, down(from)), (pair[1].at, down(to))))
            }
        }
        @for point in &lane.points {
            (dot(across, point, point.value.map_or(VALUES - EDGE, down)))
        }
    };
    track(across, timeline, VALUES, &lane.name, &inner)
}

/// What was seen holds until the next look: nobody saw what a slope would pass through.
fn step(across: &Across, (from, before): (f64, f64), (to, after): (f64, f64)) -> Markup {
    let [from, to, before, after] = [across.at(from), across.at(to), px(before), px(after)];
    html! {
        line class="value" x1=(from) y1=(before) x2=(to) y2=(before) {}
        @if before != after { line class="value" x1=(to) y1=(before) x2=(to) y2=(after) {} }
    }
}

/// The least and the most that must have room, the expected among them where it is near.
fn range(lane: &Lane) -> Option<(f64, f64)> {
    let (least, most) = lane.seen()?;
    let (from, to) = lane.band.unwrap_or((least, most));
    // What is expected may be as wide as the world: the values are what is looked at.
    let room = (most - least).abs().max(most.abs()).max(1.0) * 4.0;
    let near =
        |bound: f64| Some(bound).filter(|bound| *bound > least - room && *bound < most + room);
    let least = near(from).map_or(least, |from| from.min(least));
    let most = near(to).map_or(most, |to| to.max(most));
    Some((least, most))
}

/// How long each look took, in its place.
pub(super) fn latencies(across: &Across, timeline: &Timeline, lane: &Lane) -> Markup {
    let most = lane.longest();
    let inner = html! {
        @for point in &lane.points {
            @let high = (point.took / most.max(f64::MIN_POSITIVE) * (LATENCIES - 4.0)).max(1.0);
            rect class="took" x=(across.at(point.at)) width=(across.wide(point.at, point.at + point.took))
                y=(px(LATENCIES - high)) height=(px(high)) {
                title { (point.told) }
            }
        }
    };
    track(
        across,
        timeline,
        LATENCIES,
        &format!("how long {} took", lane.name),
        &inner,
    )
}

fn dot(across: &Across, point: &Point, down: f64) -> Markup {
    html! {
        circle class=(format!("dot {}", point.class)) cx=(across.at(point.at)) cy=(px(down)) r="4" {
            title { (point.told) }
        }
    }
}
