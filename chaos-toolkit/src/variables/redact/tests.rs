//! What of secrets must not be seen, and what is left alone.

use serde_json::{Value, json};

use super::super::Variables;

fn variables(secrets: &Value) -> Variables {
    Variables::new(serde_json::Map::new(), secrets.as_object().unwrap().clone())
}

#[test]
fn secrets_are_hidden_wherever_they_stand() {
    let variables = variables(
        &json!({"g": {"a": "s3cret", "b": ["long s3cret/x"], "c": {"d": "with \"quotes\"\n"}}, "flat": "alone"}),
    );
    assert_eq!(
        variables.redact("s3cret, alone and long s3cret/x"),
        "***, *** and ***"
    );
    assert_eq!(
        variables.redact("http://x/?q=long+s3cret%2Fx&r=long%20s3cret%2Fx"),
        "http://x/?q=***&r=***"
    );
    assert_eq!(variables.redact("bG9uZyBzM2NyZXQveA=="), "***==");
    assert_eq!(
        variables.redact(r#"{"x": "with \"quotes\""}"#),
        r#"{"x": "***"}"#
    );
    assert_eq!(
        variables.redact_value(&json!({"out": {"of": ["a s3cret", 1, null, true]}, "n": 1.5})),
        json!({"out": {"of": ["a ***", 1, null, true]}, "n": 1.5})
    );
}

#[test]
fn one_line_of_a_key_is_as_secret_as_all_of_it() {
    let key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nabc=\n-----END KEY-----\n";
    let variables = variables(&json!({"g": {"key": key}}));
    assert_eq!(
        variables.redact("line 2: MIIEpAIBAAKCAQEA, line 3: abc="),
        "line 2: ***, line 3: abc="
    );
}

#[test]
fn what_is_short_is_not_looked_for() {
    let variables = variables(
        &json!({"g": {"a": "abc", "b": 12345, "c": true, "d": "", "e": "    ", "f": null}}),
    );
    let value = json!({"text": "abc 12345 true", "n": 12345, "t": true});
    assert_eq!(variables.redact_value(&value), value);
}

#[test]
fn numbers_are_hidden_only_as_whole_numbers() {
    let variables = variables(&json!({"g": {"pin": 123_456, "code": "654321"}}));
    assert_eq!(
        variables.redact("pin 123456, not 1123456 nor 1234567"),
        "pin ***, not 1123456 nor 1234567"
    );
    assert_eq!(
        variables.redact("2026-11-22T18:39:02.654321+00:00 654321"),
        "2026-11-22T18:39:02.654321+00:00 ***"
    );
    assert_eq!(
        variables.redact_value(&json!([123_456, 654_321, 1.0, 3])),
        json!(["***", "***", 1.0, 3])
    );
}

#[test]
fn an_experiment_shows_where_secrets_come_from_and_not_what_they_are() {
    let mut variables = variables(&json!({"g": {"a": "from-env", "s": "abc"}}));
    variables
        .configuration
        .insert("vault_token".to_owned(), json!("tok"));
    let experiment = json!({
        "title": "with from-env in it",
        "configuration": {"vault_token": "tok", "other": "tok"},
        "secrets": {
            "g": {"a": {"type": "env", "key": "A"}, "s": "abc", "n": 1, "none": null, "l": ["x"]},
            "v": {"type": "vault", "path": "p"}, "flat": true,
        },
    });
    assert_eq!(
        Value::Object(variables.redact_experiment(experiment.as_object().unwrap())),
        json!({
            "title": "with *** in it",
            "configuration": {"vault_token": "***", "other": "tok"},
            "secrets": {
                "g": {"a": {"type": "env", "key": "A"}, "s": "***", "n": "***", "none": null, "l": "***"},
                "v": {"type": "vault", "path": "p"}, "flat": "***",
            },
        })
    );
}

#[test]
fn without_secrets_nothing_changes() {
    let value = json!({"a": ["b", 1]});
    assert_eq!(variables(&json!({})).redact_value(&value), value);
    assert_eq!(variables(&json!({})).redact("text"), "text");
}

#[test]
fn values_do_not_show_when_they_are_written_for_debugging() {
    assert!(!format!("{:?}", variables(&json!({"g": {"a": "s3cret"}}))).contains("s3cret"));
}

#[test]
fn names_of_a_mapping_stay_unless_they_hold_a_long_secret() {
    let variables = variables(&json!({"g": {"a": "secret", "b": "a-long-token-of-somebody"}}));
    let given = json!({"secrets": "no secret", "x a-long-token-of-somebody": 1});
    assert_eq!(
        variables.redact_value(&given),
        json!({"secrets": "no ***", "x ***": 1})
    );
}
