//! A folder with Python modules, and a Python that finds them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Python;

/// Long for anything here; whoever waits longer has found a fault.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with a module `user`, and a Python that finds it.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) python: Python,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of("python3 -S")
    }

    /// Without `site` nothing is there but Python itself.
    pub(crate) fn of(python: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("user.py"), include_str!("user.py")).unwrap();
        let program = folder.path().join("python");
        let path = folder.path().display();
        fs::write(
            &program,
            format!("#!/bin/sh\nPYTHONPATH={path} exec {python} \"$@\"\n"),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            python: Python::new(program),
            folder,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The reference's own installation; none: the test is skipped, or with `CHAOS_TEST_STRICT=1` has failed.
pub(crate) fn reference() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/chaostoolkit");
    let venv = std::env::var_os("CHAOS_TEST_REFERENCE").map_or(tools, PathBuf::from);
    if venv.join("bin/chaos").exists() {
        return Some(venv);
    }
    let why = format!(
        "no Chaos Toolkit in {} (CHAOS_TEST_REFERENCE names another folder)",
        venv.display()
    );
    assert!(
        std::env::var_os("CHAOS_TEST_STRICT").is_none_or(|strict| strict != "1"),
        "{why}"
    );
    eprintln!("skipped: {why}");
    None
}

impl World {
    pub(crate) fn with_reference() -> Option<Self> {
        let venv = reference()?;
        Some(Self::of(&venv.join("bin/python3").display().to_string()))
    }
}

pub(crate) async fn appears(path: &Path) {
    let start = Instant::now();
    while fs::read_to_string(path).is_err() {
        assert!(
            start.elapsed() < PATIENCE,
            "{} does not come",
            path.display()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn says(path: &Path, text: &str) {
    let start = Instant::now();
    while fs::read_to_string(path).unwrap_or_default() != text {
        assert!(
            start.elapsed() < PATIENCE,
            "{} does not say {text}",
            path.display()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
