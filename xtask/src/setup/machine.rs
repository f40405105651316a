//! Virtual machines: virtme-ng, and kernels from Debian's archive.
//!
//! A kernel is unpacked, not installed: its image and its modules stay together below
//! `target/tools/kernels`, where virtme-ng finds the one beside the other, and this machine's
//! `/boot` and `/lib/modules` stay as they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;

use super::apt;
use crate::{process, workspace};

const VIRTME_NG: &str = "virtme-ng==1.42";

/// A kernel that tests run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kernel {
    /// Debian 12's
    #[value(name = "6.1")]
    V6_1,
}

impl Kernel {
    pub(crate) fn series(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
        }
    }

    /// The package that always depends on this series' newest build.
    fn meta_package(self) -> &'static str {
        match self {
            Self::V6_1 => "linux-image-amd64",
        }
    }

    fn dir(self) -> PathBuf {
        workspace::tools().join("kernels").join(self.series())
    }

    /// The image to boot, once [`kernel`] has put it there.
    pub(crate) fn image(self) -> Result<PathBuf> {
        let boot = self.dir().join("boot");
        fs::read_dir(&boot)
            .with_context(|| format!("no kernel in {}", boot.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
            })
            .ok_or_else(|| anyhow!("no kernel in {}", boot.display()))
    }
}

/// The program that starts virtual machines, once [`virtme`] has put it there.
pub(crate) fn vng() -> PathBuf {
    workspace::tools().join("venv/bin/vng")
}

pub(super) fn virtme() -> Result<()> {
    if vng().is_file() {
        return Ok(());
    }
    println!(
        "setup: installing {VIRTME_NG} from PyPI: it boots other kernels over this machine's files"
    );
    let venv = workspace::tools().join("venv");
    let venv = venv.to_string_lossy();
    process::run(process::command("/usr/bin/python3").args(["-m", "venv", "--clear", &venv]))?;
    process::run(process::command(&format!("{venv}/bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        VIRTME_NG,
    ]))
}

pub(super) fn kernel(kernel: Kernel) -> Result<()> {
    if kernel.image().is_ok() {
        return Ok(());
    }
    let package = resolve(kernel)?;
    println!(
        "setup: fetching {package} from Debian's archive: tests run in it, this machine does not"
    );
    let dir = kernel.dir();
    let parts = dir.with_extension("part");
    remake(&parts)?;
    let download = || {
        process::run(
            apt::apt_get()
                .args(["download", &package])
                .current_dir(&parts),
        )
    };
    download().or_else(|_| {
        apt::update();
        download()
    })?;
    let deb = fs::read_dir(&parts)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| {
            anyhow!(
                "apt-get download {package} left no package in {}",
                parts.display()
            )
        })?;
    let unpacked = parts.join("root");
    process::run(process::command("dpkg").arg("-x").arg(&deb).arg(&unpacked))?;
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    // The last step is one rename, so that a half-unpacked kernel is never taken for a whole one.
    fs::rename(&unpacked, &dir).with_context(|| format!("cannot create {}", dir.display()))?;
    fs::remove_dir_all(&parts).with_context(|| format!("cannot remove {}", parts.display()))
}

/// The package with the kernel itself, for example `linux-image-6.1.0-56-amd64`.
fn resolve(kernel: Kernel) -> Result<String> {
    let meta = kernel.meta_package();
    if !apt::is_known(meta) {
        apt::update();
    }
    // A machine without apt, or whose apt does not know the package, offers nothing.
    let depends = process::output(process::command("apt-cache").args(["depends", meta]));
    choose(&depends.unwrap_or_default(), kernel.series())
}

fn choose(depends: &str, series: &str) -> Result<String> {
    image_package(depends, &format!("{series}.")).ok_or_else(|| {
        let offer = match image_package(depends, "") {
            Some(other) => format!("its apt offers {other}"),
            None => "its apt offers no Debian kernel".to_owned(),
        };
        anyhow!(
            "the virtual machine needs Linux {series} from the archive of Debian 12 (bookworm), and this machine does not have it: {offer}; add bookworm to its sources, or leave the virtual machine out (`cargo xtask test --no-vm`)"
        )
    })
}

/// The first dependency that is a kernel image whose version starts with `version`.
fn image_package(depends: &str, version: &str) -> Option<String> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with(&format!("linux-image-{version}")))
        .map(str::to_owned)
}

fn remake(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_package_is_the_one_of_the_series() {
        let depends = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n  Breaks: x\n";
        let found = image_package(depends, "6.1.");
        assert_eq!(found.as_deref(), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(image_package(depends, "6.12."), None);
        let newer = depends.replace("6.1.0-56", "6.12.9");
        assert_eq!(image_package(&newer, "6.1."), None);
        assert_eq!(image_package("", ""), None);
    }

    #[test]
    fn a_machine_without_the_kernel_is_told_what_to_do() {
        let newer = "linux-image-amd64\n  Depends: linux-image-6.12.9-amd64\n";
        for (depends, offer) in [
            (newer, "its apt offers linux-image-6.12.9-amd64"),
            ("", "its apt offers no Debian kernel"),
        ] {
            let error = choose(depends, "6.1").unwrap_err().to_string();
            for words in ["Debian 12", "--no-vm", offer] {
                assert!(error.contains(words), "no {words:?} in: {error}");
            }
        }
    }
}
