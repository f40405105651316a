//! Reports over journals: the reference's reader accepts what we write, and ours accepts what the reference writes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::case::Case;
use crate::play::{Left, Scene, play};
use crate::programs::{self, Program};

/// Cases with journals of every kind: all that an experiment may say, deviated, failed, in the background, dry, of requests,
/// of failures.
const CASES: &[(&str, &str)] = &[
    ("document", "everything"),
    ("strategy", "met"),
    ("strategy", "deviates"),
    ("strategy", "fails_before"),
    ("strategy", "fails_after"),
    ("strategy", "continuously"),
    ("strategy", "no_hypothesis"),
    ("rollback", "default"),
    ("background", "side_by_side"),
    ("dry", "activities"),
    ("http", "bodies"),
    ("http", "refused"),
    ("python", "raises"),
    ("tolerance", "met"),
    ("variables", "substitution"),
];

/// Cases with runs that have no end: `chaos report` does not even read those of `chaos run`.
const UNFINISHED: &[(&str, &str)] = &[("process", "not_found"), ("signal", "term_in_process")];

/// Plays the cases, and keeps their journals in the directory.
fn journals(program: Program, cases: &[&[(&str, &str)]], directory: &Path) -> Vec<PathBuf> {
    let scene = Scene::new();
    let journal_of = |(subject, name): &(&str, &str)| {
        let Left { journals, said, .. } = play(&Case::read(subject, name), program, &scene);
        let text = journals.get("journal.json");
        let text = text.unwrap_or_else(|| panic!("{subject}/{name} left no journal:\n{said}"));
        let path = directory.join(format!("{subject}-{name}.json"));
        fs::write(&path, text).unwrap();
        path
    };
    cases.concat().iter().map(journal_of).collect()
}

/// Makes a report of all journals, and says what is wrong with it.
fn report(program: Program, directory: &Path, journals: &[PathBuf]) -> String {
    let mut command = program.command("report", directory);
    // The reference looks at each configuration again.
    command.env("SERVER", "http://127.0.0.1:1");
    let path = directory.join("report.html");
    match program {
        Program::Reference => {
            command
                .args(["--export-format", "html"])
                .args(journals)
                .arg(&path);
            programs::with_reporting(&mut command);
        }
        Program::Ours => {
            command.args(journals).arg("--to").arg(&path);
        }
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}\n{said}", output.status);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}\n{said}"))
}

/// The titles of the cases, which each of their reports has.
fn titles(journals: &[PathBuf]) -> Vec<String> {
    let title = |path: &PathBuf| {
        let journal: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        journal["experiment"]["title"].as_str().unwrap().to_owned()
    };
    journals.iter().map(title).collect()
}

fn accepts(reader: Program, writer: Program) {
    if !programs::reference_is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let cases = match reader {
        Program::Reference => &[CASES][..],
        Program::Ours => &[CASES, UNFINISHED],
    };
    let journals = journals(writer, cases, directory.path());
    let text = report(reader, directory.path(), &journals);
    // Both write typographic apostrophes and entities for what is neither a letter nor a space.
    let plain = |text: &str| -> String { text.split_whitespace().collect::<Vec<_>>().join(" ") };
    let text = plain(&text);
    for title in titles(&journals) {
        assert!(
            text.contains(&plain(&title)),
            "the report does not have {title:?}"
        );
    }
}

#[test]
fn the_reference_reads_our_journals() {
    accepts(Program::Reference, Program::subject());
}

#[test]
fn we_read_the_journals_of_the_reference() {
    accepts(Program::subject(), Program::Reference);
}
