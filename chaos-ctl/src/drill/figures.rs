//! The final figures of each series: what the summary, the JSON and the report all tell.

use std::time::Duration;

use super::measured::{Checked, Measured, Measurements};
use super::metric::{Contains, Kind, Section};
use super::values::{Trend, Values, figure, per_second};

/// One series at the end.
#[derive(Debug, Clone)]
pub struct Entry {
    /// With its tags.
    pub name: String,
    /// How its values were put together.
    pub kind: Kind,
    /// What they are.
    pub contains: Contains,
    /// Where it is shown.
    pub section: Section,
    /// Whether it is shown.
    pub is_shown: bool,
    /// What it came to.
    pub figures: Figures,
    /// Whether that is right.
    pub judged: Vec<Judged>,
}

/// Figures by kind; times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figures {
    /// A sum.
    Counter {
        /// All.
        count: f64,
        /// A second.
        rate: f64,
    },
    /// The latest.
    Gauge {
        /// The latest.
        value: f64,
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// A share.
    Rate {
        /// Those that were true.
        trues: u64,
        /// All.
        total: u64,
    },
    /// A distribution.
    Trend(Percentiles),
}

/// Figures of a distribution, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Percentiles {
    /// The mean.
    pub avg: f64,
    /// The smallest.
    pub min: f64,
    /// The median.
    pub med: f64,
    /// The largest.
    pub max: f64,
    /// Nine of ten are no larger.
    pub p90: f64,
    /// 19 of 20 are no larger.
    pub p95: f64,
    /// 99 of 100 are no larger.
    pub p99: f64,
}

impl From<&Trend> for Percentiles {
    fn from(trend: &Trend) -> Self {
        Self {
            avg: trend.avg(),
            min: trend.min(),
            med: trend.percentile(50.0),
            max: trend.max(),
            p90: trend.percentile(90.0),
            p95: trend.percentile(95.0),
            p99: trend.percentile(99.0),
        }
    }
}

/// A threshold at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// As it was written.
    pub source: String,
    /// The figure's name.
    pub of: String,
    /// The figure.
    pub figure: f64,
    /// Whether it holds.
    pub holds: bool,
    /// Whether there was nothing to look at.
    pub is_empty: bool,
}

/// All series, and all checks.
#[derive(Debug, Clone)]
pub struct Results {
    /// By name.
    pub entries: Vec<Entry>,
    /// In their order.
    pub checks: Vec<Checked>,
    /// How many checks there were a second.
    pub checks_rate: f64,
}

impl Results {
    /// Of what was measured in so long; `phases` says how long each of them was.
    pub fn of(measured: &Measurements, elapsed: Duration, phases: &[Duration]) -> Self {
        let entries = measured.all.iter().map(|one| {
            let over = over(measured, one, elapsed, phases);
            Entry::of(one, over)
        });
        let checks: u64 = measured.checks.iter().map(|c| c.passes + c.fails).sum();
        Self {
            entries: entries.collect(),
            checks: measured.checks.clone(),
            checks_rate: per_second(checks, elapsed),
        }
    }

    /// The names of the series whose thresholds were crossed.
    pub fn crossed(&self) -> Vec<&str> {
        let crossed = self.entries.iter().filter(|entry| entry.is_crossed());
        crossed.map(|entry| entry.name.as_str()).collect()
    }
}

/// The time in which a series came about: that of its phase, where it is about one.
pub fn over(
    measured: &Measurements,
    one: &Measured,
    elapsed: Duration,
    phases: &[Duration],
) -> Duration {
    let place = one.series.phase().and_then(|name| {
        let mut names = measured.phase_names().iter();
        names.position(|known| known == name)
    });
    let phase = place.and_then(|place| phases.get(place));
    phase.copied().unwrap_or(elapsed)
}

impl Entry {
    fn of(measured: &Measured, over: Duration) -> Self {
        let metric = measured.series.metric;
        let is_empty = measured.values.is_empty();
        let judged = measured
            .judged(over)
            .map(|(threshold, figure, holds)| Judged {
                source: threshold.source.clone(),
                of: threshold.figure().to_owned(),
                figure,
                holds,
                is_empty,
            });
        let judged: Vec<_> = judged.collect();
        let of_answers = measured.series.name == "http_req_duration{expected_response:true}";
        let is_plain = measured.series.tags.is_empty();
        // As k6: what was dropped is shown only where there is some.
        let is_noise = metric.name == "dropped_iterations" && is_empty;
        Self {
            name: measured.series.name.clone(),
            kind: metric.kind,
            contains: metric.contains,
            section: metric.section,
            is_shown: metric.section != Section::Checks
                && (!judged.is_empty() || of_answers || (is_plain && metric.is_shown && !is_noise)),
            figures: Figures::of(&measured.values, over),
            judged,
        }
    }

    /// Whether one of its thresholds does not hold.
    pub fn is_crossed(&self) -> bool {
        self.judged.iter().any(|judged| !judged.holds)
    }
}

impl Figures {
    fn of(values: &Values, over: Duration) -> Self {
        match values {
            Values::Counter(count) => Self::Counter {
                count: figure(*count),
                rate: per_second(*count, over),
            },
            Values::Gauge(seen) => {
                let [value, min, max] = seen.unwrap_or_default().map(figure);
                Self::Gauge { value, min, max }
            }
            Values::Rate { trues, total } => Self::Rate {
                trues: *trues,
                total: *total,
            },
            Values::Trend(trend) => Self::Trend(trend.into()),
        }
    }
}
