//! The two programs, and whether they are here.

use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to `reference`, Chaos Toolkit is compared with itself: cases whose outcome is not always the same fail.
const SUBJECT: &str = "CHAOS_CONFORMANCE_SUBJECT";
/// Names the directory to take `chaosctl` from instead of that of this build.
const DIRECTORY: &str = "CHAOS_BIN_DIR";
/// Set to 1, a test that lacks something fails.
const STRICT: &str = "CHAOS_TEST_STRICT";

/// A program that plays experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Chaos Toolkit.
    Reference,
    /// `chaosctl`.
    Ours,
}

impl Program {
    /// What is compared with the reference.
    pub(crate) fn subject() -> Self {
        if env::var(SUBJECT).is_ok_and(|value| value == "reference") {
            Self::Reference
        } else {
            Self::Ours
        }
    }

    /// A command of it, such as `run`, with nothing of this process's environment but what `plain` says.
    pub(crate) fn command(self, verb: &str, home: &Path) -> Command {
        let mut command = match self {
            Self::Reference => {
                let mut command = Command::new(environment().join("chaos"));
                command.args(["--no-version-check", "--no-log-file"]);
                command
            }
            Self::Ours => Command::new(env::var_os(DIRECTORY).map_or_else(
                || PathBuf::from(env!("CARGO_BIN_EXE_chaosctl")),
                |directory| PathBuf::from(directory).join("chaosctl"),
            )),
        };
        command.arg(verb);
        plain(&mut command, home);
        command
    }
}

/// The user that both programs see: a home without settings, and a `python3` that has chaoslib.
fn plain(command: &mut Command, home: &Path) {
    let mut path = OsString::from(environment());
    path.push(":/usr/bin:/bin");
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC")
        .env("PYTHONPATH", super::case::here().join("modules"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(home);
}

/// The reference with what makes its reports, which is kept apart.
pub(crate) fn with_reporting(command: &mut Command) {
    let reporting = environment().with_file_name("reporting");
    command.env("PYTHONPATH", reporting);
}

/// Where `cargo xtask setup` puts the reference's programs.
fn environment() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/chaostoolkit/bin")
}

/// Whether the reference is here; if not, says so.
///
/// # Panics
/// In strict mode, when it is not.
pub(crate) fn reference_is_here() -> bool {
    let program = environment().join("chaos");
    if program.is_file() {
        return true;
    }
    let reason = format!(
        "needs {}; `cargo xtask setup` installs it",
        program.display()
    );
    let strict = env::var(STRICT).is_ok_and(|value| value == "1");
    assert!(!strict, "{reason}; with {STRICT}=1 that fails the test");
    let _closed = writeln!(std::io::stderr(), "SKIP: {reason}");
    false
}
