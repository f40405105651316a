//! Values beside what Python makes of the same ones.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::{dumps, equal, order, repr, text, truth};

#[derive(serde::Deserialize)]
struct Text {
    value: Value,
    str: String,
    repr: String,
    bool: bool,
}

#[derive(serde::Deserialize)]
struct Pair {
    left: Value,
    right: Value,
    equal: bool,
    gives: Option<bool>,
    raises: Option<String>,
}

#[test]
fn values_read_as_in_python() {
    let rows: Vec<Text> = serde_json::from_str(include_str!("../../testdata/text.json")).unwrap();
    assert!(rows.len() > 40);
    for row in rows {
        assert_eq!(text(&row.value), row.str, "{:?}", row.value);
        assert_eq!(repr(&row.value), row.repr, "{:?}", row.value);
        assert_eq!(truth(&row.value), row.bool, "{:?}", row.value);
    }
}

#[test]
fn values_are_equal_and_in_order_as_in_python() {
    let rows: Vec<Pair> = serde_json::from_str(include_str!("../../testdata/order.json")).unwrap();
    assert!(rows.len() > 800);
    for row in rows {
        let pair = format!("{} and {}", row.left, row.right);
        assert_eq!(equal(&row.left, &row.right), row.equal, "{pair}");
        match order(&row.left, &row.right) {
            Ok(order) => assert_eq!(
                Some(order.is_some_and(Ordering::is_le)),
                row.gives,
                "{pair}"
            ),
            Err(_) => assert_eq!(row.raises.as_deref(), Some("TypeError"), "{pair}"),
        }
    }
}

/// What `json.dumps` of Python 3.11 writes.
#[test]
fn json_is_written_as_python_writes_it() {
    let value = json!({"text": "a \u{e9}\u{1f4a5}\"\\/\n\u{1}\u{7f}", "list": [1, -2.5, 1e16, 1e-7, 100.0, true, null, [], {}]});
    assert_eq!(
        dumps(&value),
        r#"{"text": "a \u00e9\ud83d\udca5\"\\/\n\u0001\u007f", "list": [1, -2.5, 1e+16, 1e-07, 100.0, true, null, [], {}]}"#
    );
}
