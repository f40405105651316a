//! Amounts that change evenly until they are what they are to be.

use std::{ops::RangeInclusive, time::Duration};

use super::{error::SpecError, fault::Ppm};

/// How long a ramp may take.
const RAMPS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(24);

/// How an amount begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp<T> {
    /// At the beginning.
    pub from: T,
    /// How long it takes until it is what it is to be.
    pub over: Duration,
}

/// A share of packets, questions or connections, which may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// What it is, or becomes.
    pub ppm: Ppm,
    /// How it begins.
    pub ramp: Option<Ramp<Ppm>>,
}

pub(super) fn check(over: Duration) -> Result<(), SpecError> {
    if !RAMPS.contains(&over) {
        return Err(SpecError::Ramp);
    }
    Ok(())
}

impl Default for Share {
    fn default() -> Self {
        Self::ALL
    }
}

impl Share {
    /// The whole, all the time.
    pub const ALL: Self = Self::of(Ppm::ALL);

    /// The same all the time.
    pub const fn of(ppm: Ppm) -> Self {
        Self { ppm, ramp: None }
    }

    /// Above 0 at one end, and at most the whole; `what` it is a share of, for the sentence.
    pub(super) fn check(self, what: &'static str) -> Result<(), SpecError> {
        let Some(Ramp { from, over }) = self.ramp else {
            return self.ppm.check(what);
        };
        check(over)?;
        Ppm(self.ppm.0.max(from.0)).check(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_changes_is_something_at_one_end() {
        let share = |from, to, ms| Share {
            ppm: Ppm(to),
            ramp: Some(Ramp {
                from: Ppm(from),
                over: Duration::from_millis(ms),
            }),
        };
        for (from, to) in [(0, 1), (1, 0), (1_000_000, 1_000_000)] {
            assert_eq!(share(from, to, 1).check("x"), Ok(()));
        }
        let wrong = |ppm| Err(SpecError::Share { what: "x", ppm });
        assert_eq!(share(0, 0, 1).check("x"), wrong(0));
        assert_eq!(share(1_000_001, 1, 1).check("x"), wrong(1_000_001));
        assert_eq!(share(0, 1, 0).check("x"), Err(SpecError::Ramp));
        assert_eq!(share(0, 1, 86_400_001).check("x"), Err(SpecError::Ramp));
        assert_eq!(Share::of(Ppm::NONE).check("x"), wrong(0));
    }
}
