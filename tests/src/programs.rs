//! Finds the programs under test: those of the same build, beside the running test.

use std::{env, path::PathBuf};

use anyhow::{Context, Result, bail};

/// Environment variable that names the directory to look in instead.
pub const DIRECTORY: &str = "CHAOS_BIN_DIR";

/// Path of a program of this workspace, such as `chaos-daemon`: in `$CHAOS_BIN_DIR`, else in the target directory that
/// the running program is in.
pub fn program(name: &str) -> Result<PathBuf> {
    let directory = match env::var_os(DIRECTORY) {
        Some(directory) => PathBuf::from(directory),
        None => target_directory()?,
    };
    let path = directory.join(name);
    if !path.is_file() {
        bail!(
            "{} does not exist: run `cargo xtask build`, or set {DIRECTORY}",
            path.display()
        );
    }
    Ok(path)
}

/// Where `cargo xtask setup` puts k6: beside the builds, for all of them.
pub fn k6() -> Result<PathBuf> {
    let profile = target_directory()?;
    let target = profile.parent().context("a target directory")?;
    let path = target.join("tools/k6/bin/k6");
    if !path.is_file() {
        bail!("{} does not exist: run `cargo xtask setup`", path.display());
    }
    Ok(path)
}

/// Chaos Toolkit's own program.
pub fn chaostoolkit() -> Result<PathBuf> {
    let path = chaostoolkit_environment()?.join("bin/chaos");
    if !path.is_file() {
        bail!("{} does not exist: run `cargo xtask setup`", path.display());
    }
    Ok(path)
}

/// Where `cargo xtask setup` puts Chaos Toolkit.
fn chaostoolkit_environment() -> Result<PathBuf> {
    let profile = target_directory()?;
    let target = profile.parent().context("a target directory")?;
    Ok(target.join("tools/chaostoolkit"))
}

/// A `python3` that has chaosk8s.
pub fn python_with_chaosk8s() -> Result<PathBuf> {
    let root = chaostoolkit_environment()?;
    let libraries = root.join("lib").read_dir().into_iter().flatten().flatten();
    let mut packages = libraries.map(|library| library.path().join("site-packages/chaosk8s"));
    if !packages.any(|package| package.is_dir()) {
        bail!(
            "{} has no chaosk8s: run `cargo xtask setup`",
            root.display()
        );
    }
    Ok(root.join("bin/python3"))
}

/// `target/<profile>`: the directory of the running program, without the `deps` that tests are in.
fn target_directory() -> Result<PathBuf> {
    let exe = env::current_exe().context("find the running program")?;
    let mut directory = exe
        .parent()
        .context("the running program has no directory")?;
    if directory.ends_with("deps") {
        directory = directory
            .parent()
            .context("the test has no target directory")?;
    }
    Ok(directory.to_owned())
}
