//! Paths beside those of jsonpath2, and paths that nobody should write.

use serde_json::{Value, json};

use super::Path;

#[test]
fn paths_lead_where_they_lead_in_the_reference() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("../../../testdata/jsonpath.json")).unwrap();
    let (store, rows) = rows.split_first().unwrap();
    assert!(rows.len() > 160);
    let mut wrong = Vec::new();
    for row in rows {
        let path = row["path"].as_str().unwrap();
        let found = Path::parse(path).and_then(|path| path.find(&store["store"]));
        // As text: 1, 1.0 and true are different here.
        let found_text = found
            .as_ref()
            .ok()
            .map(|found| Value::from(found.clone()).to_string());
        if found_text != row.get("gives").map(Value::to_string) {
            wrong.push(format!(
                "{path}: {found:?}, not {} {}",
                row["gives"], row["raises"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn slices_of_any_size_end_at_once() {
    let items = json!([0, 1, 2]);
    for (path, expected) in [
        ("$[0:99999999999999999999]", json!([0, 1, 2])),
        ("$[-99999999999:]", json!([0, 1, 2])),
        ("$[99999999999::-1]", json!([])),
        ("$[99999999999:0:-1]", json!([2, 1])),
        ("$[4294967295:-9:-4294967294]", json!([1])),
        ("$[99999999999]", json!([])),
    ] {
        assert_eq!(
            Value::from(Path::parse(path).unwrap().find(&items).unwrap()),
            expected,
            "{path}"
        );
    }
}

#[test]
fn parts_within_parts_have_an_end() {
    for (open, close) in [
        ("[?(", ")]"),
        ("[?(not ", ")]"),
        ("[@", "]"),
        ("[?(@ = [", "])]"),
        ("[?((((", "))))]"),
        (".length(@", ")"),
    ] {
        let path = format!("${}{}", open.repeat(50_000), close.repeat(50_000));
        assert!(Path::parse(&path).is_err());
    }
    // A long path is no deep one.
    assert!(Path::parse(&format!("${}", ".a".repeat(50_000))).is_ok());
}

#[test]
fn any_path_is_read_or_refused() {
    let parts = [
        "$", "@", ".", "..", "*", "[", "]", "(", ")", "?", ":", ",", "=", "!=", "<", ">=", "a",
        "length", "keys", "charAt", "and", "or", "not", "true", "null", "0", "-1", "1.5", "1e9",
        "\"a\"", "\"", "'", "{", "}", " ", "é", "\\", "-",
    ];
    let starts = ["$", "$.a", "$[?(@", "$..", "$[0:"];
    let value = json!({"a": [{"a": 1}, [true, null, "text"], {}], "length": "é"});
    // A small generator of numbers with a fixed seed: the same paths each time.
    let mut state: u64 = 0x5eed_0000_0000_0001;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut read = 0;
    for _ in 0..30_000 {
        let mut path = starts[next(starts.len())].to_owned();
        for _ in 0..next(9) {
            path.push_str(parts[next(parts.len())]);
        }
        if let Ok(path) = Path::parse(&path) {
            read += 1;
            let _ = path.find(&value);
        }
    }
    assert!(read > 1000, "only {read} were read: this tests little");
}
