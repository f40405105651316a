//! Distributions of delays as tables of quantiles, which a program draws from in constant time.

use std::time::Duration;

use chaos_abi::rule::{QUANTILE_STEPS, Quantiles};
use statrs::distribution::{ContinuousCDF, Normal};

use super::clock::nanoseconds;
use crate::engine::{Delay, Distribution};

/// The first and the last quantile of a distribution without bounds: half a step inwards would cut its tails at 1/2048,
/// this does so at 1/16384.
const OUTERMOST: f64 = 1.0 / 16_384.0;
/// Shape of the Pareto distribution: that of netem.
const PARETO_SHAPE: f64 = 3.0;
/// Share of the normal quantile in the mixed distribution: that of netem.
const NORMAL_SHARE: f64 = 0.25;

/// The table that a delay is drawn from; nothing where the program computes it.
pub(super) fn table(delay: &Delay) -> Option<Quantiles> {
    let around: fn(f64) -> f64 = match &delay.distribution {
        Distribution::Uniform => return None,
        Distribution::Measured(quantiles) => return Some(evenly(quantiles)),
        Distribution::Normal => normal,
        Distribution::Pareto => pareto,
        Distribution::ParetoNormal => pareto_normal,
    };
    let (middle, spread) = (delay.latency.as_secs_f64(), delay.jitter.as_secs_f64());
    let mut ns = [0; QUANTILE_STEPS + 1];
    for (step, ns) in ns.iter_mut().enumerate() {
        let share = share(step).clamp(OUTERMOST, 1.0 - OUTERMOST);
        let seconds = middle + spread * around(share);
        *ns = Duration::try_from_secs_f64(seconds.max(0.0)).map_or(0, nanoseconds);
    }
    Some(Quantiles { ns })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a step is a number of eleven bits"
)]
fn share(step: usize) -> f64 {
    step as f64 / QUANTILE_STEPS as f64
}

fn normal(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

/// Of mean 0 and standard deviation 1.
fn pareto(share: f64) -> f64 {
    let mean = PARETO_SHAPE / (PARETO_SHAPE - 1.0);
    let variance = PARETO_SHAPE / ((PARETO_SHAPE - 1.0).powi(2) * (PARETO_SHAPE - 2.0));
    ((1.0 - share).powf(-1.0 / PARETO_SHAPE) - mean) / variance.sqrt()
}

fn pareto_normal(share: f64) -> f64 {
    NORMAL_SHARE * normal(share) + (1.0 - NORMAL_SHARE) * pareto(share)
}

/// As many quantiles as a table has, from fewer: evenly between two.
fn evenly(given: &[u64]) -> Quantiles {
    let mut ns = [0; QUANTILE_STEPS + 1];
    let gaps = given.len().saturating_sub(1);
    for (step, ns) in ns.iter_mut().enumerate() {
        let (index, rest) = (step * gaps / QUANTILE_STEPS, step * gaps % QUANTILE_STEPS);
        let low = given.get(index).copied().unwrap_or_default();
        let high = given.get(index + 1).copied().unwrap_or(low);
        let part = u128::from(high.saturating_sub(low)) * rest as u128 / QUANTILE_STEPS as u128;
        *ns = low + u64::try_from(part).unwrap_or_default();
    }
    Quantiles { ns }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Ppm;

    fn delay(distribution: Distribution) -> Delay {
        Delay {
            latency: Duration::from_millis(100),
            jitter: Duration::from_millis(10),
            distribution,
            correlation: Ppm::NONE,
            reorder: false,
            ramp: None,
        }
    }

    fn at(table: &Quantiles, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share"
        )]
        let step = (share * 1024.0) as usize;
        #[expect(clippy::cast_precision_loss, reason = "a delay")]
        let ms = table.ns[step] as f64 / 1e6;
        ms
    }

    #[test]
    fn normal_has_the_quantiles_of_the_books() {
        let table = table(&delay(Distribution::Normal)).unwrap();
        assert!((at(&table, 0.5) - 100.0).abs() < 0.001);
        // Phi(1) = 0.8413, and 861.5 / 1024 = 0.8413.
        assert!((at(&table, 0.8413) - 110.0).abs() < 0.1);
        assert!(at(&table, 0.0) > 60.0 && at(&table, 1.0) < 140.0);
        assert!(table.ns.is_sorted());
    }

    #[test]
    fn pareto_has_the_asked_mean_and_deviation() {
        let shares = (0..100_000).map(|i| (f64::from(i) + 0.5) / 100_000.0);
        let values: Vec<f64> = shares.map(pareto).collect();
        let mean = values.iter().sum::<f64>() / 100_000.0;
        let variance = values.iter().map(|value| value.powi(2)).sum::<f64>() / 100_000.0;
        // The tail beyond 1 - 1/200,000, which this sum leaves out, carries 4 % of the variance.
        assert!(
            mean.abs() < 0.001 && (variance - 0.96).abs() < 0.01,
            "{mean} {variance}"
        );
        // Its least value is 1: below the mean by 0.5 / 0.866 deviations.
        let table = table(&delay(Distribution::Pareto)).unwrap();
        assert!((at(&table, 0.0) - (100.0 - 5.7735)).abs() < 0.01);
    }

    #[test]
    fn no_delay_is_negative() {
        let mut wide = delay(Distribution::Normal);
        wide.jitter = wide.latency;
        let table = table(&wide).unwrap();
        assert_eq!(table.ns[0], 0);
    }

    #[test]
    fn measured_values_are_met_where_they_were_given() {
        let table = evenly(&[1000, 2000, 10_000]);
        assert_eq!(
            (table.ns[0], table.ns[256], table.ns[512], table.ns[1024]),
            (1000, 1500, 2000, 10_000)
        );
        assert_eq!(evenly(&[5, 5]).ns, [5; 1025]);
    }
}
