//! Kernels for virtual machines, from Debian's archive.
//!
//! A kernel is unpacked, not installed: its image and its modules stay together below
//! `target/tools/kernels`, where virtme-ng finds the one beside the other, and this machine's
//! `/boot`, `/lib/modules` and lists of packages stay as they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;

use super::apt::Apt;
use crate::{process, workspace};

/// The package that always depends on the newest build of a suite's kernel.
const META_PACKAGE: &str = "linux-image-amd64";

/// A kernel that tests run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kernel {
    /// Debian 12's
    #[value(name = "6.1")]
    V6_1,
    /// Debian 13's
    #[value(name = "6.12")]
    V6_12,
    /// Debian unstable's, as it was when it was fetched
    Newest,
}

/// One of them, or all.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kernels {
    /// Debian 12's
    #[value(name = "6.1")]
    V6_1,
    /// Debian 13's
    #[value(name = "6.12")]
    V6_12,
    /// Debian unstable's, as it was when it was fetched
    Newest,
    /// One after the other
    All,
}

impl Kernels {
    pub(crate) fn list(self) -> &'static [Kernel] {
        match self {
            Self::V6_1 => &[Kernel::V6_1],
            Self::V6_12 => &[Kernel::V6_12],
            Self::Newest => &[Kernel::Newest],
            Self::All => Kernel::value_variants(),
        }
    }
}

impl Kernel {
    /// As the command line names it.
    pub(crate) fn series(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::Newest => "newest",
        }
    }

    /// What its version starts with.
    fn version(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1.",
            Self::V6_12 => "6.12.",
            Self::Newest => "",
        }
    }

    /// Where its packages come from: with Debian 12's security updates the machine's own apt, which is Debian 12's.
    fn apt(self) -> Result<Apt> {
        match self {
            Self::V6_1 => Ok(Apt::of_machine()),
            Self::V6_12 => Apt::of_suite("trixie", &kernels()),
            Self::Newest => Apt::of_suite("sid", &kernels()),
        }
    }

    fn dir(self) -> PathBuf {
        kernels().join(self.series())
    }

    /// The image to boot, once [`fetch`] has put it there.
    pub(crate) fn image(self) -> Result<PathBuf> {
        let boot = self.dir().join("boot");
        entries(&boot)?
            .into_iter()
            .find(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
            })
            .ok_or_else(|| anyhow!("no kernel in {}", boot.display()))
    }
}

fn kernels() -> PathBuf {
    workspace::tools().join("kernels")
}

/// Puts the kernel where [`Kernel::image`] finds it, unless it is there.
pub(super) fn fetch(kernel: Kernel) -> Result<()> {
    if kernel.image().is_ok() {
        return Ok(());
    }
    let apt = kernel.apt()?;
    let packages = resolve(kernel, &apt)?;
    println!(
        "setup: fetching {} from Debian's archive: tests run in it, this machine does not",
        packages.join(", ")
    );
    let dir = kernel.dir();
    let parts = kernels().join(format!("{}.part", kernel.series()));
    remake(&parts)?;
    let download = || {
        let mut download = apt.get();
        download.arg("download").args(&packages);
        process::run(download.current_dir(&parts))
    };
    download().or_else(|_| {
        apt.update();
        download()
    })?;
    let unpacked = parts.join("root");
    for deb in entries(&parts)? {
        if deb.extension().is_some_and(|extension| extension == "deb") {
            process::run(process::command("dpkg").arg("-x").arg(&deb).arg(&unpacked))?;
        }
    }
    gather(&unpacked)?;
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    // The last step is one rename, so that a half-unpacked kernel is never taken for a whole one.
    fs::rename(&unpacked, &dir).with_context(|| format!("cannot create {}", dir.display()))?;
    fs::remove_dir_all(&parts).with_context(|| format!("cannot remove {}", parts.display()))
}

/// The packages with the kernel itself, for example `linux-image-6.1.0-56-amd64`. Newer ones are in parts, and
/// the package of that name is empty.
fn resolve(kernel: Kernel, apt: &Apt) -> Result<Vec<String>> {
    if !apt.is_known(META_PACKAGE) {
        apt.update();
    }
    // A machine without apt, or whose apt does not know the package, offers nothing.
    let image = choose(&apt.depends(META_PACKAGE).unwrap_or_default(), kernel)?;
    let parts = parts(&apt.depends(&image)?);
    Ok(if parts.is_empty() { vec![image] } else { parts })
}

fn choose(depends: &str, kernel: Kernel) -> Result<String> {
    let found = dependency(depends, &format!("linux-image-{}", kernel.version()));
    if let Some(image) = found {
        return Ok(image);
    }
    let offer = match dependency(depends, "linux-image-") {
        Some(other) => format!("its apt offers {other}"),
        None => "its apt offers no Debian kernel".to_owned(),
    };
    match kernel {
        Kernel::V6_1 => bail!(
            "the virtual machine needs Linux 6.1 from the archive of Debian 12 (bookworm), and this machine does not have it: {offer}; add bookworm to its sources, or leave the virtual machine out (`cargo xtask test --no-vm`)"
        ),
        Kernel::V6_12 | Kernel::Newest => bail!(
            "this machine's archive of Debian has no kernel {}: {offer}",
            kernel.series()
        ),
    }
}

/// The first dependency whose name starts with `start`.
fn dependency(depends: &str, start: &str) -> Option<String> {
    dependencies(depends)
        .find(|name| name.starts_with(start))
        .map(str::to_owned)
}

/// The dependencies that hold the image and the modules of a kernel.
fn parts(depends: &str) -> Vec<String> {
    dependencies(depends)
        .filter(|name| name.starts_with("linux-binary-") || name.starts_with("linux-modules-"))
        .map(str::to_owned)
        .collect()
}

fn dependencies(depends: &str) -> impl Iterator<Item = &str> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
}

/// Newer packages have the modules below `usr/lib/modules`, and the newest the image, too: virtme-ng looks into `boot` and `lib/modules`.
fn gather(root: &Path) -> Result<()> {
    let modules = root.join("usr/lib/modules");
    if !modules.is_dir() {
        return Ok(());
    }
    let boot = root.join("boot");
    for dir in [&boot, &root.join("lib")] {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    for release in entries(&modules)? {
        let name = release.file_name().unwrap_or_default().to_string_lossy();
        let image = release.join("vmlinuz");
        if image.is_file() {
            fs::rename(&image, boot.join(format!("vmlinuz-{name}")))
                .with_context(|| format!("cannot move {}", image.display()))?;
        }
    }
    fs::rename(&modules, root.join("lib/modules")).context("cannot move the kernel's modules")
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(dir).with_context(|| format!("cannot look into {}", dir.display()))?;
    Ok(entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect())
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
        let depends = "linux-image-amd64\n  Depends: linux-base-amd64\n  Depends: linux-image-6.1.0-56-amd64\n  Breaks: x\n";
        let found = |depends: &str, kernel| choose(depends, kernel).ok();
        let image = "linux-image-6.1.0-56-amd64";
        assert_eq!(found(depends, Kernel::V6_1).as_deref(), Some(image));
        assert_eq!(found(depends, Kernel::Newest).as_deref(), Some(image));
        assert_eq!(found(depends, Kernel::V6_12), None);
        let newer = depends.replace("6.1.0-56", "6.12.9");
        assert_eq!(found(&newer, Kernel::V6_1), None);
        assert_eq!(found("", Kernel::Newest), None);
    }

    #[test]
    fn a_machine_without_the_kernel_is_told_what_to_do() {
        let newer = "linux-image-amd64\n  Depends: linux-image-6.12.9-amd64\n";
        for (depends, offer) in [
            (newer, "its apt offers linux-image-6.12.9-amd64"),
            ("", "its apt offers no Debian kernel"),
        ] {
            let error = choose(depends, Kernel::V6_1).unwrap_err().to_string();
            for words in ["Debian 12", "--no-vm", offer] {
                assert!(error.contains(words), "no {words:?} in: {error}");
            }
        }
    }

    #[test]
    fn a_kernel_in_parts_is_put_together() {
        let depends =
            "x\n  Depends: linux-base-7\n  Depends: linux-binary-7\n  Depends: linux-modules-7\n";
        assert_eq!(parts(depends), ["linux-binary-7", "linux-modules-7"]);
        let root = tempfile::tempdir().unwrap();
        let modules = root.path().join("usr/lib/modules/7.0");
        fs::create_dir_all(modules.join("kernel")).unwrap();
        fs::write(modules.join("vmlinuz"), "").unwrap();
        gather(root.path()).unwrap();
        assert!(root.path().join("boot/vmlinuz-7.0").is_file());
        assert!(root.path().join("lib/modules/7.0/kernel").is_dir());
        // One that was whole stays as it is.
        gather(root.path()).unwrap();
    }
}
