//! Lengths of time: `100ms`, `0.5ms`, `250us`, `1m30s`.

use std::time::Duration;

use super::{InvalidQuantity, Problem};

const UNITS: [(&str, u128); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

const LATENCY: &str =
    "give a number above 0 with its unit (ns, us, ms, s, m or h), such as 100ms, 0.5ms or 1.5s";
const DURATION: &str =
    "give a number above 0 with its unit (ns, us, ms, s, m or h), such as 30s, 1m30s or 500ms";
const OR_ZERO: &str =
    "give a number, 0 or above, with its unit (ns, us, ms, s, m or h), such as 20ms, 0s or 1.5s";

/// Reads a latency: above zero, exact to the nanosecond.
pub fn latency(text: &str) -> Result<Duration, InvalidQuantity> {
    read("latency", LATENCY, text, false)
}

/// Reads the duration of an experiment: above zero.
pub fn duration(text: &str) -> Result<Duration, InvalidQuantity> {
    read("duration", DURATION, text, false)
}

/// Reads a jitter: zero or above.
pub fn jitter(text: &str) -> Result<Duration, InvalidQuantity> {
    read("jitter", OR_ZERO, text, true)
}

/// Reads the time for which `reorder` holds a packet: above zero.
pub fn by(text: &str) -> Result<Duration, InvalidQuantity> {
    read("time by which packets are held back", LATENCY, text, false)
}

/// Reads a grace period: zero or above.
pub fn grace(text: &str) -> Result<Duration, InvalidQuantity> {
    read("grace period", OR_ZERO, text, true)
}

/// Reads how long an answer may be kept: zero or above.
pub fn ttl(text: &str) -> Result<Duration, InvalidQuantity> {
    read("time to live", OR_ZERO, text, true)
}

/// Whether an argument is a value with a minus sign in front, and not an option.
pub fn looks_negative(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}

pub(super) fn is_unit(text: &str) -> bool {
    UNITS.iter().any(|(unit, _)| *unit == text)
}

fn read(
    name: &'static str,
    accepted: &'static str,
    text: &str,
    zero: bool,
) -> Result<Duration, InvalidQuantity> {
    nanoseconds(text)
        .and_then(|ns| {
            if ns == 0 && !zero {
                return Err(Problem::Zero);
            }
            // What the wire can carry is far more than 584 years; what prints without surprise is not.
            u64::try_from(ns)
                .map(Duration::from_nanos)
                .map_err(|_| Problem::TooLarge)
        })
        .map_err(|problem| InvalidQuantity::new(name, text, problem, accepted))
}

pub(super) fn nanoseconds(text: &str) -> Result<u128, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if text.starts_with(['-', '−']) {
        return Err(Problem::Negative);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    let mut smallest = u128::MAX;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, |c| !(c.is_ascii_digit() || c == '.'));
        if number.is_empty() {
            return Err(Problem::NotANumber);
        }
        let ns_per_unit = if unit.is_empty() {
            // `0` is a number without a unit too, but what is wrong with it first is that it is nothing.
            return Err(if number.chars().all(|c| matches!(c, '0' | '.')) {
                Problem::Zero
            } else {
                Problem::NoUnit
            });
        } else {
            UNITS
                .iter()
                .find(|(known, _)| *known == unit)
                .map(|(_, ns)| *ns)
                .ok_or_else(|| Problem::UnknownUnit {
                    unit: unit.to_owned(),
                })?
        };
        if ns_per_unit >= smallest {
            return Err(Problem::OutOfOrder);
        }
        smallest = ns_per_unit;
        let ns = scaled(number, ns_per_unit, "a nanosecond")?;
        total = total.checked_add(ns).ok_or(Problem::TooLarge)?;
        rest = after;
    }
    Ok(total)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// `number * scale` for a decimal number, exactly.
pub(super) fn scaled(number: &str, scale: u128, step: &'static str) -> Result<u128, Problem> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty())
        || !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit())
    {
        return Err(Problem::NotANumber);
    }
    let parse = |digits: &str| match digits {
        "" => Ok(0),
        some => some.parse::<u128>().map_err(|_| Problem::TooLarge),
    };
    let whole = parse(whole)?.checked_mul(scale).ok_or(Problem::TooLarge)?;
    let fraction = fraction.trim_end_matches('0');
    let too_fine = Problem::TooFine { step };
    // 10^20 times the largest scale still fits; whoever needs more digits asks for less than any step.
    if fraction.len() > 20 {
        return Err(too_fine);
    }
    let parts = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let fraction = parse(fraction)?
        .checked_mul(scale)
        .ok_or(Problem::TooLarge)?;
    if fraction % parts != 0 {
        return Err(too_fine);
    }
    whole.checked_add(fraction / parts).ok_or(Problem::TooLarge)
}

/// A length of time as a person writes it: `100 ms`, `1.5 s`, `2 min 30 s`.
pub fn time_in_words(time: Duration) -> String {
    let ns = time.as_nanos();
    if ns == 0 {
        return "0 s".to_owned();
    }
    if ns >= 60_000_000_000 {
        return long(time);
    }
    let (unit, per_unit) = match ns {
        0..1_000 => ("ns", 1),
        1_000..1_000_000 => ("us", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        1_000_000_000.. => ("s", 1_000_000_000),
    };
    format!("{} {unit}", decimal(ns, per_unit))
}

fn long(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let rest_ns = time.as_nanos() - u128::from(minutes) * 60_000_000_000;
    let parts = [
        ((minutes / 60).to_string(), "h"),
        ((minutes % 60).to_string(), "min"),
        (decimal(rest_ns, 1_000_000_000), "s"),
    ];
    parts
        .iter()
        .filter(|(value, _)| value != "0")
        .map(|(value, unit)| format!("{value} {unit}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// `value / per_unit` without trailing zeros; `per_unit` is a power of ten.
pub(super) fn decimal(value: u128, per_unit: u128) -> String {
    let digits = per_unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", value / per_unit, value % per_unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A length of time from the wire; absent or negative ones count as zero.
pub fn from_wire(duration: Option<&prost_types::Duration>) -> Duration {
    duration
        .and_then(|duration| Duration::try_from(*duration).ok())
        .unwrap_or_default()
}

/// From and to in one unit where they share it: `80 to 120 ms`.
pub fn interval(from: Duration, to: Duration) -> String {
    let (from, to) = (time_in_words(from), time_in_words(to));
    if from == to {
        return to;
    }
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((number, left)), Some((_, right))) if left == right => format!("{number} to {to}"),
        _ => format!("{from} to {to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_values_are_read() {
        for (text, ns) in [
            ("100ms", 100_000_000),
            ("0.5ms", 500_000),
            (".5ms", 500_000),
            ("250us", 250_000),
            ("250µs", 250_000),
            ("0.1s", 100_000_000),
            ("1.5s", 1_500_000_000),
            ("1m", 60_000_000_000),
            ("1.5m", 90_000_000_000),
            ("0.1m", 6_000_000_000),
            ("0.25h", 900_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("500ns", 500),
            ("0.000000001s", 1),
            ("1.500000000000s", 1_500_000_000),
        ] {
            assert_eq!(latency(text), Ok(Duration::from_nanos(ns)), "{text}");
        }
        assert_eq!(jitter("0ms"), Ok(Duration::ZERO));
        assert_eq!(grace("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused() {
        let unit = |unit: &str| Problem::UnknownUnit {
            unit: unit.to_owned(),
        };
        let fine = Problem::TooFine {
            step: "a nanosecond",
        };
        for (text, problem) in [
            ("", Problem::Empty),
            ("-5ms", Problem::Negative),
            ("−5ms", Problem::Negative),
            ("-0s", Problem::Negative),
            ("0ms", Problem::Zero),
            ("0.0s", Problem::Zero),
            ("0", Problem::Zero),
            ("100", Problem::NoUnit),
            ("1m30", Problem::NoUnit),
            ("100parsecs", unit("parsecs")),
            ("100MS", unit("MS")),
            ("1d", unit("d")),
            ("100 ms", unit(" ms")),
            ("1e3ms", unit("e")),
            ("1,5s", unit(",")),
            ("ms", Problem::NotANumber),
            ("+5ms", Problem::NotANumber),
            ("NaN", Problem::NotANumber),
            ("1.2.3s", Problem::NotANumber),
            (".s", Problem::NotANumber),
            ("30s1m", Problem::OutOfOrder),
            ("1s1s", Problem::OutOfOrder),
            ("0.5ns", fine.clone()),
            ("0.0000000001s", fine),
            ("999999999999999h", Problem::TooLarge),
            (
                "9999999999999999999999999999999999999999999ms",
                Problem::TooLarge,
            ),
        ] {
            assert_eq!(latency(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
    }

    #[test]
    fn times_read_like_a_person_writes_them() {
        for (ns, words) in [
            (0, "0 s"),
            (999, "999 ns"),
            (250_000, "250 us"),
            (500_000, "500 us"),
            (1_500_000, "1.5 ms"),
            (100_000_000, "100 ms"),
            (1_500_000_000, "1.5 s"),
            (60_000_000_000, "1 min"),
            (3_690_000_000_000, "1 h 1 min 30 s"),
            (90_500_000_000, "1 min 30.5 s"),
        ] {
            assert_eq!(time_in_words(Duration::from_nanos(ns)), words);
        }
        let ms = Duration::from_millis;
        assert_eq!(interval(ms(80), ms(120)), "80 to 120 ms");
        assert_eq!(interval(ms(800), ms(1200)), "800 ms to 1.2 s");
        assert_eq!(interval(ms(0), ms(20)), "0 s to 20 ms");
        assert_eq!(interval(ms(5), ms(5)), "5 ms");
    }
}
