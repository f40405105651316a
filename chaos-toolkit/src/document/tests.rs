//! What texts are as values, and where things stand in them. Compared with Python once; the table keeps it.

use std::fmt::Write as _;

use serde_json::json;

use super::Format::{Json, Yaml};
use super::*;

fn yaml(text: &str) -> Document {
    Document::read("x", text, Format::Yaml).unwrap()
}

fn refused(text: &str, format: Format) -> String {
    match Document::read("x", text, format) {
        Ok(document) => panic!("{text:?} is {}", document.value),
        Err(problem) => problem.to_string(),
    }
}

/// Scalars, and what `PyYAML`'s `safe_load` makes of them.
#[test]
fn scalars_are_those_of_yaml_1_1() {
    let table = [
        (
            "yes On TRUE true y n tRUE oN",
            json!([true, true, true, true, "y", "n", "tRUE", "oN"]),
        ),
        ("no off FALSE Off", json!([false, false, false, false])),
        (
            "~ null Null NULL nULL",
            json!([null, null, null, null, "nULL"]),
        ),
        (
            "017 0o17 09 0b101 0x1F 0_7 1_000 +5 -0",
            json!([15, "0o17", "09", 5, 31, 7, 1000, 5, 0]),
        ),
        (
            "1:30 0:30 1:60 190:20:30 -1:30 1:30.5",
            json!([90, "0:30", "1:60", 685_230, -90, 90.5]),
        ),
        (
            "1e3 1.0e3 1.0e+3 1. .5 -.5 1_0.5",
            json!(["1e3", "1.0e3", 1000.0, 1.0, 0.5, "-.5", 10.5]),
        ),
        ("2001-12-14 2001-1-2", json!(["2001-12-14", "2001-1-2"])),
        (
            "2001-12-14t21:59:43.10-05:00 2001-1-2T3:04:05Z 2001-12-14T21:59:43",
            json!([
                "2001-12-14T21:59:43.100000-05:00",
                "2001-01-02T03:04:05+00:00",
                "2001-12-14T21:59:43"
            ]),
        ),
        (
            "18446744073709551615 -9223372036854775808",
            json!([u64::MAX, i64::MIN]),
        ),
    ];
    for (words, values) in table {
        let list = words.replace(' ', "\n- ");
        assert_eq!(yaml(&format!("- {list}\n")).value, values, "{words}");
    }
}

#[test]
fn tags_and_quotes_say_what_a_scalar_is() {
    let table = [
        ("!!str 5", json!("5")),
        ("'5'", json!("5")),
        ("\"yes\"", json!("yes")),
        ("!!int '5'", json!(5)),
        ("!!float 5", json!(5.0)),
        ("!!bool 'ON'", json!(true)),
        ("!!null anything", json!(null)),
        ("!!timestamp '2001-1-2'", json!("2001-01-02")),
        ("! '5'", json!(5)),
        ("!!seq [1]", json!([1])),
        ("!!map {a: 1}", json!({"a": 1})),
        ("|\n  5\n", json!("5\n")),
    ];
    for (text, value) in table {
        assert_eq!(
            yaml(&format!("a: {text}")).value,
            json!({"a": value}),
            "{text}"
        );
    }
}

#[test]
fn keys_are_printed_as_json_has_them() {
    let document = yaml("yes: 1\n~: 2\n1.50: 3\n017: 4\n=: 5\n'<<': 6\n");
    let keys: Vec<_> = document.value.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["true", "null", "1.5", "15", "=", "<<"]);
}

#[test]
fn aliases_and_merges_become_what_they_stand_for() {
    let text = "\
base: &base {a: 1, b: 2}
more: &more {b: 3, c: 4}
one: {<<: *base, b: 5}
two: {d: 6, <<: [*base, *more]}
three: [*base, &five 5, *five]
";
    let document = yaml(text);
    let value = &document.value;
    assert_eq!(value["one"].to_string(), r#"{"a":1,"b":5}"#);
    assert_eq!(value["two"].to_string(), r#"{"b":2,"c":4,"a":1,"d":6}"#);
    assert_eq!(value["three"], json!([{"a": 1, "b": 2}, 5, 5]));
    // What is wrong is put right where it is written.
    assert_eq!(document.place("/two/c"), Some(lines::place(2, 23)));
    assert_eq!(document.place("/three/0/b"), Some(lines::place(1, 23)));
    assert!(document.repeated.is_empty());
}

#[test]
fn the_last_of_equal_keys_wins_and_stands_where_the_first_did() {
    for (text, format) in [
        ("{\"a\": {\"x\": 1}, \"b\": 2,\n \"a\": 3}", Format::Json),
        ("{a: {x: 1}, b: 2,\n   a: 3}", Format::Yaml),
    ] {
        let document = Document::read("x", text, format).unwrap();
        assert_eq!(document.value.to_string(), r#"{"a":3,"b":2}"#);
        assert_eq!(document.repeated, [(lines::place(1, 2), "/a".to_owned())]);
        assert_eq!(document.key_place("/a").map(|place| place.line), Some(2));
        assert!(!document.places.contains_key("/a/x"));
    }
}

#[test]
fn every_value_has_its_place() {
    let text = "\u{e9}: 1\nlist:\n  - name: x\n    a/b~: !!str\n      2\n";
    let document = yaml(text);
    for (pointer, line, column) in [
        ("", 1, 1),
        ("/\u{e9}", 1, 4),
        ("/list/0", 3, 5),
        ("/list/0/name", 3, 11),
        ("/list/0/a~1b~0", 4, 11),
        ("/list/0/none/deeper", 3, 5),
    ] {
        assert_eq!(
            document.place(pointer),
            Some(lines::place(line, column)),
            "{pointer}"
        );
    }
    assert_eq!(
        document.key_place("/list/0/a~1b~0"),
        Some(lines::place(4, 5))
    );

    let text = "\r\n{ \"\u{1f600}\":\t[1, {\"k\" : null}]}";
    let document = Document::read("x", text, Format::Json).unwrap();
    let places = [
        ("", 1),
        ("/\u{1f600}", 8),
        ("/\u{1f600}/0", 9),
        ("/\u{1f600}/1", 12),
        ("/\u{1f600}/1/k", 19),
    ];
    for (pointer, column) in places {
        assert_eq!(
            document.place(pointer),
            Some(lines::place(2, column)),
            "{pointer}"
        );
    }
    assert_eq!(
        document.key_place("/\u{1f600}/1/k"),
        Some(lines::place(2, 13))
    );
}

#[test]
fn numbers_of_json_are_pythons() {
    let text = "[-0, -0.0, 1E5, 0.1, 18446744073709551615, 1e-400]";
    let document = Document::read("x", text, Format::Json).unwrap();
    assert_eq!(
        document.value.to_string(),
        "[0,-0.0,100000.0,0.1,18446744073709551615,0.0]"
    );
}

/// Texts that Python refuses, and those of which it gives what no journal can hold.
const REFUSED: &[(Format, &str, &str)] = &[
    (Json, "", "x:1:1: the file is empty; write an experiment"),
    (
        Json,
        "{\"a\": NaN}",
        "x:1:7: NaN is a number of Python's, and JSON has none of it",
    ),
    (
        Json,
        "[\n -Infinity]",
        "x:2:3: Infinity is a number of Python's, and JSON has none of it",
    ),
    (
        Json,
        "{'a': 1}",
        "x:1:2: strings and keys of JSON stand in double quotes; write \" for '",
    ),
    (Json, "{\n  # a\n}", "x:2:3: JSON has no comments"),
    (
        Json,
        "{\"a\": 1,}",
        "x:1:8: nothing comes after this comma; leave it out",
    ),
    (
        Json,
        "{\"a\": 1",
        "x:1:8: this is not JSON: EOF while parsing an object",
    ),
    (
        Json,
        "{} {}",
        "x:1:4: this is not JSON: trailing characters",
    ),
    (Json, "[1e999]", "x:1:2: the number 1e999 is too large"),
    (
        Json,
        "[18446744073709551616]",
        "x:1:2: the whole number 18446744073709551616 has more than 64 bits",
    ),
    (
        Json,
        r#"["\ud800"]"#,
        "x:1:2: this string has half of a surrogate pair",
    ),
    (
        Json,
        "\u{feff}{}",
        "x:1:1: JSON does not begin with a byte order mark",
    ),
    (Yaml, "a: [1", "x:1:4: this is not YAML: "),
    (Yaml, "a: b: c", "x:1:5: this is not YAML: "),
    (
        Yaml,
        "a: 1\n---\nb: 2\n",
        "x:2:1: another document begins here",
    ),
    (
        Yaml,
        "%YAML 2.0\n---\na: 1\n",
        "x:1:1: this is not YAML: unsupported YAML major version",
    ),
    (Yaml, "a: *none", "x:1:4: this is not YAML: "),
    (
        Yaml,
        "a: &x 1\nb: &x 2",
        "x:2:4: the anchor `&x` was given to something above",
    ),
    (
        Yaml,
        "a: &x [*x]",
        "x:1:8: this alias is of what it stands in",
    ),
    (
        Yaml,
        "a: .inf",
        "x:1:4: `.inf` is no number that a journal can hold; write it in quotes",
    ),
    (
        Yaml,
        "a: 2001-13-01",
        "x:1:4: `2001-13-01` looks like a day or time and is none",
    ),
    (
        Yaml,
        "a: 0b_",
        "x:1:4: `0b_` looks like a number and is none; write it in quotes",
    ),
    (Yaml, "a: !!int b", "x:1:4: `b` is no `!!int`"),
    (
        Yaml,
        "a: !mine b",
        "x:1:4: the tag `!mine` is not known; leave the tag out",
    ),
    (
        Yaml,
        "a: !!binary aGk=",
        "x:1:4: the tag `!!binary` gives something that no journal can hold",
    ),
    (
        Yaml,
        "a: !!str [b]",
        "x:1:4: the tag `!!str` does not go with a list",
    ),
    (
        Yaml,
        "a: <<",
        "x:1:4: `<<` is a key that merges mappings, and no value",
    ),
    (
        Yaml,
        "<<: 1",
        "x:1:5: `<<` merges mappings, and this is none",
    ),
    (
        Yaml,
        "<<: [{a: 1}, 2]",
        "x:1:14: `<<` merges mappings, and this is none",
    ),
    (
        Yaml,
        "? [a]\n: 1",
        "x:1:3: a list or mapping cannot be a key; write a word",
    ),
    (Yaml, "2001-12-14: 1", "x:1:1: a date cannot be a key"),
    (
        Yaml,
        "a: \u{7}",
        "x:1:4: the character U+0007 may not stand in YAML",
    ),
    (Yaml, "a:\n\tb: 1", "x:2:2: this is not YAML: "),
];

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    for (format, text, begin) in REFUSED {
        let said = refused(text, *format);
        assert!(said.starts_with(begin), "{text:?}: {said}");
    }
}

#[test]
fn depth_is_bounded() {
    let levels = MOST_LEVELS - 1;
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    for format in [Format::Json, Format::Yaml] {
        assert!(Document::read("x", &nested(levels), format).is_ok());
        assert!(refused(&nested(levels + 1), format).contains("levels deep here"));
        assert!(refused(&nested(200), format).contains("levels deep here"));
        // Neither is the stack's end reached, nor does a grammar that begins anew at each level take forever.
        let _ = refused(&nested(200_000), format);
        let _ = refused(&"[".repeat(200_000), format);
        let _ = refused(&"{\"a\":".repeat(100_000), format);
    }
    let _ = refused(&"- ".repeat(50_000), Format::Yaml);
    // Each alias adds levels to those of its anchor.
    let mut text = "x0: &x0 1\n".to_owned();
    for at in 1..200 {
        writeln!(text, "x{at}: &x{at} [*x{}]", at - 1).unwrap();
    }
    assert!(refused(&text, Format::Yaml).contains("levels deep here"));
    let mut text = "x0: &x0 {a: 1}\n".to_owned();
    for at in 1..200 {
        writeln!(text, "x{at}: &x{at} {{<<: *x{}}}", at - 1).unwrap();
    }
    assert!(refused(&text, Format::Yaml).contains("merged more than"));
}

#[test]
fn what_aliases_make_is_bounded() {
    for item in [
        "[*x,*x,*x,*x,*x,*x,*x,*x,*x]",
        "{<<: [*x,*x,*x,*x,*x,*x,*x,*x,*x]}",
    ] {
        let mut text = "x0: &x0 {lol: lol}\n".to_owned();
        for at in 1..12 {
            let item = item.replace("*x", &format!("*x{}", at - 1));
            writeln!(text, "x{at}: &x{at} {item}").unwrap();
        }
        assert!(
            refused(&text, Format::Yaml).contains("larger than 16 MiB"),
            "{item}"
        );
    }
    // Little text, long names of places.
    let deep = format!("? {}\n: ", "k".repeat(1000))
        .replace("? ", "")
        .replace("\n: ", ": ");
    let nested = (0..90)
        .map(|at| " ".repeat(at) + &deep)
        .collect::<Vec<_>>()
        .join("\n");
    let text = format!("{nested}\n{}- [{}]\n", " ".repeat(95), "1,".repeat(100_000));
    assert!(refused(&text, Format::Yaml).contains("larger than 16 MiB"));
}
