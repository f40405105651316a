//! `cargo xtask tidy`: the rules that the documents state and a compiler does not hold.
//!
//! Each rule is a function from what is there to findings; each finding is one sentence that names
//! the place, the rule, and what to do.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::{process, workspace};

mod arrows;
mod code;
mod layers;
mod manifests;
mod texts;

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    file: String,
    line: Option<usize>,
    sentence: String,
}

impl Finding {
    fn new(file: &str, line: impl Into<Option<usize>>, sentence: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: line.into(),
            sentence: sentence.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.sentence),
            None => write!(f, "{}: {}", self.file, self.sentence),
        }
    }
}

/// Whether the file at this path holds Rust.
fn is_rust(file: &str) -> bool {
    Path::new(file)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// Whether the file at this path is a `mod tests;`, all of it.
fn is_unit_tests(file: &str) -> bool {
    Path::new(file)
        .file_name()
        .is_some_and(|name| name == "tests.rs")
}

pub(crate) fn check() -> Result<()> {
    let metadata =
        process::output(process::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let mut findings = arrows::check(&serde_json::from_str(&metadata)?);
    // New files count before they are added.
    let listed = process::output(process::command("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    for file in listed.split('\0').filter(|file| !file.is_empty()) {
        // A file that is deleted but not yet staged, a symbolic link, a picture: nothing to read.
        let Ok(text) = fs::read_to_string(workspace::root().join(file)) else {
            continue;
        };
        findings.extend(texts::check(file, &text));
        findings.extend(layers::check(file, &text));
        findings.extend(manifests::check(file, &text));
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("tidy: one rule is broken, see above"),
        count => bail!("tidy: {count} rules are broken, see above"),
    }
}
