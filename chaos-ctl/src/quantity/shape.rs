//! Changes over time: a pulse `2s/8s`, a ramp `0..200ms/30s`.

use std::time::Duration;

use super::time::nanoseconds;
use super::{InvalidQuantity, Problem};

const PULSE: &str = "give how long the fault is on and then off, such as 2s/8s or 500ms/500ms";
const RAMP: &str =
    "give the first and the last latency and how long it takes, such as 0..200ms/30s";

/// On and off by turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// How long the fault acts in each period.
    pub on: Duration,
    /// How long it then does not.
    pub off: Duration,
}

/// A latency that changes evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp {
    /// The first latency.
    pub from: Duration,
    /// The last.
    pub to: Duration,
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
pub fn ramp(text: &str) -> Result<Ramp, InvalidQuantity> {
    let read = || {
        let (latencies, over) = text.rsplit_once('/').ok_or_else(|| malformed(text))?;
        let (from, to) = latencies.split_once("..").ok_or(Problem::Malformed)?;
        Ok(Ramp {
            from: or_zero(from)?,
            to: or_zero(to)?,
            over: above_zero(over)?,
        })
    };
    read().map_err(|problem| InvalidQuantity::new("ramp", text, problem, RAMP))
}

fn malformed(text: &str) -> Problem {
    if text.is_empty() {
        Problem::Empty
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
        assert_eq!(ramp("0..200ms/30s"), all(ms(0), ms(200), ms(30_000)));
        assert_eq!(ramp("0ms..200ms/30s"), all(ms(0), ms(200), ms(30_000)));
        assert_eq!(ramp("1.5s..20ms/1m"), all(ms(1500), ms(20), ms(60_000)));
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
            assert_eq!(ramp(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
    }
}
