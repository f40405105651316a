//! The two charts: latency over time, and requests over time. SVG, with its colours from the page.

use std::fmt::Write as _;
use std::time::Duration;

use chaos_toolkit::report::page::escaped;
use chaos_toolkit::report::scale::Scale;

use super::super::figures::Percentiles;
use super::super::human;
use super::super::outcome::{Outcome, PhaseOutcome};
use super::super::timeline::Point;
use super::super::values::figure;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 28.0;

/// A line: its class, its name, and its figure at a point.
type Line = (&'static str, &'static str, fn(&Percentiles) -> f64);

const LINES: [Line; 4] = [
    ("p50", "median", |of| of.med),
    ("p90", "p(90)", |of| of.p90),
    ("p95", "p(95)", |of| of.p95),
    ("p99", "p(99)", |of| of.p99),
];

/// Both axes, and what stands behind what is drawn.
struct Frame {
    x: Scale,
    y: Scale,
    svg: String,
}

/// The middle of a point's step, in seconds.
fn middle(point: &Point, step: Duration) -> f64 {
    point.at.as_secs_f64() + step.as_secs_f64() / 2.0
}

fn length(outcome: &Outcome) -> f64 {
    let ends = outcome.phases.iter().filter_map(end);
    let last = outcome.points.last().map(|point| point.at + outcome.step);
    let end = ends.max().or(last).unwrap_or_default();
    end.as_secs_f64()
}

fn end(phase: &PhaseOutcome) -> Option<Duration> {
    phase.start.map(|start| start + phase.length)
}

impl Frame {
    fn new(outcome: &Outcome, title: &str, most: f64, mark: impl Fn(f64) -> String) -> Self {
        let x = Scale::exact(length(outcome), 10.0, LEFT, WIDTH - RIGHT);
        let y = Scale::new(most, 5.0, HEIGHT - BOTTOM, TOP);
        let title = escaped(title);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n"
        );
        for (number, phase) in outcome.phases.iter().enumerate() {
            let (Some(start), Some(end)) = (phase.start, end(phase)) else {
                continue;
            };
            let (from, to) = (x.at(start.as_secs_f64()), x.at(end.as_secs_f64()));
            let class = match (&phase.did, number % 2) {
                (Some(_), _) => "faults",
                (None, 0) => "even",
                (None, _) => "odd",
            };
            let (height, wide) = (HEIGHT - TOP - BOTTOM, (to - from).max(0.0));
            let name = escaped(&phase.name);
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{wide:.1}\" height=\"{height}\"/>\
                 <text class=\"phase\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
                from + wide / 2.0,
                TOP - 8.0,
            );
        }
        for figure in y.marks() {
            let at = y.at(figure);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                escaped(&mark(figure)),
            );
        }
        for seconds in x.marks() {
            let _ = writeln!(
                svg,
                "<text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x.at(seconds),
                HEIGHT - 8.0,
                escaped(&human::time(seconds * 1e3)),
            );
        }
        Self { x, y, svg }
    }

    fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// Percentiles of the latency of what was due in each step.
pub(super) fn latency(outcome: &Outcome) -> String {
    let points = || outcome.points.iter();
    let figures = points().filter_map(|point| point.durations);
    let most = figures.map(|of| of.p99).fold(0.0, f64::max);
    let mut frame = Frame::new(outcome, "Latency over time", most, human::time);
    for (class, name, figure) in LINES {
        // A line breaks where there is nothing.
        for run in outcome.points.split(|point| point.durations.is_none()) {
            if run.is_empty() {
                continue;
            }
            let places: Vec<_> = run
                .iter()
                .filter_map(|point| {
                    let y = frame.y.at(figure(&point.durations?));
                    let x = frame.x.at(middle(point, outcome.step));
                    Some(format!("{x:.1},{y:.1}"))
                })
                .collect();
            let _ = match &places[..] {
                [one] => {
                    let (x, y) = one.split_once(',').unwrap_or((one, "0"));
                    writeln!(
                        frame.svg,
                        "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"2.5\"/>"
                    )
                }
                _ => writeln!(
                    frame.svg,
                    "<polyline class=\"{class}\" points=\"{}\"><title>{name}</title></polyline>",
                    places.join(" ")
                ),
            };
        }
    }
    frame.finish()
}

/// Requests a second of each step, by how they ended.
pub(super) fn requests(outcome: &Outcome) -> String {
    let step = outcome.step.as_secs_f64().max(1e-3);
    let all = |point: &Point| figure(point.requests + point.dropped) / step;
    let most = outcome.points.iter().map(all).fold(0.0, f64::max);
    let mark = |figure: f64| format!("{}/s", human::number(figure));
    // A load is as high everywhere: above it there must be room to see the phases.
    let mut frame = Frame::new(outcome, "Requests over time", most * 1.2, mark);
    for point in &outcome.points {
        let from = frame.x.at(point.at.as_secs_f64());
        let to = frame.x.at(point.at.as_secs_f64() + step);
        let wide = (to - from - 0.5).max(0.5);
        let good = point.requests - point.failed;
        let mut below = 0.0;
        for (class, name, count) in [
            ("served", "as expected", good),
            ("failed", "failed", point.failed),
            ("dropped", "dropped", point.dropped),
        ] {
            if count == 0 {
                continue;
            }
            let above = below + figure(count) / step;
            let (top, bottom) = (frame.y.at(above), frame.y.at(below));
            let _ = writeln!(
                frame.svg,
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{:.1}\">\
                 <title>{}: {count} {name}</title></rect>",
                bottom - top,
                escaped(&human::time(point.at.as_secs_f64() * 1e3)),
            );
            below = above;
        }
    }
    frame.finish()
}
