//! Chaos Toolkit itself, from `PyPI`, in a Python environment of its own: the conformance suite runs it beside `chaosctl run`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::python::Environment;
use crate::workspace;

/// What is installed. The first two are the program; the others are what its journals depend on: the words of a failed
/// request, how bytes become text, what a JSON path and a YAML file mean.
const INSTALLED: [&str; 10] = [
    "chaostoolkit==1.19.0",
    "chaostoolkit-kubernetes==0.39.0",
    "chaostoolkit-lib==1.44.0",
    "jsonpath2==0.4.5",
    "charset-normalizer==3.5.2",
    "click==8.5.1",
    "hvac==2.4.0",
    "PyYAML==6.0.3",
    "requests==2.34.2",
    "urllib3==2.8.0",
];
/// What makes reports, kept apart: once it is there, every start of the program takes three times as long.
const REPORTING: &str = "chaostoolkit-reporting==0.18.0";
/// The program that reports are written through. Its other package, which the one above asks for, is without it.
const PANDOC: &str = "pypandoc-binary==1.17";

/// Where tests look for it, whatever the versions.
fn root() -> PathBuf {
    workspace::tools().join("chaostoolkit")
}

/// What is written last: the versions that are there.
fn sign() -> PathBuf {
    root().join("complete")
}

fn versions() -> String {
    [&INSTALLED[..], &[REPORTING, PANDOC]].concat().join("\n")
}

pub(super) fn is_there() -> bool {
    fs::read_to_string(sign()).is_ok_and(|there| there == versions())
}

pub(super) fn install() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    println!(
        "setup: installing Chaos Toolkit from PyPI: the conformance suite compares chaosctl with it"
    );
    let python = Environment::new(root())?;
    python.pip(&[&["install"], &INSTALLED[..]].concat())?;
    let reporting = root().join("reporting");
    let into = ["install", "--target", &reporting.to_string_lossy()].map(str::to_owned);
    let into: Vec<&str> = into.iter().map(String::as_str).collect();
    python.pip(&[&into[..], &[REPORTING], &INSTALLED[..]].concat())?;
    python.pip(&[&into[..], &["--upgrade", "--no-deps", PANDOC]].concat())?;
    fs::write(sign(), versions()).with_context(|| format!("cannot write {}", sign().display()))
}
