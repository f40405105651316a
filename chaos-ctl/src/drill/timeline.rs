//! How requests went over time: one point for each second, or for more where the drill is long.

use std::time::Duration;

use super::figures::Percentiles;
use super::sample::Sample;
use super::values::Trend;

/// More points than that nobody sees.
const MOST_POINTS: u64 = 300;
const STEPS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600];

/// Points by when requests were due.
#[derive(Debug)]
pub struct Timeline {
    step: Duration,
    points: Vec<Counting>,
}

#[derive(Debug, Default)]
struct Counting {
    requests: u64,
    failed: u64,
    dropped: u64,
    durations: Trend,
}

/// What was due within one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Its beginning, since that of the load.
    pub at: Duration,
    /// How many are over.
    pub requests: u64,
    /// How many of them were not answered as expected.
    pub failed: u64,
    /// How many were not sent.
    pub dropped: u64,
    /// From when they were due to their end; nothing where there are none.
    pub durations: Option<Percentiles>,
}

impl Timeline {
    /// For a drill of that length.
    pub fn new(length: Duration) -> Self {
        let fits = |step: &u64| length.as_secs() <= step * MOST_POINTS;
        let step = STEPS.into_iter().find(fits).unwrap_or(24 * 3_600);
        Self {
            step: Duration::from_secs(step),
            points: Vec::new(),
        }
    }

    /// Between two points.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// Takes note of a request that is over.
    pub fn add(&mut self, sample: &Sample) {
        let point = self.at(sample.due);
        point.requests += 1;
        point.failed += u64::from(!sample.is_expected());
        point.durations.add(sample.duration);
    }

    /// Takes note of a request that was not sent.
    pub fn drop_one(&mut self, due: Duration) {
        self.at(due).dropped += 1;
    }

    fn at(&mut self, due: Duration) -> &mut Counting {
        let index = due.as_nanos() / self.step.as_nanos();
        let index = usize::try_from(index).unwrap_or(usize::MAX - 1);
        if self.points.len() <= index {
            self.points.resize_with(index + 1, Counting::default);
        }
        &mut self.points[index]
    }

    /// All points, also those without requests.
    pub fn points(&self) -> Vec<Point> {
        let points = self.points.iter().zip(0_u32..);
        let point = |(point, index): (&Counting, u32)| Point {
            at: self.step * index,
            requests: point.requests,
            failed: point.failed,
            dropped: point.dropped,
            durations: (point.durations.count() > 0).then(|| (&point.durations).into()),
        };
        points.map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{End, Failure, Timings};
    use super::*;

    #[test]
    fn long_drills_have_longer_steps() {
        let step = |secs| Timeline::new(Duration::from_secs(secs)).step().as_secs();
        assert_eq!([75, 300, 301, 3_600, 86_400].map(step), [1, 1, 2, 15, 300]);
    }

    #[test]
    fn requests_count_where_they_were_due() {
        let mut timeline = Timeline::new(Duration::from_secs(10));
        let sample = |due, end| Sample {
            due: Duration::from_millis(due),
            duration: Duration::from_secs(5),
            timings: Timings::default(),
            end,
            sent: 0,
            received: 0,
            checks: Vec::new(),
        };
        let good = End::Answered {
            status: 200,
            is_expected: true,
        };
        timeline.add(&sample(2_999, good));
        timeline.add(&sample(2_000, End::Failed(Failure::TimedOut)));
        timeline.drop_one(Duration::ZERO);
        let points = timeline.points();
        assert_eq!(points.len(), 3);
        assert_eq!((points[0].requests, points[0].dropped), (0, 1));
        assert_eq!((points[1].requests, points[1].durations), (0, None));
        assert_eq!((points[2].requests, points[2].failed), (2, 1));
        assert_eq!(points[2].at, Duration::from_secs(2));
    }
}
