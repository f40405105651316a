//! Shares of packets: `30`, `30%`, `0.5%`, carried as parts per million.

use super::time::{decimal, scaled};
use super::{InvalidQuantity, Problem};

const ACCEPTED: &str = "give a percentage above 0 and up to 100, such as 30, 30% or 0.5%";
const CORRELATION: &str = "give a percentage, 0 or above and below 100, such as 25, 25% or 0.5%";
const PPM_PER_PERCENT: u128 = 10_000;

/// A share in parts per million: 0 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// As the wire has it.
    pub fn ppm(self) -> u32 {
        self.0
    }
}

/// Reads a percentage above zero, with or without its sign.
pub fn percent(text: &str) -> Result<Share, InvalidQuantity> {
    let read = parts_per_million(text).and_then(|ppm| match ppm {
        0 => Err(Problem::Zero),
        ppm => Ok(Share(ppm)),
    });
    read.map_err(|problem| InvalidQuantity::new("percentage", text, problem, ACCEPTED))
}

/// Reads a correlation: a percentage, zero or above and below 100.
pub fn correlation(text: &str) -> Result<Share, InvalidQuantity> {
    let read = parts_per_million(text).and_then(|ppm| match ppm {
        1_000_000.. => Err(Problem::TooLarge),
        ppm => Ok(Share(ppm)),
    });
    read.map_err(|problem| InvalidQuantity::new("correlation", text, problem, CORRELATION))
}

/// A percentage, zero or above and up to 100.
pub(super) fn or_nothing(text: &str) -> Result<Share, Problem> {
    parts_per_million(text).map(Share)
}

/// Parts per million of a percentage, zero or above and up to 100.
pub(super) fn parts_per_million(text: &str) -> Result<u32, Problem> {
    let number = text.strip_suffix('%').unwrap_or(text);
    if number.is_empty() {
        return Err(Problem::Empty);
    }
    if number.starts_with(['-', '−']) {
        return Err(Problem::Negative);
    }
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(Problem::Malformed);
    }
    let ppm = scaled(number, PPM_PER_PERCENT, "0.0001 %")?;
    match u32::try_from(ppm) {
        Ok(ppm @ ..=1_000_000) => Ok(ppm),
        Ok(_) | Err(_) => Err(Problem::TooLarge),
    }
}

/// Parts per million as a percentage: `0.5 %`.
pub fn share_in_words(ppm: u32) -> String {
    format!("{} %", decimal(u128::from(ppm), PPM_PER_PERCENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_become_parts_per_million() {
        for (text, ppm) in [
            ("30", 300_000),
            ("30%", 300_000),
            ("0.5%", 5_000),
            ("100", 1_000_000),
            ("0.0001", 1),
            ("33.3333%", 333_333),
            ("1.00000%", 10_000),
        ] {
            assert_eq!(percent(text).map(Share::ppm), Ok(ppm), "{text}");
        }
    }

    #[test]
    fn impossible_percentages_are_refused() {
        let fine = Problem::TooFine { step: "0.0001 %" };
        for (text, problem) in [
            ("", Problem::Empty),
            ("%", Problem::Empty),
            ("0", Problem::Zero),
            ("0.0%", Problem::Zero),
            ("-1", Problem::Negative),
            ("100.1", Problem::TooLarge),
            ("101%", Problem::TooLarge),
            (
                "99999999999999999999999999999999999999999",
                Problem::TooLarge,
            ),
            ("0.00001", fine),
            ("half", Problem::Malformed),
            ("30%%", Problem::Malformed),
            ("30 %", Problem::Malformed),
            ("1e1", Problem::Malformed),
            ("0,5", Problem::Malformed),
        ] {
            assert_eq!(percent(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
    }

    #[test]
    fn correlations_may_be_nothing_but_not_all() {
        assert_eq!(correlation("0").map(Share::ppm), Ok(0));
        assert_eq!(correlation("25%").map(Share::ppm), Ok(250_000));
        assert_eq!(correlation("99.9999").map(Share::ppm), Ok(999_999));
        for (text, problem) in [
            ("100", Problem::TooLarge),
            ("-1", Problem::Negative),
            ("", Problem::Empty),
            ("much", Problem::Malformed),
        ] {
            assert_eq!(correlation(text).map_err(|e| e.problem), Err(problem));
        }
    }

    #[test]
    fn shares_read_as_percentages() {
        assert_eq!(share_in_words(300_000), "30 %");
        assert_eq!(share_in_words(5_000), "0.5 %");
        assert_eq!(share_in_words(1), "0.0001 %");
        assert_eq!(share_in_words(1_000_000), "100 %");
    }
}
