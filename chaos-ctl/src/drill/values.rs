//! What a series has come to: a sum, a share, a distribution.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::metric::Kind;
use super::threshold::Method;

/// Times are told apart to a microsecond, and above that to one part in a thousand.
const DIGITS: u8 = 3;

/// The figures of one series.
#[derive(Debug, Clone)]
pub enum Values {
    /// A sum.
    Counter(u64),
    /// The latest, the smallest and the largest; nothing was seen yet.
    Gauge(Option<[u64; 3]>),
    /// How many were true, of how many.
    Rate {
        /// Those that were true.
        trues: u64,
        /// All.
        total: u64,
    },
    /// A distribution of times.
    Trend(Trend),
}

/// A distribution of times.
#[derive(Debug, Clone)]
pub struct Trend {
    /// In microseconds. Nothing where it could not be made: then there are no percentiles, and all else is exact.
    histogram: Option<Histogram<u32>>,
    count: u64,
    sum_ns: u128,
    min: Duration,
    max: Duration,
}

impl Default for Trend {
    fn default() -> Self {
        Self {
            // It grows with what it is given.
            histogram: Histogram::new(DIGITS).ok(),
            count: 0,
            sum_ns: 0,
            min: Duration::ZERO,
            max: Duration::ZERO,
        }
    }
}

impl Trend {
    /// Takes note of one.
    pub fn add(&mut self, time: Duration) {
        if self.count == 0 || time < self.min {
            self.min = time;
        }
        self.max = self.max.max(time);
        self.count += 1;
        self.sum_ns += time.as_nanos();
        if let Some(histogram) = &mut self.histogram {
            let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            // It grows by itself, and what could not grow it is not worth failing for.
            let _ = histogram.record(us);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean, in milliseconds.
    pub fn avg(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "printed to five digits")]
        let (sum, count) = (self.sum_ns as f64, self.count as f64);
        sum / count / 1e6
    }

    /// The smallest, in milliseconds.
    pub fn min(&self) -> f64 {
        ms(self.min)
    }

    /// The largest, in milliseconds.
    pub fn max(&self) -> f64 {
        ms(self.max)
    }

    /// So many percent are no larger, in milliseconds. Where that falls between two times, so does this, as in k6.
    pub fn percentile(&self, percent: f64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let place = percent / 100.0 * figure(self.count - 1);
        let (below, above) = (self.at(place.floor()), self.at(place.ceil()));
        below + (above - below) * place.fract()
    }

    /// The time at a place among all in order, the first at 0.
    fn at(&self, place: f64) -> f64 {
        if place <= 0.0 {
            return self.min();
        }
        if place >= figure(self.count - 1) {
            return self.max();
        }
        let Some(histogram) = &self.histogram else {
            return 0.0;
        };
        // Half a place before its end, so that no rounding makes it the next one's.
        let us = histogram.value_at_quantile((place + 0.5) / figure(self.count));
        ms(Duration::from_micros(us)).clamp(self.min(), self.max())
    }
}

/// As the summary counts time.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "exact up to 9e15")]
pub fn figure(count: u64) -> f64 {
    count as f64
}

impl Values {
    /// Of nothing yet.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(0),
            Kind::Gauge => Self::Gauge(None),
            Kind::Rate => Self::Rate { trues: 0, total: 0 },
            Kind::Trend => Self::Trend(Trend::default()),
        }
    }

    /// Adds to a counter, or sets a gauge.
    pub fn count(&mut self, number: u64) {
        match self {
            Self::Counter(sum) => *sum += number,
            Self::Gauge(seen) => {
                let [_, min, max] = seen.unwrap_or([number; 3]);
                *seen = Some([number, min.min(number), max.max(number)]);
            }
            Self::Rate { .. } | Self::Trend(_) => {}
        }
    }

    /// Adds to a rate.
    pub fn judge(&mut self, is_true: bool) {
        if let Self::Rate { trues, total } = self {
            *trues += u64::from(is_true);
            *total += 1;
        }
    }

    /// Adds to a distribution.
    pub fn time(&mut self, time: Duration) {
        if let Self::Trend(trend) = self {
            trend.add(time);
        }
    }

    /// Whether there is nothing yet.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Counter(sum) => *sum == 0,
            Self::Gauge(seen) => seen.is_none(),
            Self::Rate { total, .. } => *total == 0,
            Self::Trend(trend) => trend.count() == 0,
        }
    }

    /// One figure. `over` is the time in which it came about. What a series does not have is 0.
    pub fn figure(&self, method: Method, over: Duration) -> f64 {
        match (self, method) {
            (Self::Counter(sum), Method::Count) => figure(*sum),
            (Self::Counter(sum), Method::Rate) => per_second(*sum, over),
            (Self::Gauge(Some([value, ..])), Method::Value) => figure(*value),
            (Self::Rate { trues, total }, Method::Rate) if *total > 0 => {
                figure(*trues) / figure(*total)
            }
            (Self::Trend(trend), Method::Avg) => trend.avg(),
            (Self::Trend(trend), Method::Min) => trend.min(),
            (Self::Trend(trend), Method::Max) => trend.max(),
            (Self::Trend(trend), Method::Med) => trend.percentile(50.0),
            (Self::Trend(trend), Method::Percentile(percent)) => trend.percentile(percent),
            _ => 0.0,
        }
    }
}

/// So many in that time.
pub fn per_second(count: u64, over: Duration) -> f64 {
    if over.is_zero() {
        return 0.0;
    }
    figure(count) / over.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_knows_its_figures() {
        let mut trend = Trend::default();
        for n in 1..=1_000 {
            trend.add(Duration::from_millis(n));
        }
        assert!((trend.avg() - 500.5).abs() < 1e-9);
        assert!((trend.min() - 1.0).abs() < 1e-9 && (trend.max() - 1_000.0).abs() < 1e-9);
        for percent in [50.0, 90.0, 95.0, 99.9] {
            let off = trend.percentile(percent) / (percent * 10.0);
            assert!((off - 1.0).abs() < 0.002, "{percent}: {off}");
        }
        assert!((trend.percentile(100.0) - 1_000.0).abs() < 1e-9);
        assert!(Trend::default().percentile(95.0).abs() < 1e-9);
    }

    /// What k6 1.1 prints for the same values.
    #[test]
    fn few_times_are_interpolated() {
        let trend = |times: &[u64]| {
            let mut trend = Trend::default();
            for ms in times {
                trend.add(Duration::from_millis(*ms));
            }
            trend
        };
        let is = |times: &[u64], percent: f64, expected: f64| {
            let found = trend(times).percentile(percent);
            assert!(
                (found / expected - 1.0).abs() < 0.002,
                "p({percent}): {found}"
            );
        };
        let two = [[10_u64; 10], [110; 10]].concat();
        is(&two, 50.0, 60.0);
        is(&two, 90.0, 110.0);
        is(&[10, 20, 30, 40], 50.0, 25.0);
        is(&[10, 20, 30, 40], 90.0, 37.0);
        is(&[10, 20, 30], 50.0, 20.0);
        is(&[10, 20], 95.0, 19.5);
        is(&[10], 95.0, 10.0);
        is(&[10, 20], 0.0, 10.0);
    }

    #[test]
    fn what_is_out_of_bounds_is_kept() {
        let mut trend = Trend::default();
        trend.add(Duration::ZERO);
        trend.add(Duration::from_hours(24));
        trend.add(Duration::from_hours(24));
        assert!((trend.max() - 86_400_000.0).abs() < 1e-6);
        let p99 = trend.percentile(99.0);
        assert!((p99 / 86_400_000.0 - 1.0).abs() < 0.002, "{p99}");
    }

    #[test]
    fn a_gauge_remembers_its_bounds() {
        let mut gauge = Values::new(Kind::Gauge);
        for number in [3, 9, 4] {
            gauge.count(number);
        }
        assert!(matches!(gauge, Values::Gauge(Some([4, 3, 9]))));
    }
}
