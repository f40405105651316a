//! One line of a file of latencies: `12.5ms`, or a latency and how often it was seen.

use std::time::Duration;

use super::time::nanoseconds;
use super::{InvalidQuantity, Problem};

const LATENCY: &str =
    "give a number, 0 or above, with its unit (ns, us, ms, s, m or h), such as 12.5ms";
const COUNT: &str = "give how often the latency was seen, a whole number, 0 or above";
const LINE: &str =
    "write one latency, such as 12.5ms, or a latency and how often it was seen, such as 12.5ms 830";

/// Reads a latency, and how often it was seen: once, unless a second column says otherwise.
pub fn sample(line: &str) -> Result<(Duration, u64), InvalidQuantity> {
    let mut columns = line
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|column| !column.is_empty());
    match (columns.next(), columns.next(), columns.next()) {
        (Some(one), None, _) => Ok((latency(one)?, 1)),
        (Some(one), Some(times), None) => Ok((latency(one)?, count(times)?)),
        _ => Err(InvalidQuantity::new("line", line, Problem::Malformed, LINE)),
    }
}

fn latency(text: &str) -> Result<Duration, InvalidQuantity> {
    nanoseconds(text)
        .and_then(|ns| u64::try_from(ns).map_err(|_| Problem::TooLarge))
        .map(Duration::from_nanos)
        .map_err(|problem| InvalidQuantity::new("latency", text, problem, LATENCY))
}

fn count(text: &str) -> Result<u64, InvalidQuantity> {
    let problem = if text.starts_with('-') {
        Problem::Negative
    } else if text.bytes().all(|b| b.is_ascii_digit()) {
        match text.parse() {
            Ok(count) => return Ok(count),
            Err(_) => Problem::TooLarge,
        }
    } else {
        Problem::Malformed
    };
    Err(InvalidQuantity::new("count", text, problem, COUNT))
}
