//! The lab's cgroups: one directory a lab, one below it a host. Works on hybrid and pure version 2 systems, and mounts
//! a hierarchy of its own where none is mounted.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount, umount};

use super::process::contained;
use crate::wait::wait_until;

/// Where the hierarchy is mounted when the system mounts none.
const OWN_MOUNT: &str = "/run/chaos-lab/cgroup2";

/// Every cgroup of a lab starts with this, the owner's pid, and a dash.
pub(crate) const PREFIX: &str = "chaos-lab-";

/// The cgroup version 2 hierarchy of this system, if one is mounted.
pub fn hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (directory, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(directory))
    })
}

/// The hierarchy, mounted if need be.
fn hierarchy_or_mount() -> Result<PathBuf> {
    if let Some(found) = hierarchy() {
        return Ok(found);
    }
    fs::create_dir_all(OWN_MOUNT).with_context(|| format!("make {OWN_MOUNT}"))?;
    mount(
        Some("none"),
        OWN_MOUNT,
        Some("cgroup2"),
        MsFlags::empty(),
        None::<&str>,
    )
    .with_context(|| format!("mount cgroup2 at {OWN_MOUNT}"))?;
    Ok(PathBuf::from(OWN_MOUNT))
}

/// A cgroup directory that the lab made.
#[derive(Debug, Clone)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup of a lab, at the top of the hierarchy.
    pub(crate) fn of_lab(owner: u32, number: u32) -> Result<Self> {
        let path = hierarchy_or_mount()?.join(format!("{PREFIX}{owner}-{number}"));
        fs::create_dir(&path).with_context(|| format!("make cgroup {}", path.display()))?;
        Ok(Self { path })
    }

    /// A cgroup that an earlier lab left.
    pub(crate) fn left_at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes a cgroup below this one.
    pub(crate) fn child(&self, name: &str) -> Result<Self> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("make cgroup {}", path.display()))?;
        Ok(Self { path })
    }

    /// Kills every process in it and below, and removes it, as when its container has ended.
    pub fn delete(&self) -> Result<()> {
        self.kill()?;
        self.remove()
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command whose process moves in here, stays in our network namespace, and dies with the thread that starts it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        contained(program, None, self)
    }

    /// Runs `work` with this whole program in the cgroup: sockets that it makes belong here for good.
    pub fn inside<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let lines = fs::read_to_string("/proc/self/cgroup").context("read our own cgroup")?;
        let home = lines.lines().find_map(|line| line.strip_prefix("0::/"));
        let home = home.context("no cgroup of version 2")?;
        let home = hierarchy_or_mount()?.join(home).join("cgroup.procs");
        self.procs()?
            .write_all(b"0")
            .context("move into a cgroup")?;
        // The lab kills whoever is left in its cgroups.
        let done = catch_unwind(AssertUnwindSafe(work));
        fs::write(&home, "0").with_context(|| format!("move back to {}", home.display()))?;
        Ok(done.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Its `cgroup.procs`, open for a process to move itself in by writing `0`.
    pub(crate) fn procs(&self) -> Result<fs::File> {
        let path = self.path.join("cgroup.procs");
        OpenOptions::new()
            .write(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))
    }

    /// Kills every process in it and below: all were started by the lab, since only those move in.
    pub(crate) fn kill(&self) -> Result<()> {
        let path = self.path.join("cgroup.kill");
        fs::write(&path, "1").with_context(|| format!("write {}", path.display()))?;
        wait_until(
            "processes of the lab's cgroup are gone",
            Duration::from_secs(10),
            || {
                fs::read_to_string(self.path.join("cgroup.events"))
                    .map_or(true, |text| text.contains("populated 0"))
            },
        )
    }

    /// Removes it and what is below; its processes must be gone.
    pub(crate) fn remove(&self) -> Result<()> {
        remove_tree(&self.path)?;
        if self.path.starts_with(OWN_MOUNT) {
            // Another lab may still use the mount: then it stays, and that lab unmounts it.
            let _busy = umount(OWN_MOUNT);
        }
        Ok(())
    }
}

/// Removes a cgroup directory from the bottom up; the files in it are the kernel's.
fn remove_tree(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).with_context(|| format!("list {}", path.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path).with_context(|| format!("remove cgroup {}", path.display()))
}
