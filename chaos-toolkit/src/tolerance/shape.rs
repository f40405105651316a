//! The notations of tolerances, pattern and path, before anything has run. What else a tolerance must be, `experiment` knows.

use super::{jsonpath, pattern};

/// What is wrong with the text of this key of a tolerance, in its own notation.
pub(crate) fn unreadable(key: &str, text: &str) -> Option<String> {
    let (kind, why) = match key {
        "pattern" => ("pattern", pattern::compile(text).err()?),
        "path" => ("path", jsonpath::Path::parse(text).err()?.to_string()),
        _ => return None,
    };
    Some(format!("the {kind} `{text}` cannot be used: {why}"))
}
