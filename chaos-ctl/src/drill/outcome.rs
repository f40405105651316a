//! A drill that is over, as all who tell of it need it: the block, the JSON, the report.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::figures::{Entry, Figures, Percentiles, Results};
use super::measured::PhaseFigures;
use super::metric::{Contains, Kind};
use super::timeline::Point;
use crate::quantity::Frequency;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All phases were gone through, and no threshold was crossed.
    Passed,
    /// All phases were gone through, and a threshold was crossed.
    Crossed,
    /// A threshold was crossed that ends the drill.
    Aborted,
    /// The faults of a phase hit nothing.
    NothingMatched,
    /// Ctrl-C ended it.
    Interrupted,
    /// Nobody answered before anything was done to them.
    Unanswered,
    /// Faults could not act, or not to their end.
    Failed,
}

/// What was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// How.
    pub method: String,
    /// Where to.
    pub url: String,
    /// How often.
    pub rate: Frequency,
}

impl Sent {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "method": self.method,
            "url": self.url,
            "rate": {"count": self.rate.count, "per_ns": ns(self.rate.per)},
        })
    }
}

/// One phase.
#[derive(Debug, Clone)]
pub struct PhaseOutcome {
    /// Its name.
    pub name: String,
    /// When it began, since the beginning of the load; nothing where it did not.
    pub start: Option<Duration>,
    /// How long it was.
    pub length: Duration,
    /// What its requests came to.
    pub figures: PhaseFigures,
    /// What acted in it, in words.
    pub did: Option<String>,
    /// What acted in it, as `apply -o json` has it.
    pub experiment: Option<Value>,
    /// What it hit, for a person.
    pub hits: Option<String>,
    /// If it did not go as asked.
    pub error: Option<String>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it went.
    pub verdict: Verdict,
    /// What was sent.
    pub sent: Sent,
    /// From the first request to the end of the load, or to that of the last request where it is later.
    pub elapsed: Duration,
    /// In their order.
    pub phases: Vec<PhaseOutcome>,
    /// Of all series.
    pub results: Results,
    /// Between two points.
    pub step: Duration,
    /// How it went over time.
    pub points: Vec<Point>,
}

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// As k6 calls the figures.
fn percentiles(of: &Percentiles) -> Value {
    json!({
        "avg": of.avg, "min": of.min, "med": of.med, "max": of.max,
        "p(90)": of.p90, "p(95)": of.p95, "p(99)": of.p99,
    })
}

impl Outcome {
    /// For programs; documented in docs/json.md.
    pub fn json(&self) -> Value {
        let metrics: Map<_, _> = self
            .results
            .entries
            .iter()
            .map(|entry| (entry.name.clone(), metric(entry)))
            .collect();
        let checks: Vec<_> = self
            .results
            .checks
            .iter()
            .map(|c| json!({"name": c.name, "passes": c.passes, "fails": c.fails}))
            .collect();
        let points: Vec<_> = self.points.iter().map(point).collect();
        json!({
            "outcome": self.verdict,
            "load": self.sent.json(),
            "duration_ns": ns(self.elapsed),
            "phases": self.phases.iter().map(phase).collect::<Vec<_>>(),
            "checks": checks,
            "metrics": metrics,
            "series": {"step_ns": ns(self.step), "points": points},
        })
    }
}

fn phase(phase: &PhaseOutcome) -> Value {
    let figures = &phase.figures;
    let statuses: BTreeMap<_, _> = figures
        .statuses
        .iter()
        .map(|(status, count)| (status.to_string(), count))
        .collect();
    json!({
        "name": phase.name,
        "start_ns": phase.start.map(ns),
        "duration_ns": ns(phase.length),
        "requests": figures.requests,
        "failed": figures.failed,
        "dropped": figures.dropped,
        "durations_ms": percentiles(&(&figures.durations).into()),
        "statuses": statuses,
        "failures": figures.failures,
        "experiment": phase.experiment,
        "error": phase.error,
    })
}

fn point(point: &Point) -> Value {
    json!({
        "at_ns": ns(point.at),
        "requests": point.requests,
        "failed": point.failed,
        "dropped": point.dropped,
        "durations_ms": point.durations.as_ref().map(percentiles),
    })
}

/// As `handleSummary` of k6 gets it.
fn metric(entry: &Entry) -> Value {
    let kind = match entry.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Rate => "rate",
        Kind::Trend => "trend",
    };
    let contains = match entry.contains {
        Contains::Default => "default",
        Contains::Time => "time",
        Contains::Data => "data",
    };
    let values = match &entry.figures {
        Figures::Counter { count, rate } => json!({"count": count, "rate": rate}),
        Figures::Gauge { value, min, max } => json!({"value": value, "min": min, "max": max}),
        Figures::Rate { trues, total } => {
            let rate = super::values::figure(*trues) / super::values::figure((*total).max(1));
            json!({"rate": rate, "passes": trues, "fails": total - trues})
        }
        Figures::Trend(of) => percentiles(of),
    };
    let mut metric = json!({"type": kind, "contains": contains, "values": values});
    if !entry.judged.is_empty() {
        let thresholds: Map<_, _> = entry
            .judged
            .iter()
            .map(|judged| {
                let told = json!({"ok": judged.holds, "value": judged.figure});
                (judged.source.clone(), told)
            })
            .collect();
        metric["thresholds"] = thresholds.into();
    }
    metric
}
