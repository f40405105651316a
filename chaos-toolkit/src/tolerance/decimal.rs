//! Numbers compared to the last digit, as Python's `Decimal` does: 0.1 as a text is less than 0.1 as a float.

use std::cmp::Ordering;

use serde_json::Value;

/// A number. Compares by value; NaN with nothing.
#[derive(Clone, Debug)]
pub(super) enum Decimal {
    /// Not a number.
    NaN,
    /// Beyond all numbers.
    Infinite {
        /// Below all of them.
        negative: bool,
    },
    /// Zero point digits, times ten to the power: the first digit is none, and neither is the last.
    Finite {
        /// Less than zero.
        negative: bool,
        /// Of the first digit.
        power: i64,
        /// 0 to 9 each; none at all for zero.
        digits: Vec<u8>,
    },
}

impl Decimal {
    /// What Python makes of a number or a boolean; none for anything else.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(truth) => Self::parse(if *truth { "1" } else { "0" }),
            // As many decimals as the smallest float has: nothing is rounded.
            Value::Number(number) if number.is_f64() => {
                Self::parse(&format!("{:.1074}", number.as_f64()?))
            }
            Value::Number(number) => Self::parse(&number.to_string()),
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// What Python makes of a text; none where it is no number.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().replace('_', "").to_ascii_lowercase();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(&text)),
        };
        if matches!(text, "inf" | "infinity") {
            return Some(Self::Infinite { negative });
        }
        if let Some(payload) = text.strip_prefix('s').unwrap_or(text).strip_prefix("nan") {
            return payload
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(Self::NaN);
        }
        let (number, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        if all().next().is_none() || !all().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // Rust reads a sign and digits too; no more is allowed.
        let exponent: i64 = exponent
            .parse()
            .ok()
            .filter(|exponent: &i64| exponent.unsigned_abs() < 1 << 60)?;
        let leading = all().take_while(|&byte| byte == b'0').count();
        let mut digits: Vec<u8> = all().skip(leading).map(|byte| byte - b'0').collect();
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let power = exponent + i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        Some(Self::Finite {
            negative: negative && !digits.is_empty(),
            power,
            digits,
        })
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // Only to ask what something is: no comparison of numbers says so.
            (Self::NaN, Self::NaN) => true,
            (left, right) => left.partial_cmp(right) == Some(Ordering::Equal),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let sign = |negative: bool, order: Ordering| if negative { order.reverse() } else { order };
        Some(match (self, other) {
            (Self::NaN, _) | (_, Self::NaN) => return None,
            (Self::Infinite { negative: left }, Self::Infinite { negative: right }) => {
                right.cmp(left)
            }
            (Self::Infinite { negative }, Self::Finite { .. }) => {
                sign(*negative, Ordering::Greater)
            }
            (Self::Finite { .. }, Self::Infinite { negative }) => sign(*negative, Ordering::Less),
            (
                Self::Finite {
                    negative: left,
                    power: left_power,
                    digits: left_digits,
                },
                Self::Finite {
                    negative: right,
                    power: right_power,
                    digits: right_digits,
                },
            ) => {
                if left != right {
                    return Some(right.cmp(left));
                }
                let zero = left_digits
                    .is_empty()
                    .cmp(&right_digits.is_empty())
                    .reverse();
                let size = if left_digits.is_empty() || right_digits.is_empty() {
                    zero
                } else {
                    // The first digits weigh the same, and a longer row of digits only adds to them.
                    left_power
                        .cmp(right_power)
                        .then_with(|| left_digits.cmp(right_digits))
                };
                sign(*left, size)
            }
        })
    }
}
