//! Values beside what Python makes of the same ones.

use std::cmp::Ordering;

use serde_json::Value;

use super::{equal, order, repr, text, truth};

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
