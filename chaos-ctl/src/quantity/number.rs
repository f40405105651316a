//! Whole numbers of packets: every so many, the first so many, so many apart.

use super::{InvalidQuantity, Problem};

const ABOVE_ZERO: &str = "give a whole number above 0, such as 100";
const OR_ZERO: &str = "give a whole number, 0 or above, such as 5";
const SEED: &str = "give a whole number, 0 or above and below 2^64, such as 7";

/// Reads N of "each N-th packet": above zero.
pub fn every(text: &str) -> Result<u32, InvalidQuantity> {
    read("number of packets", ABOVE_ZERO, text, false)
}

/// Reads N of "the first N packets": above zero.
pub fn first(text: &str) -> Result<u32, InvalidQuantity> {
    every(text)
}

/// Reads how many packets lie between two that are chosen: zero or above.
pub fn gap(text: &str) -> Result<u32, InvalidQuantity> {
    read("gap", OR_ZERO, text, true)
}

fn read(
    name: &'static str,
    accepted: &'static str,
    text: &str,
    zero: bool,
) -> Result<u32, InvalidQuantity> {
    digits(text)
        .and_then(|number| match number {
            0 if !zero => Err(Problem::Zero),
            number => Ok(number),
        })
        .map_err(|problem| InvalidQuantity::new(name, text, problem, accepted))
}

/// Reads a seed: zero or above.
pub fn seed(text: &str) -> Result<u64, InvalidQuantity> {
    let read = || match text {
        "" => Err(Problem::Empty),
        text if text.starts_with(['-', '−']) => Err(Problem::Negative),
        text if !text.bytes().all(|b| b.is_ascii_digit()) => Err(Problem::Malformed),
        text => text.parse().map_err(|_| Problem::TooLarge),
    };
    read().map_err(|problem| InvalidQuantity::new("seed", text, problem, SEED))
}

/// A number of digits alone, without a sign.
pub(super) fn digits(text: &str) -> Result<u32, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if text.starts_with(['-', '−']) {
        return Err(Problem::Negative);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::Malformed);
    }
    text.parse().map_err(|_| Problem::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read() {
        assert_eq!(every("100"), Ok(100));
        assert_eq!(first("1"), Ok(1));
        assert_eq!(gap("0"), Ok(0));
        for (text, problem) in [
            ("", Problem::Empty),
            ("0", Problem::Zero),
            ("-3", Problem::Negative),
            ("3.5", Problem::Malformed),
            ("+3", Problem::Malformed),
            ("many", Problem::Malformed),
            ("4294967296", Problem::TooLarge),
        ] {
            assert_eq!(every(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
        assert_eq!(gap("-1").map_err(|e| e.problem), Err(Problem::Negative));
    }
}
