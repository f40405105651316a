//! Tolerances beside those of the reference, and what is said of wrong ones.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::within;
use crate::document::Document;
use crate::experiment::{Unasked, check};
use crate::provider::python::Python;
use crate::provider::{Stopped, Thread};
use crate::variables::Variables;

#[derive(serde::Deserialize)]
struct Row {
    tolerance: Value,
    value: Value,
    gives: Option<bool>,
    raises: Option<String>,
}

#[derive(serde::Deserialize)]
struct ShapeRow {
    tolerance: Value,
    valid: Option<bool>,
}

/// What is said of a tolerance when an experiment is looked at: of which key of it, and what.
fn wrong(tolerance: &Value) -> Vec<(String, String)> {
    const TOLERANCE: &str = "/steady-state-hypothesis/probes/0/tolerance";
    let provider = json!({"type": "process", "path": "/bin/sh"});
    let probe = json!({"type": "probe", "name": "p", "provider": provider, "tolerance": tolerance});
    let hypothesis = json!({"title": "t", "probes": [probe]});
    let experiment = json!({"title": "t", "description": "d", "steady-state-hypothesis": hypothesis, "method": []});
    let document = Document::unwritten("", experiment);
    let checked = futures::executor::block_on(check(&document, None, &Unasked));
    let problems = checked.problems.into_iter();
    problems
        .map(|problem| {
            let key = problem.pointer.strip_prefix(TOLERANCE).unwrap();
            (key.to_owned(), problem.what)
        })
        .collect()
}

async fn met(tolerance: &Value, value: &Value, variables: &Variables) -> Result<bool, Stopped> {
    within(
        tolerance,
        value,
        variables,
        &Python::new(PathBuf::from("/nowhere/python3")),
        Thread::Main,
    )
    .await
}

#[tokio::test]
async fn values_are_within_tolerances_as_for_the_reference() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../../testdata/within.json")).unwrap();
    assert!(rows.len() > 1500);
    let mut wrong = Vec::new();
    for row in rows {
        let met = met(&row.tolerance, &row.value, &Variables::default()).await;
        let same = match &met {
            Ok(met) => Some(*met) == row.gives,
            Err(Stopped::Crashed(_)) => row.raises.is_some(),
            Err(_) => false,
        };
        if !same {
            wrong.push(format!(
                "{} with {}: {met:?}, not {:?} {:?}",
                row.value, row.tolerance, row.gives, row.raises
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn shapes_are_right_as_for_the_reference() {
    let rows: Vec<ShapeRow> =
        serde_json::from_str(include_str!("../../testdata/shape.json")).unwrap();
    assert!(rows.len() > 75);
    // A pattern that Python's engine refuses and ours has a meaning for.
    let more = [r"(?<=a|bc)x"];
    for row in rows {
        let more = row.tolerance["pattern"]
            .as_str()
            .is_some_and(|pattern| more.contains(&pattern));
        let valid = row.valid.unwrap_or(false) || more;
        assert_eq!(wrong(&row.tolerance).is_empty(), valid, "{}", row.tolerance);
    }
}

#[test]
fn what_is_wrong_with_a_tolerance_is_said() {
    for (tolerance, key, expected) in [
        (
            json!(1.5),
            None,
            "a tolerance that is a number is a whole one",
        ),
        (
            json!({}),
            None,
            "a tolerance that is a mapping needs `type`",
        ),
        (
            json!({"type": "regexp"}),
            Some("type"),
            "`regexp` is not a type of tolerance: it is `probe`, `regex`, `jsonpath` or `range`",
        ),
        (
            json!({"type": "regex"}),
            None,
            "a tolerance of type regex needs `pattern`",
        ),
        (
            json!({"type": "jsonpath", "path": "$.a == 1"}),
            Some("path"),
            "the path `$.a == 1` cannot be used: `.`, `..`, `[` or the end is expected, not `=`, at character 5",
        ),
        (
            json!({"type": "jsonpath", "path": "$[?(@.a == 1)]"}),
            Some("path"),
            "the path `$[?(@.a == 1)]` cannot be used: a value, `$` or `@` is expected, not `=`; equality is one `=`, \
             at character 10",
        ),
        (
            json!({"type": "jsonpath", "path": "$['a']"}),
            Some("path"),
            "the path `$['a']` cannot be used: names are quoted with \", not with ', at character 3",
        ),
        (
            json!({"type": "range", "range": [1]}),
            Some("range"),
            "the `range` of a tolerance of type range is a list of two numbers, and this has 1 values",
        ),
        (
            json!({"type": "range", "range": [1, "2"]}),
            Some("range/1"),
            "the upper bound of a range is a number, and this is a text",
        ),
    ] {
        let said = [(
            key.map_or_else(String::new, |key| format!("/{key}")),
            expected.to_owned(),
        )];
        assert_eq!(wrong(&tolerance), said);
    }
}

#[tokio::test]
async fn what_python_would_not_compare_is_said() {
    for (tolerance, value, expected) in [
        (
            json!([1, 5]),
            json!("3"),
            "a tolerance of two items is a range, and a number and a text cannot be put in order",
        ),
        (
            json!({"type": "regex", "pattern": "x"}),
            json!(5),
            "a pattern is looked for in a text, and the value is a number",
        ),
        (
            json!({"type": "regex", "pattern": "x", "target": "body"}),
            json!("x"),
            "a target is a part of a mapping, and the value is a text",
        ),
        (
            json!({"type": "range", "range": [0, 1]}),
            json!(null),
            "the value of a range must be a number, and is nothing",
        ),
    ] {
        let stopped = met(&tolerance, &value, &Variables::default())
            .await
            .unwrap_err();
        assert_eq!(stopped, Stopped::Crashed(expected.to_owned()));
    }
}

#[tokio::test]
async fn names_are_replaced_in_tolerances() {
    let configuration = json!({
        "status": 200, "many": [200, 201], "word": "ready", "mapping": {"type": "range", "range": [0, 9]}, "n": [1, 2],
    });
    let variables = Variables::new(
        configuration.as_object().unwrap().clone(),
        serde_json::Map::new(),
    );
    for (tolerance, value, expected) in [
        (json!("${status}"), json!({"status": 200}), true),
        (json!("${many}"), json!({"status": 201}), true),
        (json!("${mapping}"), json!("8"), true),
        (json!("not ${word}"), json!("not ready"), true),
        // Only a tolerance that is a text as a whole.
        (json!(["${status}"]), json!({"status": 200}), false),
        (
            json!({"type": "regex", "pattern": "^${word}$"}),
            json!("ready"),
            true,
        ),
        (
            json!({"type": "jsonpath", "path": "$.${word}", "expect": "${status}"}),
            json!({"ready": 200}),
            true,
        ),
        (
            json!({"type": "jsonpath", "path": "$[*]", "expect": "${n}"}),
            json!([1, 2]),
            true,
        ),
    ] {
        assert_eq!(
            met(&tolerance, &value, &variables).await,
            Ok(expected),
            "{tolerance}"
        );
    }
}

#[tokio::test]
async fn a_probe_is_given_the_value_and_says_yes_or_no() {
    let probe = |provider: Value| json!({"type": "probe", "name": "p", "provider": provider});
    let variables = Variables::default();
    // What a process gives is never nothing.
    let yes = probe(json!({"type": "process", "path": "false", "arguments": {}}));
    assert_eq!(met(&yes, &json!(1), &variables).await, Ok(true));
    let directory = tempfile::tempdir().unwrap();
    let seen = directory.path().join("seen");
    let script = format!("printf '%s ' \"$@\" > {}", seen.display());
    let arguments = json!({"-c": script, "name": "x"});
    let writes = probe(json!({"type": "process", "path": "sh", "arguments": arguments}));
    assert_eq!(
        met(&writes, &json!([true, "a"]), &variables).await,
        Ok(true)
    );
    assert_eq!(
        std::fs::read_to_string(seen).unwrap(),
        "x value [True, 'a'] "
    );
    let late = probe(
        json!({"type": "process", "path": "sh", "arguments": {"-c": "sleep 1000"}, "timeout": 0.05}),
    );
    assert_eq!(met(&late, &json!(""), &variables).await, Ok(false));
    let absent = probe(json!({"type": "process", "path": "no-such-program"}));
    assert!(matches!(
        met(&absent, &json!(1), &variables).await,
        Err(Stopped::Crashed(_))
    ));
    let unknown = probe(json!({"type": "carrier-pigeon"}));
    assert_eq!(met(&unknown, &json!(1), &variables).await, Ok(false));
    let line = probe(json!({"type": "process", "path": "echo", "arguments": "x"}));
    assert!(matches!(
        met(&line, &json!(1), &variables).await,
        Err(Stopped::Crashed(_))
    ));
}

#[tokio::test]
async fn any_tolerance_is_met_or_not_or_refused() {
    let words = [
        "$",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "*",
        "+",
        "?",
        "|",
        "^",
        "\\",
        "a",
        "1",
        ",",
        "-",
        ".",
        "é",
        "\n",
        "(?:",
        "[^",
        "\\d",
        "\\Z",
        "\\",
        "{1,",
        "2}",
        "1e",
        "inf",
        "nan",
        "_",
        " ",
        "99999999999999999999",
        "${x}",
    ];
    // A small generator of numbers with a fixed seed: the same tolerances each time.
    let mut state: u64 = 0x5eed_0000_0000_0002;
    let mut next = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let variables = Variables::new(
        json!({"x": [1, "a"]}).as_object().unwrap().clone(),
        serde_json::Map::new(),
    );
    let scalars = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1.5),
        json!(1e300),
        json!(u64::MAX),
        json!([]),
        json!({"status": 1}),
        json!({"t": "1"}),
    ];
    let (mut valid, mut answered) = (0, 0);
    for _ in 0..6_000 {
        let mut text = || {
            (0..next(8))
                .map(|_| words[next(words.len())])
                .collect::<String>()
        };
        let (first, second) = (text(), text());
        let mut scalar = || scalars[next(scalars.len())].clone();
        let tolerance = match scalar() {
            Value::Null => json!({"type": "regex", "pattern": first}),
            Value::Bool(_) => json!({"type": "regex", "pattern": first, "target": "t"}),
            Value::Number(_) => {
                json!({"type": "range", "range": [scalar(), scalar()]})
            }
            Value::Array(_) => json!([scalar(), first]),
            _ => json!({"type": "jsonpath", "path": first, "expect": scalar(), "count": scalar()}),
        };
        let value = match scalar() {
            Value::Null | Value::Bool(_) | Value::Array(_) => json!(second),
            other => other,
        };
        valid += usize::from(wrong(&tolerance).is_empty());
        answered += usize::from(met(&tolerance, &value, &variables).await.is_ok());
    }
    assert!(
        valid > 1000 && answered > 500,
        "{valid} valid, {answered} answered: this tests little"
    );
}
