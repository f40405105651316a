//! What a scalar of YAML 1.1 says, by the rules of `PyYAML`'s `safe_load`: `yes` is true, `017` is 15, `1:30` is 90, and
//! `1e3` is a string.

use serde_json::{Number, Value};

use super::json::short;
use super::timestamp;

/// Tags of YAML itself begin with this.
pub(super) const YAML: &str = "tag:yaml.org,2002:";

/// The kind of a scalar that is not quoted and has no tag.
pub(super) fn implied(text: &str) -> &'static str {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return "null",
        "<<" => return "merge",
        "=" => return "value",
        _ => {}
    }
    if truth(text, false).is_some() {
        "bool"
    } else if is_float(text) {
        "float"
    } else if is_int(text) {
        "int"
    } else if timestamp::is_implied(text) {
        "timestamp"
    } else {
        "str"
    }
}

/// Why a scalar does not say what its tag claims.
pub(super) enum Not {
    /// It is of no such kind.
    Kind,
    /// A whole number of more than 64 bits.
    TooLong,
    /// Said of it: it is one, but nothing can hold it.
    Unheld(String),
}

/// A scalar of this kind.
pub(super) fn construct(kind: &str, text: &str) -> Result<Value, Not> {
    match kind {
        "str" => Ok(text.into()),
        "null" => Ok(Value::Null),
        "bool" => truth(text, true).map(Value::Bool).ok_or(Not::Kind),
        "int" => int(text),
        "float" => float(text),
        "timestamp" => timestamp::iso(text).map(Value::String).ok_or(Not::Kind),
        _ => Err(Not::Kind),
    }
}

fn truth(text: &str, any_case: bool) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let truth = match &*lower {
        "yes" | "true" | "on" => true,
        "no" | "false" | "off" => false,
        _ => return None,
    };
    let capitalized =
        text.starts_with(|first: char| first.is_ascii_uppercase()) && text[1..] == lower[1..];
    let upper = text.bytes().all(|byte| byte.is_ascii_uppercase());
    (any_case || text == lower || upper || capitalized).then_some(truth)
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

/// Whether a text is of these bytes, of one at least.
fn is_of(text: &str, of: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(of)
}

/// Digits and underscores, a digit first.
fn is_digits(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && is_of(text, |byte| byte.is_ascii_digit() || byte == b'_')
}

/// Minutes or seconds: one digit, or two up to 59.
fn is_sixtieth(text: &str) -> bool {
    match text.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
        _ => false,
    }
}

/// `1:30`, parts of sixty.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let first = parts.next().is_some_and(is_digits);
    first && text.contains(':') && parts.all(is_sixtieth)
}

fn is_int(text: &str) -> bool {
    let digits = unsigned(text);
    if let Some(bits) = digits.strip_prefix("0b") {
        return is_of(bits, |byte| matches!(byte, b'0' | b'1' | b'_'));
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return is_of(hex, |byte| byte.is_ascii_hexdigit() || byte == b'_');
    }
    if let Some(octal) = digits.strip_prefix('0') {
        return octal.bytes().all(|byte| matches!(byte, b'0'..=b'7' | b'_'));
    }
    is_digits(digits) || is_sexagesimal(digits)
}

fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let number = unsigned(text);
    if matches!(number, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let Some((whole, fraction)) = number.split_once('.') else {
        return false;
    };
    let is_fraction = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    if is_sexagesimal(whole) && is_fraction(fraction) {
        return true;
    }
    // An exponent must have its sign: `1.5e3` is a string.
    let fraction = match fraction.find(['e', 'E']) {
        Some(at) => {
            let exponent = &fraction[at + 1..];
            let has_sign = exponent.starts_with(['-', '+']);
            if !has_sign || !is_of(&exponent[1..], |byte| byte.is_ascii_digit()) {
                return false;
            }
            &fraction[..at]
        }
        None => fraction,
    };
    if whole.is_empty() {
        // No sign here: `-.5` is a string.
        return number.len() == text.len() && is_digits(fraction);
    }
    is_digits(whole) && is_fraction(fraction)
}

fn sign(text: &str) -> (bool, &str) {
    (text.starts_with('-'), unsigned(text))
}

fn int(text: &str) -> Result<Value, Not> {
    let text = text.replace('_', "");
    let (negative, digits) = sign(&text);
    let magnitude = if digits == "0" {
        0
    } else if let Some(bits) = digits.strip_prefix("0b") {
        whole(bits, 2)?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        whole(hex, 16)?
    } else if let Some(octal) = digits.strip_prefix('0') {
        whole(octal, 8)?
    } else {
        let mut sum = 0_u128;
        for part in digits.split(':') {
            let sixty = sum.checked_mul(60).ok_or(Not::TooLong)?;
            sum = sixty.checked_add(whole(part, 10)?).ok_or(Not::TooLong)?;
        }
        sum
    };
    let magnitude = i128::try_from(magnitude).map_err(|_| Not::TooLong)?;
    let number = if negative { -magnitude } else { magnitude };
    if let Ok(number) = i64::try_from(number) {
        return Ok(number.into());
    }
    u64::try_from(number)
        .map(Value::from)
        .map_err(|_| Not::TooLong)
}

fn whole(digits: &str, radix: u32) -> Result<u128, Not> {
    if !digits.chars().all(|digit| digit.is_digit(radix)) || digits.is_empty() {
        return Err(Not::Kind);
    }
    u128::from_str_radix(digits, radix).map_err(|_| Not::TooLong)
}

fn float(text: &str) -> Result<Value, Not> {
    let text = text.replace('_', "").to_lowercase();
    let (negative, digits) = sign(&text);
    if matches!(digits, ".inf" | ".nan") {
        let what = format!("`{}` is no number that a journal can hold", short(&text));
        return Err(Not::Unheld(what));
    }
    let (mut sum, mut base) = (0.0, 1.0);
    for part in digits.rsplit(':') {
        let is_number = is_of(part, |byte| {
            byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'-' | b'+')
        });
        let part: Option<f64> = part.parse().ok().filter(|_| is_number);
        sum += part.ok_or(Not::Kind)? * base;
        base *= 60.0;
    }
    let number = if negative { -sum } else { sum };
    match Number::from_f64(number) {
        Some(number) => Ok(Value::Number(number)),
        None => Err(Not::Unheld(format!(
            "the number {} is too large",
            short(&text)
        ))),
    }
}
