//! Files that are no experiments: what is said of each, to the letter, stands beside it.
//!
//! `CHAOS_BLESS=1` writes what is said now, to be read before it is committed.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use std::fmt::Write as _;
use std::path::Path;

use chaos_toolkit::document::Document;
use chaos_toolkit::experiment::{Imports, check};
use chaos_toolkit::faults::{Acting, FaultFailed, Faults};
use chaos_toolkit::load;
use chaos_toolkit::problem::{Flaw, Problem};
use futures::future::BoxFuture;
use serde_json::{Map, Value};

/// A Python that has all modules but one.
struct Python;

impl Imports for Python {
    fn activity<'a>(&'a self, activity: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>> {
        let flaw = (activity["provider"]["module"] == "nowhere").then(|| Flaw {
            key: Some("module".to_owned()),
            what: "Python finds no module `nowhere`".to_owned(),
            instead: Some("install it with pip".to_owned()),
        });
        Box::pin(async { flaw.into_iter().collect() })
    }

    fn control<'a>(&'a self, _control: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>> {
        Box::pin(async { Vec::new() })
    }
}

/// Faults that know a delay's latency.
struct Delays;

impl Faults for Delays {
    fn check(&self, provider: &Map<String, Value>) -> Result<(), Flaw> {
        let key = provider
            .keys()
            .find(|key| !["type", "fault", "latency"].contains(&key.as_str()));
        let what = match (key, provider.contains_key("fault")) {
            (Some(key), _) => format!("a delay has no `{key}`"),
            (None, false) => "a fault needs `fault`".to_owned(),
            (None, true) => return Ok(()),
        };
        Err(Flaw {
            instead: key.map(|_| "write `latency`".to_owned()),
            key: key.cloned(),
            what,
        })
    }

    fn start(
        &self,
        _name: &str,
        _provider: &Map<String, Value>,
    ) -> BoxFuture<'static, Result<Box<dyn Acting>, FaultFailed>> {
        Box::pin(async { Err(FaultFailed("nothing runs while it is looked at".to_owned())) })
    }
}

/// What is said of a file.
async fn said(file: &Path) -> String {
    let source = file.to_str().unwrap();
    let (problems, warnings) = match load::file(source) {
        Ok(document) => {
            let checked = check(&document, Some(&Delays), &Python).await;
            assert_in_text(&document, &checked.problems);
            assert_in_text(&document, &checked.warnings);
            (checked.problems, checked.warnings)
        }
        Err(problem) => (vec![problem], Vec::new()),
    };
    let mut said = String::new();
    let name = file.file_name().unwrap().to_str().unwrap();
    for problem in &problems {
        writeln!(said, "{}", problem.to_string().replace(source, name)).unwrap();
    }
    for warning in &warnings {
        writeln!(
            said,
            "warning: {}",
            warning.to_string().replace(source, name)
        )
        .unwrap();
    }
    said
}

fn assert_in_text(document: &Document, problems: &[Problem]) {
    for problem in problems {
        let place = problem
            .place
            .unwrap_or_else(|| panic!("no place: {problem}"));
        let line = document
            .text
            .lines()
            .nth(place.line as usize - 1)
            .unwrap_or_default();
        assert!(
            place.column as usize <= line.chars().count() + 1,
            "{problem}"
        );
    }
}

#[tokio::test]
async fn each_says_what_is_wrong_where_and_what_to_write() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/malformed");
    let bless = std::env::var_os("CHAOS_BLESS").is_some();
    let files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_none_or(|of| of != "txt"))
        .collect();
    files.sort();
    assert!(files.len() >= 20, "{}", files.len());
    let mut wrong = String::new();
    for file in files {
        let said = said(&file).await;
        assert!(!said.is_empty(), "nothing is said of {}", file.display());
        let expected = file.with_extension(format!(
            "{}.txt",
            file.extension().unwrap().to_str().unwrap()
        ));
        if bless {
            std::fs::write(&expected, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if said != expected {
            write!(
                wrong,
                "{}:\n{said}instead of:\n{expected}\n",
                file.display()
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn experiments_are_not_warned_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let document = load::file(file.to_str().unwrap()).unwrap();
        let checked = check(&document, None, &Python).await;
        assert_eq!(checked.problems, [], "{}", file.display());
        assert_eq!(checked.warnings, [], "{}", file.display());
    }
}
