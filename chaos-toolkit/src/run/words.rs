//! What was expected and what was seen, in few words.

use serde_json::Value;

/// More than that nobody reads in a line.
const LENGTH: usize = 160;

/// What a tolerance expects.
pub fn expected(tolerance: &Value) -> String {
    match tolerance {
        Value::Array(bounds) => match bounds.as_slice() {
            [low, high] => format!("{} to {}", plain(low), plain(high)),
            several => {
                let several: Vec<_> = several.iter().map(plain).collect();
                format!("one of {}", several.join(", "))
            }
        },
        Value::Object(map) => {
            let of = |key: &str| map.get(key).map(plain);
            let target = of("target").map_or(String::new(), |target| format!("{target} "));
            let what = match map.get("type").and_then(Value::as_str) {
                Some("regex") => format!("like /{}/", of("pattern").unwrap_or_default()),
                Some("range") => {
                    return format!(
                        "{target}{}",
                        map.get("range").map_or(String::new(), expected)
                    );
                }
                Some("jsonpath") => {
                    let path = of("path").unwrap_or_default();
                    match (of("expect"), of("count")) {
                        (Some(expect), _) => format!("{path} to be {expect}"),
                        (None, Some(count)) => format!("{path} {count} times"),
                        (None, None) => format!("{path} to be there"),
                    }
                }
                Some("probe") => format!("what `{}` lets pass", of("name").unwrap_or_default()),
                Some(_) | None => plain(tolerance),
            };
            cut(&format!("{target}{what}"))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            cut(&plain(tolerance))
        }
    }
}

/// What was seen of a value that this tolerance was for.
pub fn seen(tolerance: &Value, output: &Value) -> String {
    let target = tolerance.get("target").and_then(Value::as_str);
    let is_of_status = matches!(tolerance, Value::Number(_) | Value::Array(_));
    let part = match target {
        Some(target) => output.get(target),
        None if is_of_status => output.get("status"),
        None => None,
    };
    match (part, target) {
        (Some(part), Some(target)) => cut(&format!("{target} {}", plain(part))),
        (Some(part), None) => cut(&plain(part)),
        (None, _) => cut(&plain(output)),
    }
}

/// What the first line of an exception says.
pub fn failure(run: &serde_json::Map<String, Value>) -> String {
    let lines = run.get("exception").and_then(Value::as_array);
    let line = lines
        .and_then(|lines| lines.last()?.as_str())
        .unwrap_or("it failed");
    let line = line.trim();
    cut(line
        .strip_prefix("chaoslib.exceptions.ActivityFailed: ")
        .unwrap_or(line))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim_end().to_owned(),
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn cut(text: &str) -> String {
    let text = text.replace('\n', " ");
    match text.char_indices().nth(LENGTH) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tolerances_read_as_sentences() {
        for (tolerance, words) in [
            (json!(200), "200"),
            (json!([1, 5]), "1 to 5"),
            (json!([200, 301, 302]), "one of 200, 301, 302"),
            (
                json!({"type": "regex", "target": "stdout", "pattern": "^ok"}),
                "stdout like /^ok/",
            ),
            (
                json!({"type": "range", "target": "body", "range": [0, 1.5]}),
                "body 0 to 1.5",
            ),
            (
                json!({"type": "jsonpath", "path": "$.a", "expect": [1]}),
                "$.a to be [1]",
            ),
            (
                json!({"type": "jsonpath", "path": "$.a", "count": 2}),
                "$.a 2 times",
            ),
        ] {
            assert_eq!(expected(&tolerance), words);
        }
    }

    #[test]
    fn what_was_seen_is_the_part_that_was_asked_for() {
        let output = json!({"status": 503, "body": "no\n"});
        assert_eq!(seen(&json!(200), &output), "503");
        assert_eq!(seen(&json!({"target": "body"}), &output), "body no");
        assert_eq!(seen(&json!(true), &json!(false)), "false");
        assert_eq!(
            seen(&json!("x"), &json!("y".repeat(200))).chars().count(),
            LENGTH + 1
        );
    }
}
