//! The little statistics that the tests need: order statistics of durations, and how far a count, a mean or a distribution
//! may be off by chance.

use std::{fmt, time::Duration};

/// The smallest value that at least `percent` of the values do not exceed (nearest rank); zero when there are none.
pub fn percentile(values: &[Duration], percent: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank: between 0 and the number of values, which is far below 2^52"
    )]
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or_default()
}

/// The middle value; the lower one of two.
pub fn median(values: &[Duration]) -> Duration {
    percentile(values, 50.0)
}

/// The arithmetic mean; zero when there are no values.
pub fn mean(values: &[Duration]) -> Duration {
    let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
    values
        .iter()
        .sum::<Duration>()
        .checked_div(count)
        .unwrap_or_default()
}

/// How many of `n` independent trials of probability `p` may succeed, within `z` standard deviations of the mean
/// (normal approximation). At z = 5 chance alone is outside about once in 1.7 million runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Binomial {
    /// Number of trials.
    pub n: u64,
    /// Probability of each, 0 to 1.
    pub p: f64,
    /// Standard deviations to either side.
    pub z: f64,
}

impl Binomial {
    /// Lowest and highest count inside the bound.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of a test are far below 2^52, and clamped to 0..=n"
    )]
    pub fn bounds(&self) -> (u64, u64) {
        let n = self.n as f64;
        let (mean, spread) = (n * self.p, self.z * (n * self.p * (1.0 - self.p)).sqrt());
        (
            (mean - spread).floor().clamp(0.0, n) as u64,
            (mean + spread).ceil().clamp(0.0, n) as u64,
        )
    }

    /// Whether a count is inside the bound.
    pub fn contains(&self, count: u64) -> bool {
        let (low, high) = self.bounds();
        (low..=high).contains(&count)
    }
}

impl fmt::Display for Binomial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.bounds();
        write!(f, "n={} p={} z={}: {low}..={high}", self.n, self.p, self.z)
    }
}

/// Mean and spread of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// How many.
    pub n: f64,
    /// Their arithmetic mean.
    pub mean: f64,
    /// Their variance, as of a sample.
    pub variance: f64,
}

impl Sample {
    /// Of these; not a number where there are none.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        // Welford's way, which loses nothing to large sums.
        let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for value in values {
            n += 1.0;
            let off = value - mean;
            mean += off / n;
            squares += off * (value - mean);
        }
        Self {
            n,
            mean: if n > 0.0 { mean } else { f64::NAN },
            variance: squares / (n - 1.0),
        }
    }

    /// Of the mean, if the values are independent.
    pub fn standard_error(&self) -> f64 {
        (self.variance / self.n).sqrt()
    }
}

/// How far the distribution of `samples` is from `cdf` at most, and the bound that 1 in 1000 samples of that distribution
/// exceeds (Kolmogorov and Smirnov, for more than about 40 samples).
pub fn kolmogorov_smirnov(samples: &[f64], cdf: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.iter().fold(0.0, |count, _| count + 1.0);
    let (mut below, mut off) = (0.0, 0.0_f64);
    for &sample in &sorted {
        let expected = cdf(sample);
        off = off.max((expected - below / n).abs());
        below += 1.0;
        off = off.max((expected - below / n).abs());
    }
    (off, 1.949 / n.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_a_mean_and_an_error() {
        let sample = Sample::of([1.0, 2.0, 3.0, 4.0].into_iter());
        assert!((sample.mean - 2.5).abs() < 1e-12 && (sample.variance - 5.0 / 3.0).abs() < 1e-12);
        assert!((sample.standard_error() - 0.645_497).abs() < 1e-6);
    }

    #[test]
    fn a_distribution_is_told_from_another() {
        let even: Vec<f64> = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0).collect();
        let (off, bound) = kolmogorov_smirnov(&even, |x| x);
        assert!((off - 0.0005).abs() < 1e-9 && bound > 0.06, "{off} {bound}");
        let (off, _) = kolmogorov_smirnov(&even, |x| x * x);
        assert!((off - 0.25).abs() < 0.001, "{off}");
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(median(&values), Duration::from_millis(50));
        assert_eq!(percentile(&values, 99.0), Duration::from_millis(99));
        assert_eq!(percentile(&values, 100.0), Duration::from_millis(100));
        assert_eq!(percentile(&values, 0.0), Duration::from_millis(1));
        assert_eq!(mean(&values), Duration::from_micros(50_500));
        assert_eq!((median(&[]), mean(&[])), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn a_bound_says_what_it_is_made_of() {
        let loss = Binomial {
            n: 5000,
            p: 0.3,
            z: 4.0,
        };
        assert_eq!(loss.to_string(), "n=5000 p=0.3 z=4: 1370..=1630");
        assert!(loss.contains(1500) && !loss.contains(1300));
        assert_eq!(
            Binomial {
                n: 10,
                p: 1.0,
                z: 5.0
            }
            .bounds(),
            (10, 10)
        );
    }
}
