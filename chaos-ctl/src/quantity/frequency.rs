//! How often something happens: `20/s`, `1200/m`, `1/500ms`.

use std::time::Duration;

use super::time::nanoseconds;
use super::{InvalidQuantity, Problem};

const ACCEPTED: &str = "give a whole number above 0 and a time, such as 20/s, 1200/m or 1/500ms";
/// More is not one process's to send.
const MOST_PER_SECOND: u128 = 100_000;

/// So many in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frequency {
    /// How many; above zero.
    pub count: u32,
    /// In which time; above zero.
    pub per: Duration,
}

impl Frequency {
    /// When the one of that number is due, counted from 0: exact to the nanosecond, however many there were.
    pub fn due(self, index: u64) -> Duration {
        let ns = u128::from(index) * self.per.as_nanos() / u128::from(self.count);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// How many are due before that.
    pub fn count_in(self, time: Duration) -> u64 {
        let count = (time.as_nanos() * u128::from(self.count)).div_ceil(self.per.as_nanos().max(1));
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// Reads a frequency: above zero, at most 100,000 a second.
pub fn frequency(text: &str) -> Result<Frequency, InvalidQuantity> {
    let read = || {
        let (count, per) = text.split_once('/').ok_or(match text {
            "" => Problem::Empty,
            _ => Problem::NoUnit,
        })?;
        let count = super::number::digits(count.trim())?;
        if count == 0 {
            return Err(Problem::Zero);
        }
        let per = per.trim();
        let starts_with_unit = per.starts_with(|c: char| c.is_ascii_alphabetic());
        let ns = if starts_with_unit {
            nanoseconds(&format!("1{per}"))?
        } else {
            nanoseconds(per)?
        };
        let per = u64::try_from(ns).map_err(|_| Problem::TooLarge)?;
        if per == 0 {
            return Err(Problem::Zero);
        }
        if u128::from(count) * 1_000_000_000 > MOST_PER_SECOND * u128::from(per) {
            return Err(Problem::Unfit("is more than 100000/s"));
        }
        let per = Duration::from_nanos(per);
        Ok(Frequency { count, per })
    };
    read().map_err(|problem| InvalidQuantity::new("rate", text, problem, ACCEPTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_are_read() {
        let per = |count, ms| {
            let per = Duration::from_millis(ms);
            Ok(Frequency { count, per })
        };
        assert_eq!(frequency("20/s"), per(20, 1_000));
        assert_eq!(frequency("1200/m"), per(1_200, 60_000));
        assert_eq!(frequency("1/500ms"), per(1, 500));
        assert_eq!(frequency("3 / 2s"), per(3, 2_000));
        for (text, problem) in [
            ("", Problem::Empty),
            ("20", Problem::NoUnit),
            ("0/s", Problem::Zero),
            ("5/0s", Problem::Zero),
            ("-5/s", Problem::Negative),
            ("2.5/s", Problem::Malformed),
            ("x/s", Problem::Malformed),
            (
                "5/parsec",
                Problem::UnknownUnit {
                    unit: "parsec".to_owned(),
                },
            ),
            ("200000/s", Problem::Unfit("is more than 100000/s")),
        ] {
            let read = frequency(text).map_err(|error| error.problem);
            assert_eq!(read, Err(problem), "{text}");
        }
    }

    #[test]
    fn a_long_load_does_not_drift() {
        let third = frequency("3/s").unwrap();
        assert_eq!(third.due(0), Duration::ZERO);
        assert_eq!(third.due(3_000_000), Duration::from_secs(1_000_000));
        let twenty = frequency("20/s").unwrap();
        assert_eq!(twenty.count_in(Duration::from_secs(30)), 600);
        assert_eq!(twenty.count_in(Duration::from_millis(51)), 2);
        assert_eq!(twenty.count_in(Duration::ZERO), 0);
    }
}
