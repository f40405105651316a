//! Times as the reference writes them.

use jiff::Timestamp;

/// A moment, by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Stamp(Timestamp);

impl Stamp {
    pub(crate) fn now() -> Self {
        Self(Timestamp::now())
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Seconds since then, with the microseconds that the text has.
    pub(crate) fn until(self, end: Self) -> f64 {
        let micros = end.0.as_microsecond() - self.0.as_microsecond();
        #[expect(
            clippy::cast_precision_loss,
            reason = "2^53 microseconds are 285 years"
        )]
        let micros = micros as f64;
        micros / 1e6
    }

    /// As Python's `isoformat`.
    pub(crate) fn text(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_python_does_and_read_again() {
        let stamp = Stamp::read("2026-11-22T18:47:01.000250+00:00").unwrap();
        assert_eq!(stamp.text(), "2026-11-22T18:47:01.000250+00:00");
        let later = Stamp::read("2026-11-22T18:47:02.000252+00:00").unwrap();
        assert!((stamp.until(later) - 1.000_002).abs() < 1e-9);
    }
}
