//! Where two values differ. Knows nothing of journals.

use std::fmt;

use serde_json::Value;

/// As much of a value as is shown.
const LONG: usize = 600;

/// Something that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its JSON pointer.
    pub(crate) at: String,
    /// What the reference has there; none: nothing.
    pub(crate) reference: Option<String>,
    /// What the other has there.
    pub(crate) ours: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<String>| match side {
            Some(text) if text.len() > LONG => {
                format!(
                    "{}… ({} bytes)",
                    text.chars().take(LONG).collect::<String>(),
                    text.len()
                )
            }
            Some(text) => text.clone(),
            None => "nothing".to_owned(),
        };
        let Self {
            at,
            reference,
            ours,
        } = self;
        write!(
            f,
            "{at}\n    reference: {}\n    ours:      {}",
            side(reference),
            side(ours)
        )
    }
}

/// All differences, each as deep as it goes.
pub(crate) fn differences(reference: &Value, ours: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    look(String::new(), Some(reference), Some(ours), &mut found);
    found
}

fn look(at: String, reference: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Difference>) {
    match (reference, ours) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let keys = left
                .keys()
                .chain(right.keys().filter(|key| !left.contains_key(*key)));
            for key in keys {
                let key_at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                look(key_at, left.get(key), right.get(key), found);
            }
            // HTTP gives no meaning to the order of headers.
            let order = |one: &serde_json::Map<String, Value>,
                         other: &serde_json::Map<String, Value>| {
                let both: Vec<_> = one
                    .keys()
                    .filter(|key| other.contains_key(*key))
                    .cloned()
                    .collect();
                both.join(", ")
            };
            let (left, right) = (order(left, right), order(right, left));
            if left != right && !at.ends_with("/headers") {
                found.push(Difference {
                    at: format!("{at}/<order of keys>"),
                    reference: Some(left),
                    ours: Some(right),
                });
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            for index in 0..left.len().max(right.len()) {
                look(
                    format!("{at}/{index}"),
                    left.get(index),
                    right.get(index),
                    found,
                );
            }
        }
        // 1 and 1.0 are not the same to `==` of values, and must not be.
        (left, right) if left == right => {}
        (left, right) => found.push(Difference {
            at,
            reference: left.map(ToString::to_string),
            ours: right.map(ToString::to_string),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(reference: &Value, ours: &Value) -> Vec<String> {
        differences(reference, ours)
            .into_iter()
            .map(|found| found.at)
            .collect()
    }

    #[test]
    fn each_difference_is_told_where_it_is() {
        let left = json!({"a": [1, {"b": 2}], "c": 3, "d": 1});
        let right = json!({"a": [1, {"b": 4}, 5], "d": 1.0, "e/f": 3});
        assert_eq!(at(&left, &right), ["/a/1/b", "/a/2", "/c", "/d", "/e~1f"]);
        assert_eq!(at(&left, &left), Vec::<String>::new());
    }

    #[test]
    fn the_order_of_keys_counts_but_in_headers() {
        let left: Value = serde_json::from_str(r#"{"a": 1, "b": 2}"#).unwrap();
        let right: Value = serde_json::from_str(r#"{"b": 2, "a": 1}"#).unwrap();
        assert_eq!(at(&left, &right), ["/<order of keys>"]);
        assert_eq!(
            at(&json!({"headers": left}), &json!({"headers": right})),
            Vec::<String>::new()
        );
    }
}
