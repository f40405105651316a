//! `chaosctl validate`: all problems with their lines, and exit codes.

use crate::chaosctl::run_alone;

const WRONG: &str = "title: A slip\ndescription: In a key\nmethod:\n  - type: probe\n    nme: x\n    provider: {type: htp}\n";

fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn a_problem_is_shown_in_its_line() {
    let (_directory, path) = file("x.yaml", WRONG);
    let finished = run_alone(&["validate", &path]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(
        finished.stdout.replace(&path, "x.yaml"),
        "\
x.yaml:5:5: an activity needs `name`, and `nme` is not it (/method/0/nme)
  5 |     nme: x
    |     ^ write `name`
x.yaml:6:22: `htp` is not a type of provider here: it is `python`, `process`, `http` or `chaos` (/method/0/provider/type)
  6 |     provider: {type: htp}
    |                      ^ write `http`
"
    );
    assert_eq!(finished.stderr, format!("error: {path} has 2 problems\n"));
}

#[test]
fn a_script_gets_one_object() {
    let (_directory, path) = file("x.yaml", WRONG);
    let finished = run_alone(&["validate", &path, "-o", "json"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let json = finished.json();
    assert_eq!(json["valid"], false);
    assert_eq!(json["problems"][0]["line"], 5);
    assert_eq!(json["problems"][0]["pointer"], "/method/0/nme");
    assert_eq!(json["problems"][1]["instead"], "write `http`");
    assert_eq!(json["warnings"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_valid_one_may_have_warnings() {
    let text = "title: t\ntag: [a]\ndescription: d\nmethod: []\n";
    let (_directory, path) = file("x.yml", text);
    let finished = run_alone(&["validate", &path]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(
        finished.stdout.replace(&path, "x.yml"),
        "\
x.yml:2:1: warning: `tag` is no key of an experiment, and nothing comes of it (/tag)
  2 | tag: [a]
    | ^ write `tags`

x.yml: a valid experiment
"
    );
}

#[test]
fn a_slip_beside_the_key_that_was_meant_is_seen() {
    let text = "title: t\ndescription: d\nmethode: []\nhypothesis: {}\nx-team: a\nmethod: []\n";
    let (_directory, path) = file("x.yml", text);
    let finished = run_alone(&["validate", &path]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let slips: Vec<_> = finished
        .stdout
        .lines()
        .filter(|line| line.contains("write") || line.contains("too:"))
        .collect();
    assert_eq!(
        slips,
        [
            "    | ^ `method` is there, too: put what is meant into it",
            "    | ^ write `steady-state-hypothesis`",
        ],
        "{finished:?}"
    );
}

#[test]
fn secrets_that_are_not_there_are_seen() {
    let text = "title: t\ndescription: d\nsecrets: {shop: {token: abcdef}}\nmethod:\n\
                - {type: probe, name: p, provider: {type: python, module: os, func: getcwd, secrets: [shopp]}}\n";
    let (_directory, path) = file("x.yml", text);
    let finished = run_alone(&["validate", &path]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let expected = "x.yml:5:87: warning: the experiment has no secrets called `shopp` (/method/0/provider/secrets/0)";
    let said = finished.stdout.replace(&path, "x.yml");
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("write `shop`"), "{said}");
}

#[test]
fn a_rollback_is_not_undone() {
    let text = "title: t\ndescription: d\nmethod: []\nrollbacks:\n\
                - {type: action, name: r, provider: {type: process, path: 'true'}, undo: {provider: {type: process, path: 'true'}}}\n";
    let (_directory, path) = file("x.yml", text);
    let finished = run_alone(&["validate", &path]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let said = "nothing comes after rollbacks that could undo them (/rollbacks/0/undo)";
    assert!(finished.stdout.contains(said), "{finished:?}");
}

#[test]
fn what_cannot_be_read_is_a_problem() {
    let (_directory, path) = file("x.json", "{\"title\": 'x'}");
    let finished = run_alone(&["validate", &path]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let begin = format!("{path}:1:11: strings and keys of JSON stand in double quotes");
    assert!(finished.stdout.starts_with(&begin), "{finished:?}");
    let finished = run_alone(&["validate", "/no/such.json"]);
    assert_eq!(finished.stdout, "/no/such.json: there is no such file\n");
    assert_eq!(finished.code, Some(1));
    assert_eq!(run_alone(&["validate"]).code, Some(2));
}
