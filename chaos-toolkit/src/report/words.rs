//! Values of a journal in words: what somebody does, what was expected, what was seen.

use serde_json::{Map, Value};

use super::journal::{Activity, Run};

/// Longer values are cut where there is a line for them, and whole where they are folded.
const SHORT: usize = 120;

/// What kind of value this is, for a sentence.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A text as it is, anything else as JSON in one line.
pub(super) fn plain(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    text.unwrap_or_else(|| value.to_string())
}

/// Whole, over as many lines as it takes.
pub(super) fn pretty(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()),
    }
}

/// A number without a hundred digits.
pub(super) fn number(number: f64) -> String {
    let size = number.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-6) {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

/// One line of it, cut where it is long.
pub(super) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHORT {
        return line;
    }
    let cut: String = line.chars().take(SHORT - 1).collect();
    format!("{}…", cut.trim_end())
}

pub(super) fn is_chaos(activity: &Activity) -> bool {
    activity.provider.get("type").and_then(Value::as_str) == Some("chaos")
}

/// What somebody does, in one line.
pub(super) fn provider(of: &Map<String, Value>) -> String {
    let text = |key: &str| of.get(key).filter(|value| !value.is_null()).map(plain);
    let said = match text("type").as_deref() {
        Some("http") => format!(
            "{} {}",
            text("method").unwrap_or_else(|| "GET".to_owned()),
            text("url").unwrap_or_default()
        ),
        Some("process") => {
            let arguments = of.get("arguments").filter(|value| !value.is_null());
            let arguments = arguments.map(line_of_arguments).unwrap_or_default();
            format!("{} {arguments}", text("path").unwrap_or_default())
        }
        Some("python") => {
            let arguments = of.get("arguments").and_then(Value::as_object);
            let arguments: Vec<_> = arguments
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let function = text("func").map(|func| format!(".{func}({})", arguments.join(", ")));
            format!(
                "{}{}",
                text("module").unwrap_or_default(),
                function.unwrap_or_default()
            )
        }
        Some("chaos") => {
            let others = of
                .iter()
                .filter(|(key, _)| !["type", "fault"].contains(&key.as_str()));
            let others: Vec<_> = others
                .map(|(key, value)| format!("{key} {}", plain(value)))
                .collect();
            format!(
                "{}: {}",
                text("fault").unwrap_or_default(),
                others.join(", ")
            )
        }
        Some(other) => other.to_owned(),
        None => String::new(),
    };
    said.trim().to_owned()
}

fn line_of_arguments(value: &Value) -> String {
    match value {
        Value::Array(words) => words.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Object(options) => {
            let options = options.iter();
            let pairs = options.map(|(key, value)| {
                if value.is_null() {
                    key.clone()
                } else {
                    format!("{key} {}", plain(value))
                }
            });
            pairs.collect::<Vec<_>>().join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => plain(value),
    }
}

/// What was expected. A list of two is a range, unless what is looked at has a status: the reference's rule.
pub(super) fn expected(activity: &Activity, output: Option<&Value>) -> String {
    let Some(tolerance) = &activity.tolerance else {
        return "anything".to_owned();
    };
    let has_status = match output {
        Some(output) => output.get("status").is_some(),
        None => matches!(
            activity.provider.get("type").and_then(Value::as_str),
            Some("http" | "process")
        ),
    };
    match tolerance {
        Value::Number(number) if has_status => format!("status {number}"),
        Value::Array(of) if has_status => format!("status {}", one_of(of)),
        Value::Array(of) => match &of[..] {
            [from, to] => format!("{} to {}", plain(from), plain(to)),
            _ => one_of(of),
        },
        Value::Object(of) => of_type(of),
        Value::String(text) => format!("“{text}”"),
        Value::Null | Value::Bool(_) | Value::Number(_) => tolerance.to_string(),
    }
}

fn one_of(of: &[Value]) -> String {
    match of {
        [] => "nothing".to_owned(),
        [one] => plain(one),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(plain).collect();
            format!("{} or {}", first.join(", "), plain(last))
        }
    }
}

fn of_type(of: &Map<String, Value>) -> String {
    let text = |key: &str| of.get(key).filter(|value| !value.is_null()).map(plain);
    let target = text("target")
        .map(|target| format!("{target} "))
        .unwrap_or_default();
    match text("type").as_deref() {
        Some("regex") => format!("{target}matches /{}/", text("pattern").unwrap_or_default()),
        Some("range") => match of.get("range").and_then(Value::as_array).map(Vec::as_slice) {
            Some([from, to]) => format!("{target}from {} to {}", plain(from), plain(to)),
            _ => format!("{target}in {}", text("range").unwrap_or_default()),
        },
        Some("jsonpath") => {
            let path = text("path").unwrap_or_default();
            match (text("expect"), text("count")) {
                (Some(expect), _) => format!("{target}{path} is {expect}"),
                (None, Some(count)) => format!("{target}{path} is there {count} ×"),
                (None, None) => format!("{target}{path} is there"),
            }
        }
        Some("probe") => format!(
            "{} says yes",
            text("name").unwrap_or_else(|| "a probe".to_owned())
        ),
        Some(_) | None => short(&Value::Object(of.clone()).to_string()),
    }
}

/// The last line of an exception is what happened; those before it say where.
pub(super) fn cause(exception: &str) -> String {
    let mut lines = exception.lines().rev();
    let last = lines
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim();
    let bare = last.strip_prefix("chaoslib.exceptions.").unwrap_or(last);
    short(bare.strip_prefix("ActivityFailed: ").unwrap_or(bare))
}

/// What a run saw, in one line.
pub(super) fn saw(run: &Run) -> String {
    if let Some(exception) = &run.exception {
        return cause(exception);
    }
    if run.failed() {
        return run.status.clone();
    }
    let target = run
        .activity
        .tolerance
        .as_ref()
        .and_then(|tolerance| tolerance.get("target"));
    let looked_at = target.and_then(|target| run.output.get(target.as_str()?));
    if let Some(value) = looked_at {
        return short(&plain(value));
    }
    let is_by_status = run.activity.tolerance.as_ref().is_some_and(by_status);
    if let Some(status) = run.output.get("status").filter(|_| is_by_status) {
        return format!("status {}", plain(status));
    }
    if run.output.is_null() {
        return "nothing".to_owned();
    }
    let said = short(&plain(&run.output));
    if said.is_empty() {
        "an empty text".to_owned()
    } else {
        said
    }
}

fn by_status(tolerance: &Value) -> bool {
    tolerance.is_number() || tolerance.is_array()
}

/// What a counter counts, as it stands behind its number: one of it has no plural.
pub(super) fn counted(number: &str, name: &str) -> String {
    if number != "1" {
        return name.to_owned();
    }
    let words = name.split(' ').map(|word| match word {
        "packets" | "bytes" | "requests" | "errors" | "connections" => &word[..word.len() - 1],
        other => other,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A count with its noun.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn probe(provider: &Value, tolerance: Value) -> Activity {
        Activity {
            name: "p".to_owned(),
            kind: "probe".to_owned(),
            provider: provider.as_object().unwrap().clone(),
            tolerance: Some(tolerance),
            is_background: false,
            pauses: [None, None],
            is_undo: false,
        }
    }

    #[test]
    fn what_was_expected_is_said_by_the_rules_of_the_format() {
        let http = json!({ "type": "http", "url": "http://x/" });
        let python = json!({ "type": "python", "module": "m", "func": "f" });
        let cases = [
            (&http, json!(200), "status 200"),
            (&http, json!([200, 201]), "status 200 or 201"),
            (&python, json!([1, 5]), "1 to 5"),
            (&python, json!(["a", "b", "c"]), "a, b or c"),
            (&python, json!(true), "true"),
            (&python, json!("yes"), "“yes”"),
            (
                &http,
                json!({ "type": "regex", "target": "body", "pattern": "^ok" }),
                "body matches /^ok/",
            ),
            (
                &http,
                json!({ "type": "range", "target": "stdout", "range": [1, 2.5] }),
                "stdout from 1 to 2.5",
            ),
            (
                &http,
                json!({ "type": "jsonpath", "path": "$.a", "expect": [1] }),
                "$.a is [1]",
            ),
            (
                &http,
                json!({ "type": "jsonpath", "path": "$.a", "count": 2 }),
                "$.a is there 2 ×",
            ),
            (
                &http,
                json!({ "type": "probe", "name": "judge" }),
                "judge says yes",
            ),
        ];
        for (provider, tolerance, wanted) in cases {
            assert_eq!(expected(&probe(provider, tolerance), None), wanted);
        }
        let of_number = probe(&http, json!(5));
        assert_eq!(expected(&of_number, Some(&json!(5))), "5");
    }

    #[test]
    fn who_does_it_is_said_in_a_line() {
        let cases = [
            (
                json!({ "type": "http", "url": "http://x/" }),
                "GET http://x/",
            ),
            (
                json!({ "type": "process", "path": "ls", "arguments": { "-l": null, "--color": "no" } }),
                "ls -l --color no",
            ),
            (json!({ "type": "process", "path": "true" }), "true"),
            (
                json!({ "type": "python", "module": "os", "func": "stat", "arguments": { "path": "/" } }),
                "os.stat(path=\"/\")",
            ),
            (
                json!({ "type": "chaos", "fault": "delay", "latency": "100ms", "service": "web" }),
                "delay: latency 100ms, service web",
            ),
            (json!({}), ""),
        ];
        for (of, wanted) in cases {
            assert_eq!(provider(of.as_object().unwrap()), wanted);
        }
    }

    #[test]
    fn the_last_line_of_an_exception_is_the_cause() {
        let lines = "Traceback (most recent call last):\n  File \"x\"\nchaoslib.exceptions.ActivityFailed: no such file\n\n";
        assert_eq!(cause(lines), "no such file");
        assert_eq!(cause(""), "");
    }
}
