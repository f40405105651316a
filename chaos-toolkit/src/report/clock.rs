//! Times of a journal: read as the reference writes them, and said in words.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A time as Python's `isoformat` writes it; one without an offset is UTC, as in journals of old.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
        Some(zoned.timestamp())
    })
}

/// `22 Nov 2026, 18:43:01 UTC`.
pub(super) fn moment(time: Timestamp) -> String {
    time.strftime("%-d %b %Y, %H:%M:%S UTC").to_string()
}

/// `22 Nov, 18:43`, for tables.
pub(super) fn short(time: Timestamp) -> String {
    time.strftime("%-d %b %Y, %H:%M").to_string()
}

/// Seconds from one time to another; below zero where the other was before.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// A length of time, as a person says it: three figures at most.
pub(super) fn span(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "–".to_owned();
    }
    let sign = if seconds < 0.0 { "−" } else { "" };
    let of = seconds.abs();
    let said = if of == 0.0 {
        "0 s".to_owned()
    } else if of < 1e-3 {
        format!("{} µs", figure(of * 1e6))
    } else if of < 1.0 {
        format!("{} ms", figure(of * 1e3))
    } else if of < 60.0 {
        format!("{} s", figure(of))
    } else if of < 3600.0 {
        two(of, 60.0, "min", "s")
    } else {
        two(of / 60.0, 60.0, "h", "min")
    };
    format!("{sign}{said}")
}

/// So many of the larger unit and what is left in the smaller, where something is.
fn two(of: f64, each: f64, larger: &str, smaller: &str) -> String {
    let (whole, left) = ((of / each).floor(), (of % each).floor());
    if left > 0.0 {
        format!("{whole:.0} {larger} {left:.0} {smaller}")
    } else {
        format!("{whole:.0} {larger}")
    }
}

/// Three figures, without zeros at the end.
fn figure(of: f64) -> String {
    let places = usize::from(of < 10.0) + usize::from(of < 100.0);
    let text = format!("{of:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_reference_are_read() {
        let now = read("2026-11-22T18:43:01.338202+00:00").unwrap();
        assert_eq!(moment(now), "22 Nov 2026, 18:43:01 UTC");
        assert_eq!(read("2026-11-22T20:43:01.338202+02:00"), Some(now));
        assert_eq!(read("2026-11-22T18:43:01.338202"), Some(now));
        assert!(read("2026-11-22T18:43:01").is_some());
        assert_eq!(read("yesterday"), None);
        assert!((seconds(now, read("2026-11-22T18:43:02.338202Z").unwrap()) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn lengths_are_said_in_three_figures() {
        let said = [
            0.000_392, 0.059_414, 4.588_1, 59.94, 61.2, 60.0, 3_725.0, 0.0, -0.5, 1.0,
        ];
        let said = said.map(span);
        let wanted = [
            "392 µs",
            "59.4 ms",
            "4.59 s",
            "59.9 s",
            "1 min 1 s",
            "1 min",
            "1 h 2 min",
            "0 s",
            "−500 ms",
            "1 s",
        ];
        assert_eq!(said, wanted);
        assert_eq!(span(f64::NAN), "–");
    }
}
