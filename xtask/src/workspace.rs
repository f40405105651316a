//! Where things are: the repository, cargo's build directory, and what `setup` keeps between runs.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's root: the directory above this crate.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Tools and kernels that `setup` fetched.
///
/// Always below the repository's own `target`, whatever `CARGO_TARGET_DIR` says, so that several
/// build directories share one copy.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}

/// Cargo's build directory.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The file that a shell would run for `name`, with the administrator's directories searched too.
pub(crate) fn find_command(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .chain(cargo_bin())
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Where `cargo install` puts programs.
pub(crate) fn cargo_bin() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
        .map(|home| home.join("bin"))
}
