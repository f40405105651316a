//! Changes over time: a pulse `2s/8s`, ramps `0..200ms/30s`, `0%..30%/1m` and `10mbit..1mbit/30s`.

use std::time::Duration;

use super::rate::bytes_per_second;
use super::share::{self, Share};
use super::time::nanoseconds;
use super::{InvalidQuantity, Problem};

const PULSE: &str = "give how long the fault is on and then off, such as 2s/8s or 500ms/500ms";
const LATENCY_RAMP: &str =
    "give the first and the last latency and how long it takes, such as 0..200ms/30s";
const SHARE_RAMP: &str =
    "give the first and the last percentage and how long it takes, such as 0%..30%/1m";
const RATE_RAMP: &str =
    "give the first and the last bandwidth and how long it takes, such as 10mbit..1mbit/30s";

/// On and off by turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// How long the fault acts in each period.
    pub on: Duration,
    /// How long it then does not.
    pub off: Duration,
}

/// An amount that changes evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp<T> {
    /// The first.
    pub from: T,
    /// The last.
    pub to: T,
    /// How long it takes.
    pub over: Duration,
}

/// Reads `ON/OFF`: both above zero.
pub fn pulse(text: &str) -> Result<Pulse, InvalidQuantity> {
    let read = || {
        let (on, off) = text.split_once('/').ok_or_else(|| malformed(text))?;
        Ok(Pulse {
            on: above_zero(on)?,
            off: above_zero(off)?,
        })
    };
    read().map_err(|problem| InvalidQuantity::new("pulse", text, problem, PULSE))
}

/// Reads `FROM..TO/TIME`: a latency may be zero, and is then written without a unit if one likes.
pub fn latency_ramp(text: &str) -> Result<Ramp<Duration>, InvalidQuantity> {
    ramp(text, LATENCY_RAMP, or_zero)
}

/// Reads `FROM..TO/TIME`: percentages, with or without their sign, which may be zero.
pub fn share_ramp(text: &str) -> Result<Ramp<Share>, InvalidQuantity> {
    ramp(text, SHARE_RAMP, share::or_nothing)
}

/// Reads `FROM..TO/TIME`: bandwidths in bytes a second, above zero.
pub fn rate_ramp(text: &str) -> Result<Ramp<u64>, InvalidQuantity> {
    ramp(text, RATE_RAMP, bytes_per_second)
}

fn ramp<T>(
    text: &str,
    accepted: &'static str,
    amount: fn(&str) -> Result<T, Problem>,
) -> Result<Ramp<T>, InvalidQuantity> {
    let read = || {
        // A bandwidth may have a `/` of its own.
        let (amounts, over) = text.rsplit_once('/').ok_or_else(|| malformed(text))?;
        let (from, to) = amounts.split_once("..").ok_or(Problem::Malformed)?;
        Ok(Ramp {
            from: amount(from)?,
            to: amount(to)?,
            over: above_zero(over)?,
        })
    };
    read().map_err(|problem| InvalidQuantity::new("ramp", text, problem, accepted))
}

fn malformed(text: &str) -> Problem {
    if text.is_empty() {
        Problem::Empty
    } else if text.starts_with(['-', '−']) {
        Problem::Negative
    } else {
        Problem::Malformed
    }
}

fn or_zero(text: &str) -> Result<Duration, Problem> {
    match text {
        "0" => Ok(Duration::ZERO),
        text => time(text),
    }
}

fn above_zero(text: &str) -> Result<Duration, Problem> {
    match time(text)? {
        Duration::ZERO => Err(Problem::Zero),
        time => Ok(time),
    }
}

fn time(text: &str) -> Result<Duration, Problem> {
    let ns = nanoseconds(text)?;
    u64::try_from(ns)
        .map(Duration::from_nanos)
        .map_err(|_| Problem::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn pulses_have_two_times() {
        let both = |on, off| Ok(Pulse { on, off });
        assert_eq!(pulse("2s/8s"), both(ms(2000), ms(8000)));
        assert_eq!(pulse("1ms/1m30s"), both(ms(1), ms(90_000)));
        for (text, problem) in [
            ("", Problem::Empty),
            ("2s", Problem::Malformed),
            ("2s/", Problem::Empty),
            ("2/8", Problem::NoUnit),
            ("0s/8s", Problem::Zero),
            ("2s/0s", Problem::Zero),
            ("-2s/8s", Problem::Negative),
            (
                "2s/8s/2s",
                Problem::UnknownUnit {
                    unit: "s/".to_owned(),
                },
            ),
        ] {
            assert_eq!(pulse(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
    }

    #[test]
    fn ramps_go_from_one_latency_to_another() {
        let all = |from, to, over| Ok(Ramp { from, to, over });
        assert_eq!(
            latency_ramp("0..200ms/30s"),
            all(ms(0), ms(200), ms(30_000))
        );
        assert_eq!(
            latency_ramp("0ms..200ms/30s"),
            all(ms(0), ms(200), ms(30_000))
        );
        assert_eq!(
            latency_ramp("1.5s..20ms/1m"),
            all(ms(1500), ms(20), ms(60_000))
        );
        for (text, problem) in [
            ("", Problem::Empty),
            ("200ms", Problem::Malformed),
            ("0..200ms", Problem::Malformed),
            ("200ms/30s", Problem::Malformed),
            ("0-200ms/30s", Problem::Malformed),
            ("0..200/30s", Problem::NoUnit),
            ("10..200ms/30s", Problem::NoUnit),
            ("0..200ms/0s", Problem::Zero),
            ("0..-200ms/30s", Problem::Negative),
            ("..200ms/30s", Problem::Empty),
        ] {
            assert_eq!(
                latency_ramp(text).map_err(|e| e.problem),
                Err(problem),
                "{text}"
            );
        }
    }

    #[test]
    fn ramps_go_from_one_percentage_to_another() {
        let of = |text: &str| {
            let ramp = share_ramp(text).map_err(|error| error.problem)?;
            Ok((ramp.from.ppm(), ramp.to.ppm(), ramp.over))
        };
        assert_eq!(of("0%..30%/1m"), Ok((0, 300_000, ms(60_000))));
        assert_eq!(of("100..0.5/30s"), Ok((1_000_000, 5_000, ms(30_000))));
        for (text, problem) in [
            ("", Problem::Empty),
            ("30%", Problem::Malformed),
            ("-1", Problem::Negative),
            ("30%/1m", Problem::Malformed),
            ("0..30%", Problem::Malformed),
            ("0..30%/", Problem::Empty),
            ("0..101%/1m", Problem::TooLarge),
            ("0..30%/1", Problem::NoUnit),
            ("-1%..30%/1m", Problem::Negative),
            ("0..30%/-1m", Problem::Negative),
            ("0..30ms/1m", Problem::Malformed),
        ] {
            assert_eq!(of(text), Err(problem), "{text}");
        }
    }

    #[test]
    fn ramps_go_from_one_bandwidth_to_another() {
        let of = |text: &str| {
            let ramp = rate_ramp(text).map_err(|error| error.problem)?;
            Ok((ramp.from, ramp.to, ramp.over))
        };
        let expected = Ok((1_250_000, 125_000, ms(30_000)));
        assert_eq!(of("10mbit..1mbit/30s"), expected);
        assert_eq!(of("1.25MB/s..1mbit/s/30s"), expected);
        for (text, problem) in [
            ("", Problem::Empty),
            ("10mbit", Problem::Malformed),
            ("10mbit..1mbit", Problem::Malformed),
            ("10..1mbit/30s", Problem::NoUnit),
            ("0..1mbit/30s", Problem::Zero),
            ("10mbit..0bit/30s", Problem::Zero),
            ("10mbit..-1mbit/30s", Problem::Negative),
            ("10mbit..1mbit/30", Problem::NoUnit),
        ] {
            assert_eq!(of(text), Err(problem), "{text}");
        }
    }
}
