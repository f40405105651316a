//! Differences from the reference that are intended: each with its reason, and each true. One that a case does not show
//! any more fails that case, so the list says how things are.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::case::here;
use crate::cases;
use crate::compare::Difference;

/// A difference that is meant to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Intended {
    /// Its name in the document.
    name: String,
    /// JSON pointers into what a case leaves; `*` is any one step, `**` any number of them.
    at: Vec<String>,
    /// The cases that show it, each; `*` are all that have a journal of either program.
    cases: Vec<String>,
    /// What the reference's value has in it.
    #[serde(default)]
    reference: Option<String>,
    /// What our value has in it.
    #[serde(default)]
    ours: Option<String>,
    /// Why.
    why: String,
}

/// What is wrong with the differences that a case has shown: those that nobody intends, and intended ones that are not
/// among them.
pub(crate) fn unexpected(case: &str, found: &[Difference], has_journals: bool) -> Vec<String> {
    let list: Vec<Intended> = intended()
        .into_iter()
        .filter(|entry| entry.is_shown_by(case, has_journals))
        .collect();
    let unseen = list
        .iter()
        .filter(|entry| !found.iter().any(|one| entry.is(one)));
    let mut wrong: Vec<String> = unseen
        .map(|entry| {
            format!(
                "differences.yaml lists {:?} for it, which it does not show",
                entry.name
            )
        })
        .collect();
    let unknown = found
        .iter()
        .filter(|one| !list.iter().any(|entry| entry.is(one)));
    wrong.extend(unknown.map(ToString::to_string));
    wrong
}

impl Intended {
    fn is_shown_by(&self, case: &str, has_journals: bool) -> bool {
        self.cases
            .iter()
            .any(|name| name == case || (name == "*" && has_journals))
    }

    fn is(&self, found: &Difference) -> bool {
        let has = |side: &Option<String>, text: &Option<String>| match text {
            None => true,
            Some(text) => side.as_deref().unwrap_or("nothing").contains(text),
        };
        let steps: Vec<&str> = found.at.split('/').collect();
        let is_there = |pattern: &String| leads(&pattern.split('/').collect::<Vec<_>>(), &steps);
        self.at.iter().any(is_there)
            && has(&found.reference, &self.reference)
            && has(&found.ours, &self.ours)
    }
}

/// Whether a pattern of steps leads there.
fn leads(pattern: &[&str], steps: &[&str]) -> bool {
    match (pattern, steps) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=steps.len()).any(|skipped| leads(rest, &steps[skipped..])),
        ([first, pattern @ ..], [step, steps @ ..]) => {
            (*first == "*" || first == step) && leads(pattern, steps)
        }
        _ => false,
    }
}

fn intended() -> Vec<Intended> {
    let text = fs::read_to_string(here().join("differences.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The document that has the table.
fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/chaostoolkit-differences.md")
}

const BEGIN: &str = "<!-- the table: cargo xtask conformance --write -->\n";
const END: &str = "<!-- end of the table -->\n";

fn table() -> String {
    let mut table =
        String::from("| difference | where | shown by | why |\n| --- | --- | --- | --- |\n");
    for Intended {
        name,
        at,
        cases,
        why,
        ..
    } in intended()
    {
        let code = |list: &[String]| {
            list.iter()
                .map(|one| format!("`{one}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let cases = if cases == ["*"] {
            "all".to_owned()
        } else {
            code(&cases)
        };
        let why = why.trim().replace('\n', " ").replace('|', r"\|");
        let _infallible = writeln!(table, "| {name} | {} | {cases} | {why} |", code(&at));
    }
    table
}

#[test]
fn the_document_has_the_table() {
    let path = document();
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let right = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("UPDATE_DIFFERENCES").is_some() {
        fs::write(&path, &right).unwrap();
    } else {
        assert!(
            text == right,
            "{} is stale: run cargo xtask conformance --write",
            path.display()
        );
    }
}

#[test]
fn differences_name_cases_that_exist() {
    let all: BTreeSet<String> = cases::all();
    for entry in intended() {
        for case in &entry.cases {
            assert!(
                case == "*" || all.contains(case),
                "{}: there is no case {case}",
                entry.name
            );
        }
    }
}

#[test]
fn a_difference_is_expected_where_it_is_listed_and_nowhere_else() {
    let entry = Intended {
        name: "n".to_owned(),
        at: vec!["/journals/*/run/**/body".to_owned()],
        cases: vec!["a/b".to_owned()],
        reference: Some("old".to_owned()),
        ours: None,
        why: String::new(),
    };
    let found = |at: &str, reference: &str| Difference {
        at: at.to_owned(),
        reference: Some(reference.to_owned()),
        ours: None,
    };
    assert!(entry.is(&found("/journals/j/run/0/output/body", "\"old\"")));
    assert!(!entry.is(&found("/journals/j/run/0/output/body", "\"new\"")));
    assert!(!entry.is(&found("/journals/j/rollbacks/0/output/body", "\"old\"")));
    assert!(entry.is_shown_by("a/b", false) && !entry.is_shown_by("a/c", true));
}
