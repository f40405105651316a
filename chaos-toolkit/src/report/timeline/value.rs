//! Numbers in what probes saw, and those that were expected.

use serde_json::Value;

use super::super::journal::Run;

/// What a probe saw, where that is a number: what its tolerance looks at, else itself, a status, or what a process printed.
pub(super) fn value(run: &Run) -> Option<f64> {
    if run.failed() {
        return None;
    }
    let tolerance = run.activity.tolerance.as_ref();
    let target = tolerance.and_then(|tolerance| tolerance.get("target")?.as_str());
    let value = match (target, &run.output) {
        (Some(target), output) => output.get(target).unwrap_or(output),
        (None, output @ Value::Object(of)) => match (of.get("stdout"), of.get("status"), tolerance)
        {
            (Some(printed), _, None) => printed,
            (_, Some(status), _) => status,
            _ => output,
        },
        (None, output) => output,
    };
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// The numbers between which a value was expected.
pub(super) fn band(run: &Run) -> Option<(f64, f64)> {
    let tolerance = run.activity.tolerance.as_ref()?;
    let pair = |of: &[Value]| match of {
        [from, to] => Some((from.as_f64()?, to.as_f64()?)),
        _ => None,
    };
    match tolerance {
        Value::Number(number) => number.as_f64().map(|number| (number, number)),
        Value::Array(of) if run.output.get("status").is_none() => pair(of),
        Value::Object(of) if of.get("type").and_then(Value::as_str) == Some("range") => {
            pair(of.get("range")?.as_array()?)
        }
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::String(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::read::read;
    use super::*;

    fn run(tolerance: &Value, output: &Value) -> Run {
        let journal = json!({ "experiment": {}, "run": [
            { "activity": { "type": "probe", "tolerance": tolerance }, "status": "succeeded", "output": output },
        ] });
        read("j", &journal.to_string()).unwrap().runs.remove(0)
    }

    #[test]
    fn a_number_is_found_where_the_tolerance_looks() {
        let none = Value::Null;
        let cases = [
            (none.clone(), json!(4.5), Some(4.5)),
            (none.clone(), json!("7"), Some(7.0)),
            (none.clone(), json!(true), None),
            (
                none.clone(),
                json!({ "status": 0, "stdout": "12\n" }),
                Some(12.0),
            ),
            (none.clone(), json!({ "status": 0, "stdout": "no" }), None),
            (none, json!({ "status": 503 }), Some(503.0)),
            (json!(0), json!({ "status": 1, "stdout": "12" }), Some(1.0)),
            (
                json!({ "type": "range", "target": "stdout", "range": [1, 2] }),
                json!({ "status": 1, "stdout": "1.5" }),
                Some(1.5),
            ),
        ];
        for (tolerance, output, wanted) in cases {
            assert_eq!(
                value(&run(&tolerance, &output)),
                wanted,
                "{tolerance} {output}"
            );
        }
    }

    #[test]
    fn a_band_is_what_was_expected_in_numbers() {
        let cases = [
            (json!(200), json!({ "status": 1 }), Some((200.0, 200.0))),
            (json!([1, 5]), json!(3), Some((1.0, 5.0))),
            (json!([200, 201]), json!({ "status": 200 }), None),
            (
                json!({ "type": "range", "range": [0, 0.5] }),
                json!(3),
                Some((0.0, 0.5)),
            ),
            (json!({ "type": "regex", "pattern": "x" }), json!("x"), None),
            (json!("x"), json!("x"), None),
        ];
        for (tolerance, output, wanted) in cases {
            assert_eq!(
                band(&run(&tolerance, &output)),
                wanted,
                "{tolerance} {output}"
            );
        }
    }
}
