//! Values as Python sees them: what is equal, what comes first, what is true, and how a value reads as text. Files in the
//! format of Chaos Toolkit rely on all of it. Knows nothing of experiments.

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

mod json;

pub use json::dumps;

/// Two values that Python cannot put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{left} and {right} cannot be put in order")]
pub struct Unordered {
    /// What the one is.
    pub left: &'static str,
    /// What the other is.
    pub right: &'static str,
}

/// What a value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// Python's `==`: 1, 1.0 and true are equal, keys of mappings have no order.
pub fn equal(left: &Value, right: &Value) -> bool {
    if let (Some(left), Some(right)) = (numeric(left), numeric(right)) {
        return left.compare(right) == Some(Ordering::Equal);
    }
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        (left, right) => left == right,
    }
}

/// Python's `<` and its like: numbers (true is 1), texts, and lists, each with their own.
pub fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, Unordered> {
    if let (Some(left), Some(right)) = (numeric(left), numeric(right)) {
        return Ok(left.compare(right));
    }
    match (left, right) {
        (Value::String(left), Value::String(right)) => Ok(Some(left.chars().cmp(right.chars()))),
        (Value::Array(left), Value::Array(right)) => {
            for (left, right) in left.iter().zip(right) {
                if !equal(left, right) {
                    return order(left, right);
                }
            }
            Ok(Some(left.len().cmp(&right.len())))
        }
        (left, right) => Err(Unordered {
            left: kind(left),
            right: kind(right),
        }),
    }
}

/// Python's `bool()`.
pub fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

/// Python's `str()`.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            repr(value)
        }
    }
}

/// Python's `repr()`.
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

/// What is in a mapping under this key, unless it is nothing.
pub fn given<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

#[derive(Clone, Copy)]
enum Numeric {
    Whole(i128),
    Float(f64),
}

fn numeric(value: &Value) -> Option<Numeric> {
    match value {
        Value::Bool(truth) => Some(Numeric::Whole(i128::from(*truth))),
        Value::Number(number) => Some(
            number
                .as_i64()
                .map(i128::from)
                .or_else(|| number.as_u64().map(i128::from))
                .map_or_else(
                    || Numeric::Float(number.as_f64().unwrap_or(f64::NAN)),
                    Numeric::Whole,
                ),
        ),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Numeric {
    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Some(left.cmp(&right)),
            (Self::Float(left), Self::Float(right)) => left.partial_cmp(&right),
            (Self::Whole(left), Self::Float(right)) => compare_whole(left, right),
            (Self::Float(left), Self::Whole(right)) => {
                compare_whole(right, left).map(Ordering::reverse)
            }
        }
    }
}

/// Exact, as Python's: no whole number becomes a float on the way.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the float is within the range of what it becomes"
)]
fn compare_whole(whole: i128, float: f64) -> Option<Ordering> {
    // All whole numbers here come from 64 bits.
    const BEYOND: f64 = 1e30;
    if float.is_nan() {
        return None;
    }
    if float.abs() >= BEYOND {
        return Some(if float > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let below = float.floor();
    Some(whole.cmp(&(below as i128)).then(if float > below {
        Ordering::Less
    } else {
        Ordering::Equal
    }))
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_quoted(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(out, item);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_quoted(out, key);
                out.push_str(": ");
                write_repr(out, value);
            }
            out.push('}');
        }
    }
}

/// The fewest digits that read back as the same float; with an exponent below 1e-4 and from 1e16.
fn write_number(out: &mut String, number: &Number) {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        out.push_str(&number.to_string());
        return;
    };
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Writing into a string cannot fail.
    let _ = if (-4..16).contains(&exponent) || float == 0.0 {
        write!(out, "{float:?}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{digits}e{sign}{:02}", exponent.abs())
    };
}

fn write_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for character in text.chars() {
        // Writing into a string cannot fail.
        let _ = match character {
            '\\' => out.write_str("\\\\"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            character if character == quote => write!(out, "\\{character}"),
            character if printable(character) => out.write_char(character),
            character => match u32::from(character) {
                code @ 0..=0xff => write!(out, "\\x{code:02x}"),
                code @ 0x100..=0xffff => write!(out, "\\u{code:04x}"),
                code => write!(out, "\\U{code:08x}"),
            },
        };
    }
    out.push(quote);
}

/// What Python calls printable is what Rust leaves as it is when it writes a text for debugging, but for marks that stand on
/// the letter before, which Rust escapes only where there is none.
fn printable(character: char) -> bool {
    match character {
        ' '..='~' => true,
        '\0'..='\x1f' | '\x7f' => false,
        character => {
            let after_a_letter: String = ['a', character].iter().collect();
            !after_a_letter.escape_debug().to_string().contains('\\')
        }
    }
}

#[cfg(test)]
mod tests;
