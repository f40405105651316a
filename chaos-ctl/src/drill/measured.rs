//! Everything that a drill has measured so far: each sample goes to all series that it belongs to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::metric::{METRICS, Series, Tag, find};
use super::sample::{End, Failure, Sample};
use super::threshold::Threshold;
use super::values::{Trend, Values};
use crate::quantity::packets;

/// A series, its figures, and what they must be.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Which.
    pub series: Series,
    /// What it has come to.
    pub values: Values,
    /// What it must be.
    pub thresholds: Vec<Threshold>,
}

/// A check, and how often it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// How often it held.
    pub passes: u64,
    /// How often not.
    pub fails: u64,
}

/// What one phase has come to.
#[derive(Debug, Clone, Default)]
pub struct PhaseFigures {
    /// Requests that were due in it and are over.
    pub requests: u64,
    /// Those that were not answered as expected.
    pub failed: u64,
    /// Those that were not sent: too many were under way.
    pub dropped: u64,
    /// From when they were due to the end of their answers, or to their failure.
    pub durations: Trend,
    /// Why there was no answer.
    pub failures: BTreeMap<Failure, u64>,
    /// Each status that came.
    pub statuses: BTreeMap<u16, u64>,
}

impl PhaseFigures {
    /// How its requests ended, such as `540 × 200, 12 × connection reset`.
    pub fn ends_in_words(&self) -> String {
        let statuses = self.statuses.iter();
        let statuses = statuses.map(|(status, count)| format!("{} × {status}", packets(*count)));
        let failures = self.failures.iter();
        let failures =
            failures.map(|(why, count)| format!("{} × {}", packets(*count), why.in_words()));
        statuses.chain(failures).collect::<Vec<_>>().join(", ")
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Measurements {
    /// By name, each before those with tags.
    pub all: Vec<Measured>,
    /// In their order.
    pub checks: Vec<Checked>,
    /// In their order.
    pub phases: Vec<PhaseFigures>,
    names: Vec<String>,
}

/// What tells samples apart.
struct Tags<'a> {
    phase: &'a str,
    status: Option<u16>,
    expected: Option<bool>,
    check: Option<&'a str>,
}

impl Tags<'_> {
    fn have(&self, tag: &Tag) -> bool {
        match tag {
            Tag::Phase(name) => self.phase == name,
            Tag::Status(status) => self.status == Some(*status),
            Tag::Expected(expected) => self.expected == Some(*expected),
            Tag::Check(name) => self.check == Some(name),
        }
    }
}

impl Measurements {
    /// Of nothing yet. Each metric has a series without tags; thresholds ask for more.
    pub fn new(
        thresholds: Vec<(Series, Vec<Threshold>)>,
        checks: &[String],
        phases: &[String],
    ) -> Self {
        let mut all: Vec<_> = METRICS
            .iter()
            .map(|metric| Measured::new(Series::plain(metric)))
            .collect();
        if let Some(metric) = find("http_req_duration") {
            let mut answered = Series::plain(metric);
            answered.tags.push(Tag::Expected(true));
            answered.name.push_str("{expected_response:true}");
            all.push(Measured::new(answered));
        }
        for (series, thresholds) in thresholds {
            match all.iter_mut().find(|known| known.series == series) {
                Some(known) => known.thresholds.extend(thresholds),
                None => all.push(Measured {
                    thresholds,
                    ..Measured::new(series)
                }),
            }
        }
        all.sort_by(|one, other| {
            let key = |measured: &Measured| {
                let name = measured.series.metric.name;
                (name, measured.series.name.clone())
            };
            key(one).cmp(&key(other))
        });
        let check = |name: &String| Checked {
            name: name.clone(),
            passes: 0,
            fails: 0,
        };
        Self {
            all,
            checks: checks.iter().map(check).collect(),
            phases: vec![PhaseFigures::default(); phases.len()],
            names: phases.to_vec(),
        }
    }

    /// Takes note of a request that is over, and was due in that phase.
    pub fn add(&mut self, phase: usize, sample: &Sample) {
        let Some(name) = self.names.get(phase).cloned() else {
            return;
        };
        let tags = Tags {
            phase: &name,
            status: Some(sample.status()),
            expected: Some(sample.is_expected()),
            check: None,
        };
        for measured in &mut self.all {
            measured.add(&tags, sample);
        }
        for (index, held) in sample.checks.iter().enumerate() {
            let Some(check) = self.checks.get_mut(index) else {
                continue;
            };
            check.passes += u64::from(*held);
            check.fails += u64::from(!held);
            let tags = Tags {
                phase: &name,
                status: None,
                expected: None,
                check: Some(&check.name),
            };
            for measured in &mut self.all {
                if measured.series.metric.name == "checks" && measured.has(&tags) {
                    measured.values.judge(*held);
                }
            }
        }
        let figures = &mut self.phases[phase];
        figures.requests += 1;
        figures.failed += u64::from(!sample.is_expected());
        figures.durations.add(sample.duration);
        match sample.end {
            End::Answered { status, .. } => *figures.statuses.entry(status).or_default() += 1,
            End::Failed(failure) => *figures.failures.entry(failure).or_default() += 1,
        }
    }

    /// Takes note of a request that was due in that phase and was not sent.
    pub fn drop_one(&mut self, phase: usize) {
        let Some(name) = self.names.get(phase).cloned() else {
            return;
        };
        self.phases[phase].dropped += 1;
        let tags = Tags {
            phase: &name,
            status: None,
            expected: None,
            check: None,
        };
        for measured in &mut self.all {
            if measured.series.metric.name == "dropped_iterations" && measured.has(&tags) {
                measured.values.count(1);
            }
        }
    }

    /// How many requests are under way, of how many that may be.
    pub fn under_way(&mut self, now: u64, most: u64) {
        for measured in &mut self.all {
            match measured.series.metric.name {
                "vus" => measured.values.count(now),
                "vus_max" => measured.values.count(most),
                _ => {}
            }
        }
    }

    /// The series of a metric without tags.
    pub fn plain(&self, name: &str) -> Option<&Measured> {
        let mut all = self.all.iter();
        all.find(|measured| measured.series.name == name)
    }

    /// The phases' names, in their order.
    pub fn phase_names(&self) -> &[String] {
        &self.names
    }
}

impl Measured {
    fn new(series: Series) -> Self {
        Self {
            values: Values::new(series.metric.kind),
            series,
            thresholds: Vec::new(),
        }
    }

    fn has(&self, tags: &Tags<'_>) -> bool {
        self.series.tags.iter().all(|tag| tags.have(tag))
    }

    fn add(&mut self, tags: &Tags<'_>, sample: &Sample) {
        if !self.has(tags) {
            return;
        }
        let values = &mut self.values;
        let timings = &sample.timings;
        match self.series.metric.name {
            "data_received" => values.count(sample.received),
            "data_sent" => values.count(sample.sent),
            "http_req_blocked" => values.time(timings.blocked),
            "http_req_connecting" => values.time(timings.connecting),
            "http_req_duration" | "iteration_duration" => values.time(sample.duration),
            "http_req_failed" => values.judge(!sample.is_expected()),
            "http_req_receiving" => values.time(timings.receiving),
            "http_req_sending" => values.time(timings.sending),
            "http_req_tls_handshaking" => values.time(timings.tls),
            "http_req_waiting" => values.time(timings.waiting),
            "http_reqs" | "iterations" => values.count(1),
            // Of checks, of what was not sent, and of what is under way.
            _ => {}
        }
    }

    /// Each threshold with its figure, and whether it holds. `over` is the time in which the figures came about.
    pub fn judged(&self, over: Duration) -> impl Iterator<Item = (&Threshold, f64, bool)> {
        self.thresholds.iter().map(move |threshold| {
            let figure = self.values.figure(threshold.method, over);
            // As k6: a share of nothing crosses nothing, and all else is 0.
            let is_share_of_nothing = matches!(self.values, Values::Rate { total: 0, .. });
            let holds = is_share_of_nothing || threshold.holds(figure);
            (threshold, figure, holds)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Timings;
    use super::*;

    fn sample(ms: u64, end: End) -> Sample {
        Sample {
            due: Duration::ZERO,
            duration: Duration::from_millis(ms),
            timings: Timings::default(),
            end,
            sent: 100,
            received: 200,
            checks: vec![matches!(end, End::Answered { status: 200, .. })],
        }
    }

    fn answered(status: u16) -> End {
        End::Answered {
            status,
            is_expected: status == 200,
        }
    }

    fn measure(names: &[&str]) -> Measurements {
        let series = names
            .iter()
            .map(|name| (Series::read(name).unwrap(), Vec::new()));
        let names = ["base".to_owned(), "chaos".to_owned()];
        let check = ["status is 200".to_owned()];
        let mut all = Measurements::new(series.collect(), &check, &names);
        all.add(0, &sample(10, answered(200)));
        all.add(0, &sample(20, answered(200)));
        all.add(1, &sample(300, answered(503)));
        all.add(1, &sample(400, answered(200)));
        all.add(1, &sample(500, End::Failed(Failure::Reset)));
        all.drop_one(1);
        all
    }

    fn figure(all: &Measurements, name: &str, method: Method) -> f64 {
        let values = &all.plain(name).unwrap().values;
        values.figure(method, Duration::from_secs(2))
    }

    use super::super::threshold::Method;

    #[test]
    fn tags_tell_samples_apart() {
        let all = measure(&[
            "http_req_duration{phase:chaos}",
            "http_reqs{status:503}",
            "http_reqs{status:0,phase:chaos}",
            "http_reqs{status:0,phase:base}",
            "checks{phase:base}",
            "checks{check:status is 200}",
            "dropped_iterations{phase:base}",
        ]);
        let is = |name, method, expected: f64| {
            let figure = figure(&all, name, method);
            assert!((figure - expected).abs() < 1e-9, "{name}: {figure}");
        };
        is("http_req_duration", Method::Avg, 246.0);
        is("http_req_duration{phase:chaos}", Method::Avg, 400.0);
        is(
            "http_req_duration{expected_response:true}",
            Method::Max,
            400.0,
        );
        is("http_reqs", Method::Rate, 2.5);
        is("http_reqs{status:503}", Method::Count, 1.0);
        is("http_reqs{status:0,phase:chaos}", Method::Count, 1.0);
        is("http_reqs{status:0,phase:base}", Method::Count, 0.0);
        is("http_req_failed", Method::Rate, 0.4);
        is("checks", Method::Rate, 0.6);
        is("checks{phase:base}", Method::Rate, 1.0);
        is("checks{check:status is 200}", Method::Rate, 0.6);
        is("dropped_iterations", Method::Count, 1.0);
        is("dropped_iterations{phase:base}", Method::Count, 0.0);
        is("data_received", Method::Count, 1_000.0);
    }

    /// What k6 1.1 makes of metrics that nothing was added to.
    #[test]
    fn a_share_of_nothing_crosses_nothing() {
        let judged = |name: &str, text: &str| {
            let series = Series::read(name).unwrap();
            let threshold = Threshold::read(text, series.metric, None).unwrap();
            let all = Measurements::new(vec![(series, vec![threshold])], &[], &[]);
            let measured = all.plain(name).unwrap();
            let (_, figure, holds) = measured.judged(Duration::from_secs(1)).next().unwrap();
            assert!(figure.abs() < 1e-9, "{name}: {figure}");
            holds
        };
        for (name, text, holds) in [
            ("checks", "rate>0.5", true),
            ("checks", "rate<0.5", true),
            ("http_req_failed", "rate>0.5", true),
            ("http_req_duration", "p(95)>5", false),
            ("http_req_duration", "p(95)<5", true),
            ("http_reqs", "count>0", false),
            ("http_reqs", "rate>1", false),
            ("vus", "value>0", false),
        ] {
            assert_eq!(judged(name, text), holds, "{name}: {text}");
        }
    }

    #[test]
    fn phases_have_figures_of_their_own() {
        let all = measure(&[]);
        assert_eq!(all.phases[0].requests, 2);
        let chaos = &all.phases[1];
        assert_eq!((chaos.requests, chaos.failed, chaos.dropped), (3, 2, 1));
        assert_eq!(chaos.failures, BTreeMap::from([(Failure::Reset, 1)]));
        assert_eq!(chaos.statuses, BTreeMap::from([(200, 1), (503, 1)]));
    }
}
