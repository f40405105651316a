//! Bandwidths and sizes: `10mbit`, `1.5MB/s`, `64kB`, `1MiB`.
//!
//! A bit is always written `bit` and a byte always `B`: what `mbps` means differs from tool to tool, so it is refused.

use super::time::{decimal, scaled};
use super::{InvalidQuantity, Problem};

const RATE: &str = "give bits or bytes a second, such as 10mbit, 1.5Gbit/s, 500kB/s or 1.25MB/s";
const SIZE: &str =
    "give a number above 0 with its unit (B, kB, MB, GB, KiB, MiB or GiB), such as 64kB";
const BITS_PER_BYTE: u128 = 8;

const DECIMAL: [(&str, u128); 5] = [
    ("", 1),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];
const BINARY: [(&str, u128); 3] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];

/// Reads a bandwidth in bytes a second: above zero. Prefixes are decimal.
pub fn rate(text: &str) -> Result<u64, InvalidQuantity> {
    bytes_per_second(text).map_err(|problem| InvalidQuantity::new("rate", text, problem, RATE))
}

/// Reads a number of bytes: above zero.
pub fn size(text: &str) -> Result<u64, InvalidQuantity> {
    byte_count(text).map_err(|problem| InvalidQuantity::new("size", text, problem, SIZE))
}

pub(super) fn bytes_per_second(text: &str) -> Result<u64, Problem> {
    let (number, unit) = number_and_unit(text)?;
    let unknown = || Problem::UnknownUnit {
        unit: unit.to_owned(),
    };
    let (name, per_second) = match unit.strip_suffix("/s") {
        Some(name) => (name, true),
        None => (unit, false),
    };
    let bits_per_unit = if let Some(prefix) = name.strip_suffix("bit") {
        let (_, scale) = DECIMAL
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(prefix))
            .ok_or_else(unknown)?;
        *scale
    } else if let (Some(prefix), true) = (name.strip_suffix('B'), per_second) {
        let known = DECIMAL.iter().chain(&BINARY);
        let (_, scale) = known
            .into_iter()
            .find(|(known, _)| *known == prefix || (prefix == "K" && *known == "k"))
            .ok_or_else(unknown)?;
        scale * BITS_PER_BYTE
    } else {
        return Err(unknown());
    };
    let bits = scaled(number, bits_per_unit, "8 bit/s")?;
    if !bits.is_multiple_of(BITS_PER_BYTE) {
        return Err(Problem::TooFine { step: "8 bit/s" });
    }
    above_zero(bits / BITS_PER_BYTE)
}

fn byte_count(text: &str) -> Result<u64, Problem> {
    let (number, unit) = number_and_unit(text)?;
    let prefix = unit.strip_suffix('B').ok_or_else(|| unknown(unit))?;
    let (_, scale) = DECIMAL
        .iter()
        .chain(&BINARY)
        .find(|(known, _)| *known == prefix || (prefix == "K" && *known == "k"))
        .ok_or_else(|| unknown(unit))?;
    above_zero(scaled(number, *scale, "a byte")?)
}

fn unknown(unit: &str) -> Problem {
    Problem::UnknownUnit {
        unit: unit.to_owned(),
    }
}

fn number_and_unit(text: &str) -> Result<(&str, &str), Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if text.starts_with(['-', '−']) {
        return Err(Problem::Negative);
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    match (number, unit) {
        ("", _) => Err(Problem::NotANumber),
        (number, "") if number.chars().all(|c| matches!(c, '0' | '.')) => Err(Problem::Zero),
        (_, "") => Err(Problem::NoUnit),
        both => Ok(both),
    }
}

fn above_zero(value: u128) -> Result<u64, Problem> {
    match u64::try_from(value) {
        Ok(0) => Err(Problem::Zero),
        Ok(value) => Ok(value),
        Err(_) => Err(Problem::TooLarge),
    }
}

/// Whether this is a unit of bandwidth or size by itself.
pub(super) fn is_unit(text: &str) -> bool {
    !text.is_empty()
        && (bytes_per_second(&format!("8{text}")).is_ok()
            || byte_count(&format!("8{text}")).is_ok())
}

/// Bytes a second as a bandwidth: `10 Mbit/s`.
pub fn rate_in_words(bytes_per_second: u64) -> String {
    let bits = u128::from(bytes_per_second) * BITS_PER_BYTE;
    let (prefix, scale) = largest(bits);
    format!("{} {prefix}bit/s", decimal(bits, scale))
}

/// A number of bytes, exactly: `64 kB`, `1 MiB`.
pub fn size_in_words(bytes: u64) -> String {
    let exact = u128::from(bytes);
    let binary = BINARY
        .iter()
        .rev()
        .find(|(_, scale)| exact >= *scale && exact.is_multiple_of(*scale));
    match binary {
        Some((prefix, scale)) if !exact.is_multiple_of(1_000) => {
            format!("{} {prefix}B", exact / scale)
        }
        Some(_) | None => {
            let (prefix, scale) = largest(exact);
            format!("{} {prefix}B", decimal(exact, scale))
        }
    }
}

fn largest(value: u128) -> (&'static str, u128) {
    let fitting = DECIMAL.iter().rev().find(|(_, scale)| value >= *scale);
    fitting.copied().unwrap_or(DECIMAL[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidths_become_bytes_a_second() {
        for (text, bytes) in [
            ("10mbit", 1_250_000),
            ("10Mbit", 1_250_000),
            ("10Mbit/s", 1_250_000),
            ("8bit", 1),
            ("8kbit", 1_000),
            ("1.5Gbit/s", 187_500_000),
            ("1Tbit", 125_000_000_000),
            ("1.5MB/s", 1_500_000),
            ("500kB/s", 500_000),
            ("500KB/s", 500_000),
            ("64KiB/s", 65_536),
            ("1.25MB/s", 1_250_000),
        ] {
            assert_eq!(rate(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn ambiguous_and_impossible_bandwidths_are_refused() {
        for (text, problem) in [
            ("", Problem::Empty),
            ("10", Problem::NoUnit),
            ("0", Problem::Zero),
            ("0mbit", Problem::Zero),
            ("-1mbit", Problem::Negative),
            ("mbit", Problem::NotANumber),
            ("10mbps", unknown("mbps")),
            ("10Mb", unknown("Mb")),
            ("10Mb/s", unknown("Mb/s")),
            ("10MB", unknown("MB")),
            ("10mB/s", unknown("mB/s")),
            ("10Mibit", unknown("Mibit")),
            ("10 mbit", unknown(" mbit")),
            ("12bit", Problem::TooFine { step: "8 bit/s" }),
            ("0.5bit", Problem::TooFine { step: "8 bit/s" }),
            ("99999999999999999999Tbit", Problem::TooLarge),
        ] {
            assert_eq!(rate(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
    }

    #[test]
    fn sizes_are_exact() {
        for (text, bytes) in [
            ("1500B", 1_500),
            ("64kB", 64_000),
            ("64KB", 64_000),
            ("64KiB", 65_536),
            ("1.5MB", 1_500_000),
            ("1MiB", 1_048_576),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, problem) in [
            ("", Problem::Empty),
            ("1500", Problem::NoUnit),
            ("0", Problem::Zero),
            ("0B", Problem::Zero),
            ("-1kB", Problem::Negative),
            ("64kb", unknown("kb")),
            ("64k", unknown("k")),
            ("64kbit", unknown("kbit")),
            ("0.5B", Problem::TooFine { step: "a byte" }),
        ] {
            assert_eq!(size(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
    }

    #[test]
    fn bandwidths_and_sizes_read_as_they_are_written() {
        for (bytes, words) in [
            (1, "8 bit/s"),
            (1_000, "8 kbit/s"),
            (1_250_000, "10 Mbit/s"),
            (187_500_000, "1.5 Gbit/s"),
            (125_000_000_000, "1 Tbit/s"),
        ] {
            assert_eq!(rate_in_words(bytes), words);
        }
        for (bytes, words) in [
            (0, "0 B"),
            (1_500, "1.5 kB"),
            (64_000, "64 kB"),
            (65_536, "64 KiB"),
            (1 << 20, "1 MiB"),
            (1_500_000, "1.5 MB"),
            (1_501, "1.501 kB"),
        ] {
            assert_eq!(size_in_words(bytes), words);
        }
    }
}
