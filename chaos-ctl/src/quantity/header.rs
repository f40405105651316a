//! What a packet's headers say: its DSCP by number or name, and its length.

use chaos_proto::v1::LengthRange;

use super::number::digits;
use super::{InvalidQuantity, Problem};

const DSCP: &str = "give 0 to 63, ef, cs0 to cs7, or af11 to af43";
const LENGTH: &str = "give bytes of the Ethernet frame, such as 1000-1514, 1000- or -128";
const EXPEDITED: u32 = 46;

/// Reads a code point by its number or its name.
pub fn dscp(text: &str) -> Result<u32, InvalidQuantity> {
    code_point(&text.to_ascii_lowercase())
        .map_err(|problem| InvalidQuantity::new("DSCP", text, problem, DSCP))
}

fn code_point(text: &str) -> Result<u32, Problem> {
    match text.as_bytes() {
        b"ef" => Ok(EXPEDITED),
        [b'c', b's', class @ b'0'..=b'7'] => Ok(8 * u32::from(class - b'0')),
        [b'a', b'f', class @ b'1'..=b'4', drop @ b'1'..=b'3'] => {
            Ok(8 * u32::from(class - b'0') + 2 * u32::from(drop - b'0'))
        }
        _ => match digits(text)? {
            point @ 0..=63 => Ok(point),
            _ => Err(Problem::TooLarge),
        },
    }
}

/// A code point by number and name: `46 (ef)`.
pub fn dscp_in_words(point: u32) -> String {
    let (class, low) = (point / 8, point % 8);
    match (class, low) {
        _ if point == EXPEDITED => format!("{point} (ef)"),
        (0..=7, 0) => format!("{point} (cs{class})"),
        (1..=4, 2 | 4 | 6) => format!("{point} (af{class}{})", low / 2),
        _ => point.to_string(),
    }
}

/// Reads `A-B`, `A-`, `-B`, or one length alone; both ends included.
pub fn length(text: &str) -> Result<LengthRange, InvalidQuantity> {
    lengths(text).map_err(|problem| InvalidQuantity::new("length", text, problem, LENGTH))
}

fn lengths(text: &str) -> Result<LengthRange, Problem> {
    let (least, most) = match text.split_once('-').unwrap_or((text, text)) {
        ("", "") => return Err(malformed(text)),
        ("", most) => (0, above_zero(most)?),
        (least, "") => (above_zero(least)?, 0),
        (least, most) => (digits(least)?, above_zero(most)?),
    };
    if most != 0 && most < least {
        return Err(Problem::Backwards);
    }
    Ok(LengthRange { least, most })
}

fn malformed(text: &str) -> Problem {
    if text.is_empty() {
        Problem::Empty
    } else {
        Problem::Malformed
    }
}

fn above_zero(text: &str) -> Result<u32, Problem> {
    match digits(text)? {
        0 => Err(Problem::Zero),
        bytes => Ok(bytes),
    }
}

/// Lengths in a sentence: `1000 to 1514 bytes`.
pub fn length_in_words(length: LengthRange) -> String {
    match (length.least, length.most) {
        (least, 0) => format!("at least {least} bytes"),
        (0, most) => format!("at most {most} bytes"),
        (least, most) if least == most => format!("{least} bytes"),
        (least, most) => format!("{least} to {most} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_have_numbers_and_names() {
        for (text, point, words) in [
            ("0", 0, "0 (cs0)"),
            ("63", 63, "63"),
            ("ef", 46, "46 (ef)"),
            ("EF", 46, "46 (ef)"),
            ("cs7", 56, "56 (cs7)"),
            ("af11", 10, "10 (af11)"),
            ("af43", 38, "38 (af43)"),
            ("1", 1, "1"),
        ] {
            assert_eq!(dscp(text), Ok(point), "{text}");
            assert_eq!(dscp_in_words(point), words);
        }
        for (text, problem) in [
            ("", Problem::Empty),
            ("64", Problem::TooLarge),
            ("-1", Problem::Negative),
            ("cs8", Problem::Malformed),
            ("af14", Problem::Malformed),
            ("af51", Problem::Malformed),
            ("voice", Problem::Malformed),
        ] {
            assert_eq!(dscp(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
    }

    #[test]
    fn lengths_are_open_at_one_end_at_most() {
        for (text, least, most, words) in [
            ("1000-1514", 1000, 1514, "1000 to 1514 bytes"),
            ("1000-", 1000, 0, "at least 1000 bytes"),
            ("-128", 0, 128, "at most 128 bytes"),
            ("0-128", 0, 128, "at most 128 bytes"),
            ("60", 60, 60, "60 bytes"),
        ] {
            let range = LengthRange { least, most };
            assert_eq!(length(text), Ok(range), "{text}");
            assert_eq!(length_in_words(range), words);
        }
        for (text, problem) in [
            ("", Problem::Empty),
            ("-", Problem::Malformed),
            ("0", Problem::Zero),
            ("-0", Problem::Zero),
            ("0-", Problem::Zero),
            ("200-100", Problem::Backwards),
            ("1-2-3", Problem::Malformed),
            ("1kB", Problem::Malformed),
            ("--5", Problem::Negative),
        ] {
            assert_eq!(length(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
    }
}
