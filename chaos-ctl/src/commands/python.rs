//! Which Python runs what an experiment leaves to Python, for all verbs that may need one.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use std::path::PathBuf;

use chaos_toolkit::provider::python::Python;
use clap::Args;

/// The user's Python.
#[derive(Debug, Args)]
pub(super) struct PythonArgs {
    /// Who runs what is Python's [env: CHAOSCTL_PYTHON] [default: python3]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
}

impl PythonArgs {
    /// It, not started.
    pub(super) fn python(&self) -> Python {
        let of_environment = || std::env::var_os("CHAOSCTL_PYTHON").map(PathBuf::from);
        let chosen = self.python.clone().or_else(of_environment);
        Python::new(chosen.unwrap_or_else(|| PathBuf::from("python3")))
    }
}
