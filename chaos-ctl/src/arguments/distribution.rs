//! Distributions of a delay: by name, or measured latencies from a file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chaos_proto::v1;

use crate::quantity::{InvalidQuantity, Problem, sample};

/// How delays are distributed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distribution {
    /// One that the agent knows.
    Named(v1::Distribution),
    /// Measured latencies.
    File(PathBuf),
}

/// Quantiles that a delay can have.
const QUANTILES: u32 = 1025;

/// Reads a name; anything else is a file.
pub fn distribution(text: &str) -> Result<Distribution, InvalidQuantity> {
    Ok(Distribution::Named(match text {
        "uniform" => v1::Distribution::Uniform,
        "normal" => v1::Distribution::Normal,
        "pareto" => v1::Distribution::Pareto,
        "paretonormal" => v1::Distribution::Paretonormal,
        "" => {
            return Err(InvalidQuantity {
                name: "distribution",
                value: String::new(),
                problem: Problem::Empty,
                accepted: "give uniform, normal, pareto, paretonormal or a file of latencies",
            });
        }
        file => return Ok(Distribution::File(file.into())),
    }))
}

/// A file of latencies that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DistributionError {
    /// It cannot be read.
    #[error(
        "cannot read the distribution {}: {source}; by name there are uniform, normal, pareto and paretonormal",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has no latency.
    #[error(
        "the distribution {} has no latency: write one in each line, such as 12.5ms, or a latency and how often it was seen",
        path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line that is none.
    #[error("the distribution {}, line {line}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        source: InvalidQuantity,
    },
}

/// Evenly spaced quantiles of the latencies in a file, in nanoseconds: the first is the shortest, the last the longest.
///
/// Always as many as there can be: between two of them the agent interpolates, and a few far apart would become delays
/// that nobody measured.
pub fn quantiles(path: &Path) -> Result<Vec<u64>, DistributionError> {
    let text = std::fs::read_to_string(path).map_err(|source| DistributionError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut samples = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (latency, count) = sample(line).map_err(|source| DistributionError::Line {
            path: path.to_owned(),
            line: index + 1,
            source,
        })?;
        samples.push(Samples { latency, count });
    }
    samples.retain(|samples| samples.count > 0);
    if samples.is_empty() {
        return Err(DistributionError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(reduce(samples))
}

/// A latency that was seen so many times.
struct Samples {
    latency: Duration,
    count: u64,
}

fn reduce(mut samples: Vec<Samples>) -> Vec<u64> {
    samples.sort_by_key(|samples| samples.latency);
    let total: u128 = samples
        .iter()
        .map(|samples| u128::from(samples.count))
        .sum();
    let quantiles = u128::from(QUANTILES);
    let mut found = Vec::new();
    // Places only rise, and so do the samples: one pass.
    let mut later = samples.iter();
    let mut current = later.next();
    let mut before: u128 = 0;
    for number in 0..quantiles {
        // The place among all samples in order, from 0: each quantile stands for as many of them as any other.
        let place = match number {
            0 => 0,
            number if number + 1 == quantiles => total - 1,
            number => (2 * number + 1) * total / (2 * quantiles),
        };
        while let Some(samples) = current
            && place >= before + u128::from(samples.count)
        {
            before += u128::from(samples.count);
            current = later.next();
        }
        if let Some(samples) = current {
            found.push(u64::try_from(samples.latency.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<u64>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("latencies");
        std::fs::write(&path, text).unwrap();
        quantiles(&path).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    #[test]
    fn names_are_names_and_the_rest_are_files() {
        let named = Distribution::Named(v1::Distribution::Pareto);
        assert_eq!(distribution("pareto"), Ok(named));
        let file = Distribution::File("latencies.txt".into());
        assert_eq!(distribution("latencies.txt"), Ok(file));
        assert!(distribution("").is_err());
    }

    #[test]
    fn few_samples_are_repeated_equally_often() {
        let text = "# from production\n\n3ms\n1ms # the best\n  2500us\n1ms\n";
        let quantiles = of(text).unwrap();
        assert_eq!(quantiles.len(), 1025);
        assert!(quantiles.is_sorted());
        let of = |ns: u64| quantiles.iter().filter(|one| **one == ns).count();
        assert_eq!(
            (of(1_000_000), of(2_500_000), of(3_000_000)),
            (512, 257, 256)
        );
        assert_eq!(super::tests::of("7ms"), Ok(vec![7_000_000; 1025]));
        let ends = super::tests::of("0ms\n7ms").unwrap();
        assert_eq!((ends.first(), ends.last()), (Some(&0), Some(&7_000_000)));
    }

    #[test]
    fn many_samples_become_their_quantiles() {
        let lines: Vec<_> = (0..=2048).rev().map(|ms| format!("{ms}ms")).collect();
        let quantiles = of(&lines.join("\n")).unwrap();
        assert_eq!(quantiles.len(), 1025);
        for (ms, quantile) in (0..).step_by(2).zip(&quantiles) {
            assert_eq!(*quantile, ms * 1_000_000);
        }
    }

    #[test]
    fn a_histogram_counts() {
        let quantiles = of("# latency  count\n1ms 900\n10ms\t90\n100ms, 10\n2ms 0\n").unwrap();
        let of = |ms: u64| quantiles.iter().filter(|ns| **ns == ms * 1_000_000).count();
        // 0.9, 0.09 and 0.01 of 1025.
        assert_eq!((of(1), of(10), of(100), of(2)), (922, 93, 10, 0));
        let many = super::tests::of("1ms 900000000000\n100ms 100000000000\n").unwrap();
        assert_eq!(many.len(), 1025);
        let short = many.iter().filter(|ns| **ns == 1_000_000).count();
        // 9 of 10: 922.5 of 1025.
        assert!((922..=923).contains(&short), "{short}");
        assert_eq!(many.last(), Some(&100_000_000));
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for (text, said) in [
            ("", "the distribution FILE has no latency: "),
            ("# nothing\n", "the distribution FILE has no latency: "),
            ("1ms 0\n", "the distribution FILE has no latency: "),
            (
                "1ms\n12.5\n",
                "the distribution FILE, line 2: latency `12.5` has no unit: ",
            ),
            (
                "12.5 ms",
                "the distribution FILE, line 1: latency `12.5` has no unit: ",
            ),
            (
                "-1ms",
                "the distribution FILE, line 1: latency `-1ms` is negative: ",
            ),
            (
                "1ms 2 3",
                "the distribution FILE, line 1: line `1ms 2 3` is not one: ",
            ),
            (
                "1ms x",
                "the distribution FILE, line 1: count `x` is not one: ",
            ),
            (
                "1ms -2",
                "the distribution FILE, line 1: count `-2` is negative: ",
            ),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        let missing = quantiles(Path::new("/nonexistent/paret")).unwrap_err();
        assert!(missing.to_string().contains("by name there are uniform"));
    }
}
