//! Python environments: what comes from `PyPI` goes into one of its own, below `target/tools`.

use std::path::PathBuf;

use anyhow::Result;

use crate::process;

/// An environment.
pub(super) struct Environment {
    root: PathBuf,
}

impl Environment {
    /// Makes one, in place of what is there: Debian's Python makes it, whose package has what that takes.
    pub(super) fn new(root: PathBuf) -> Result<Self> {
        let make = ["-m", "venv", "--clear"];
        process::run(process::command("/usr/bin/python3").args(make).arg(&root))?;
        Ok(Self { root })
    }

    /// Runs its pip.
    pub(super) fn pip(&self, arguments: &[&str]) -> Result<()> {
        let pip = self.root.join("bin/pip");
        process::run(
            process::command(&pip.to_string_lossy())
                .args(["--quiet", "--disable-pip-version-check"])
                .args(arguments),
        )
    }
}
