//! Names in texts beside the reference's reading, and any text at all.

use serde_json::{Value, json};

use super::super::Variables;
use super::substitute;

fn object(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn names_are_replaced_as_by_the_reference() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("../../../testdata/substitute.json")).unwrap();
    let (given, rows) = rows.split_first().unwrap();
    let variables = Variables::new(object(&given["configuration"]), object(&given["secrets"]));
    assert!(rows.len() > 55);
    for row in rows {
        let replaced = substitute(&row["template"], &variables);
        // As text too: 1 and 1.0 are different here.
        assert_eq!(
            replaced.to_string(),
            row["gives"].to_string(),
            "{}",
            row["template"]
        );
    }
}

#[test]
fn a_secret_in_no_group_is_found_by_its_name() {
    let variables = Variables::new(
        object(&json!({})),
        object(&json!({"token": "hush", "group": {"inner": 1}})),
    );
    assert_eq!(
        substitute(&json!(["${token}", "${inner}", "${group}"]), &variables),
        json!(["hush", 1, "${group}"])
    );
}

#[test]
fn any_template_is_taken() {
    let variables = Variables::new(
        object(&json!({"a": "$", "b": {"c": "${a}"}, "a_": 1})),
        object(&json!({})),
    );
    let parts = [
        "$", "{", "}", "a", "b", "_", "é", " ", "1", "$$", "${a}", "\n",
    ];
    // A small generator of numbers with a fixed seed: the same templates each time.
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..20_000 {
        let mut template = String::new();
        for _ in 0..state % 12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            template.push_str(parts[usize::try_from(state >> 33).unwrap() % parts.len()]);
        }
        state = state.wrapping_add(0x2545_f491_4f6c_dd1d).rotate_left(17);
        let replaced = substitute(&Value::String(template.clone()), &variables);
        let dollars = |text: &str| text.matches('$').count();
        if let Value::String(replaced) = replaced {
            assert!(
                dollars(&replaced) <= dollars(&template),
                "{template:?} became {replaced:?}"
            );
            if !template.contains('$') {
                assert_eq!(replaced, template);
            }
        }
    }
}
