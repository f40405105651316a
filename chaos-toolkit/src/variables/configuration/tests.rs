//! Where the values of a configuration come from, and what is said when one is not there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::super::{Environment, Given, VariableError, Variables, load, load_declared};
use crate::provider::python::Python;

fn given(environment: &[(&str, &str)]) -> Given {
    let added: BTreeMap<_, _> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Given {
        environment: Environment::with(added),
        ..Given::default()
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn loaded(experiment: Value, given: Given) -> Result<Variables, VariableError> {
    load(
        &object(&experiment),
        given,
        &Python::new(PathBuf::from("/nowhere/python3")),
    )
    .await
}

#[tokio::test]
async fn values_come_from_the_file_and_the_environment() {
    let experiment = json!({"configuration": {
        "plain": "x", "number": 5, "list": [1], "mapping": {"no": "type"}, "other": {"type": "x", "key": "y"},
        "set": {"type": "env", "key": "HOST_OF_IT"}, "typed": {"type": "env", "key": "PORT_OF_IT", "env_var_type": "int"},
        "default": {"type": "env", "key": "NOT_SET_ANYWHERE", "default": "7", "env_var_type": "float"},
        "nothing": {"type": "env", "key": "NOT_SET_ANYWHERE", "default": null},
    }});
    let variables = loaded(
        experiment,
        given(&[("HOST_OF_IT", "h"), ("PORT_OF_IT", "80")]),
    )
    .await
    .unwrap();
    assert_eq!(
        Value::Object(variables.configuration),
        json!({
            "plain": "x", "number": 5, "list": [1], "mapping": {"no": "type"}, "other": {"type": "x", "key": "y"},
            "set": "h", "typed": 80, "default": 7.0, "nothing": null,
        })
    );
}

#[tokio::test]
async fn what_was_given_replaces_what_the_file_has_and_adds_nothing() {
    let mut given = given(&[("K_OF_IT", "from-k")]);
    given.configuration =
        object(&json!({"a": 2, "b": {"type": "env", "key": "K_OF_IT"}, "unknown": 1}));
    given.secrets = object(&json!({"group": {"type": "env"}, "plain": "given", "unknown": 1}));
    let experiment = json!({
        "configuration": {"a": 1, "b": "x"},
        "secrets": {"group": {"s": "x"}, "plain": "kept", "deep": {"deeper": {"s": {"type": "env", "key": "K_OF_IT"}}}},
    });
    let variables = loaded(experiment, given).await.unwrap();
    assert_eq!(
        Value::Object(variables.configuration),
        json!({"a": 2, "b": "from-k"})
    );
    assert_eq!(
        Value::Object(variables.secrets),
        json!({"group": {"type": "env"}, "plain": "kept", "deep": {"deeper": {"s": "from-k"}}})
    );
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named() {
    for (experiment, expected) in [
        (
            json!({"configuration": {"a": {"type": "env", "key": "NOT_SET_ANYWHERE"}}}),
            "configuration `a` is to come from the environment variable NOT_SET_ANYWHERE, which is not set; \
             set it, or give a `default`",
        ),
        (
            json!({"secrets": {"g": {"a": {"type": "env", "key": "NOT_SET_ANYWHERE"}}}}),
            "secret `a` is to come from the environment variable NOT_SET_ANYWHERE, which is not set",
        ),
        (
            json!({"configuration": {"a": {"type": "env"}}}),
            "/configuration/a is of type env and must have a `key`: the name of an environment variable",
        ),
        (
            json!({"configuration": {"a": {"type": "env", "key": "X", "default": 1, "env_var_type": "date"}}}),
            "`date` is not a type of `a`: write str, int, float, bytes, bool or json",
        ),
        (
            json!({"configuration": []}),
            "configuration must be a mapping of names to values, not a list",
        ),
        (
            json!({"configuration": {"a": {"type": "probe", "name": "p"}}}),
            "configuration `a` is of type probe and must have a `provider`",
        ),
    ] {
        assert_eq!(
            loaded(experiment, Given::default())
                .await
                .unwrap_err()
                .to_string(),
            expected
        );
    }
}

#[tokio::test]
async fn probes_find_values_from_what_stands_above_them() {
    let print = |arguments: &str| json!({"type": "probe", "name": "p", "provider": {"type": "process", "path": "printf", "arguments": [arguments]}});
    let experiment = json!({
        "configuration": {
            "below": print("${last}|${first}"), "first": "1", "second": print("  ${first}+${token}\n\n"),
            "failing": {"type": "probe", "name": "p", "provider": {"type": "process", "path": "false"}},
            "absent": {"type": "probe", "name": "p", "provider": {"type": "process", "path": "no-such-program-at-all"}},
            "unknown": {"type": "probe", "name": "p", "provider": {"type": "carrier-pigeon"}},
            "last": print("${second}"),
        },
        "secrets": {"g": {"token": "tok-en"}},
    });
    let variables = loaded(experiment, Given::default()).await.unwrap();
    assert_eq!(
        Value::Object(variables.configuration),
        json!({"below": "${last}|${first}", "first": "1", "second": "1+tok-en", "last": "1+tok-en"})
    );
    assert_eq!(variables.notices.len(), 2, "{:?}", variables.notices);
    assert!(
        variables.notices[0].starts_with("configuration `failing` is left out: its probe failed: ")
    );
}

#[tokio::test]
async fn declared_values_are_had_without_asking_probes() {
    let marker = tempfile::tempdir().unwrap();
    let touched = marker.path().join("touched");
    let experiment = json!({"configuration": {
        "a": {"type": "probe", "name": "p", "provider": {"type": "process", "path": "touch", "arguments": [touched.to_str()]}},
    }});
    let variables = load_declared(&object(&experiment), Given::default())
        .await
        .unwrap();
    assert_eq!(variables.configuration["a"]["type"], "probe");
    assert!(!touched.exists());
    loaded(experiment, Given::default()).await.unwrap();
    assert!(touched.exists());
}
