//! What the command line says of variables, beside the reference's reading of types.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::VariableError;
use super::{Given, convert};

#[derive(serde::Deserialize)]
struct Row {
    r#type: Option<String>,
    value: Value,
    gives: Option<Value>,
    raises: Option<String>,
}

fn file(directory: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::File::create(&path)
        .unwrap()
        .write_all(content.as_bytes())
        .unwrap();
    path
}

#[test]
fn types_are_made_as_by_the_reference() {
    let rows: Vec<Row> =
        serde_json::from_str(include_str!("../../../testdata/convert.json")).unwrap();
    assert!(rows.len() > 300);
    for row in rows {
        let converted = convert("x", row.r#type.as_deref(), row.value.clone());
        let case = format!("{} as {:?}", row.value, row.r#type);
        match (converted, row.raises) {
            (Ok(converted), None) => {
                assert_eq!(
                    converted.to_string(),
                    row.gives.unwrap_or(Value::Null).to_string(),
                    "{case}"
                );
            }
            (Err(_), Some(_)) => {}
            (converted, raises) => panic!("{case}: {converted:?}, and the reference: {raises:?}"),
        }
    }
}

#[test]
fn variables_are_read_from_the_command_line() {
    let given = [
        "a=1",
        "b:int=2",
        "c:d:float=1e3",
        "e=",
        "f=x=y:z",
        "g:bool=no",
        "h:json=[1]",
        "i:bytes=é",
        "a=2",
    ]
    .map(str::to_owned);
    let given = Given::read::<PathBuf>(&given, &[]).unwrap();
    assert_eq!(
        Value::Object(given.configuration),
        json!({"a": "2", "b": 2, "c:d": 1000.0, "e": "", "f": "x=y:z", "g": false, "h": [1], "i": "é"})
    );
}

#[test]
fn what_is_no_variable_is_refused() {
    for (given, expected) in [
        (
            "a",
            "`a` is not a variable: write name=value, or name:type=value",
        ),
        (
            "a:date=1",
            "`date` is not a type of `a`: write str, int, float, bytes, bool or json",
        ),
        (
            "a:int=hush",
            "the value of `a` cannot be read as a whole number: it is no whole number in digits",
        ),
        (
            "a:int=99999999999999999999",
            "the value of `a` cannot be read as a whole number: it does not fit into 64 bits",
        ),
        (
            "a:float=nan",
            "the value of `a` cannot be read as a number: it is no finite number in digits",
        ),
    ] {
        let error = Given::read::<PathBuf>(&[given.to_owned()], &[])
            .err()
            .unwrap();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn later_files_go_before_earlier_ones_and_the_command_line_before_all() {
    let directory = tempfile::tempdir().unwrap();
    let files = [
        file(
            &directory,
            "a.yaml",
            "configuration:\n  a: 1\n  b: 1\n  c: {type: env, key: K}\nsecrets:\n  g: {s: x}\n",
        ),
        file(
            &directory,
            "b.json",
            r#"{"configuration": {"b": 2, "d": 2}, "other": 1}"#,
        ),
        file(
            &directory,
            ".env",
            "# a comment\n\n  PORT=80 \nQUOTED=\"a=b\"\n",
        ),
        file(&directory, "empty.yml", "# nothing\n"),
    ];
    let given = Given::read(&["d=3".to_owned()], &files).unwrap();
    assert_eq!(
        Value::Object(given.configuration),
        json!({"a": 1, "b": 2, "c": {"type": "env", "key": "K"}, "d": "3"})
    );
    assert_eq!(Value::Object(given.secrets), json!({"g": {"s": "x"}}));
    let added: Vec<_> = given.environment.added().collect();
    assert_eq!(added, [("PORT", "80"), ("QUOTED", "\"a=b\"")]);
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let broken = file(&directory, "broken.json", "{");
    let said = Given::read(&[], &[broken]).err().unwrap().to_string();
    assert!(
        said.contains("broken.json") && said.contains(":1:2"),
        "{said}"
    );
    let missing = directory.path().join("missing.env");
    let said = Given::read(&[], &[missing]).err().unwrap().to_string();
    assert!(
        said.contains("missing.env cannot be read: No such file"),
        "{said}"
    );
}

#[test]
fn files_that_say_something_else_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (name, content, expected) in [
        (
            "list.json",
            "[1]",
            "must be a mapping with `configuration` and `secrets`, not a list",
        ),
        (
            "null.yaml",
            "configuration:\n",
            "`configuration` must be a mapping, not nothing",
        ),
        ("plain.env", "A=1\nB\n", "must be NAME=value"),
    ] {
        let path = file(&directory, name, content);
        let error = Given::read(&[], &[path]).err().unwrap();
        let VariableError::File { what, line, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(what, expected);
        assert_eq!(*line, (name == "plain.env").then_some(2));
    }
}

/// Read as the reference reads YAML, and as an experiment is read here.
#[test]
fn values_of_a_file_are_those_that_an_experiment_would_have() {
    let directory = tempfile::tempdir().unwrap();
    let text = "configuration: {a: yes, b: 017, c: 1:30, d: 0o17, e: one, e: two}\n";
    let path = file(&directory, "v.yaml", text);
    let given = Given::read(&[], &[path]).unwrap();
    assert_eq!(
        Value::Object(given.configuration),
        json!({"a": true, "b": 15, "c": 90, "d": "0o17", "e": "two"})
    );
}

#[test]
fn a_mapping_by_another_name_is_said_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "v.YAML", "configuration: {}\n");
    let refused = Given::read(&[], &[path]).err().unwrap().to_string();
    assert!(
        refused
            .ends_with("for a mapping its name must end in .json, .yaml or .yml, in small letters"),
        "{refused}"
    );
}
