//! Removes what labs left whose owner is dead (killed too hard to clean up). A thing is a lab's by its name, which
//! carries the owner's pid; nothing else is ever touched.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use nix::sys::statfs::statfs;

use super::{
    cgroup::{self, Cgroup, hierarchy},
    namespace::{DIRECTORY, Namespace},
    process::is_alive,
};

/// Every namespace of a lab starts with this, the owner's pid, and a dash.
pub(crate) const NAMESPACE_PREFIX: &str = "lab-";

/// Where labs have their directories: a file system that no other machine shares, so that "no such process" here means
/// that the owner is dead.
pub(crate) const DIRECTORIES: &str = "/run";

/// Magic number of nsfs, the file system of namespaces (`linux/magic.h`).
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// Removes the namespaces, cgroups (with the processes in them) and directories of labs whose owner is dead.
pub fn sweep() -> Result<()> {
    let is_dead = |name: &str, prefix: &str| owner(name, prefix).is_some_and(|pid| !is_alive(pid));
    if let Some(top) = hierarchy() {
        for name in names(&top)? {
            if is_dead(&name, cgroup::PREFIX) {
                let left = Cgroup::left_at(top.join(name));
                // A lab that starts at the same time may be faster than we are.
                left.kill()
                    .and_then(|()| left.remove())
                    .or_else(|error| gone(left.path(), error))?;
            }
        }
    }
    if let Some(error) = namespaces(|name| is_dead(name, NAMESPACE_PREFIX))
        .into_iter()
        .next()
    {
        return Err(error);
    }
    for name in names(Path::new(DIRECTORIES))? {
        if is_dead(&name, cgroup::PREFIX) {
            let path = Path::new(DIRECTORIES).join(name);
            fs::remove_dir_all(&path)
                .map_err(Into::into)
                .or_else(|error| gone(&path, error))?;
        }
    }
    Ok(())
}

/// Deletes the namespaces whose name `is_ours`; gives the errors.
pub(super) fn namespaces(is_ours: impl Fn(&str) -> bool) -> Vec<anyhow::Error> {
    let names = match names(Path::new(DIRECTORY)) {
        Ok(names) => names,
        Err(error) => return vec![error],
    };
    let delete = |name: String| {
        let namespace = Namespace::named(name);
        // A file that is no namespace here may be one for somebody else who shares the file system.
        let is_namespace =
            statfs(&namespace.path()).is_ok_and(|fs| fs.filesystem_type().0 == NSFS_MAGIC);
        is_namespace
            .then(|| {
                namespace
                    .delete()
                    .or_else(|error| gone(&namespace.path(), error))
            })
            .and_then(Result::err)
    };
    names
        .into_iter()
        .filter(|name| is_ours(name))
        .filter_map(delete)
        .collect()
}

/// The pid in `<prefix><pid>-…`.
fn owner(name: &str, prefix: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(prefix)?.split_once('-')?;
    pid.parse().ok()
}

/// An error that does not matter, because what it is about has gone.
fn gone(path: &Path, error: anyhow::Error) -> Result<()> {
    if path.exists() { Err(error) } else { Ok(()) }
}

/// Names in a directory; none when it does not exist.
fn names(directory: &Path) -> Result<Vec<String>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    fs::read_dir(directory)
        .with_context(|| format!("list {}", directory.display()))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn only_names_of_labs_have_an_owner() {
        assert_eq!(owner("lab-4711-1-provider-1", "lab-"), Some(4711));
        for name in [
            "lab-",
            "lab-x-1",
            "lab-4711",
            "lab--1",
            "label-4711-1",
            "cni-4711-1",
            "eth0",
        ] {
            assert_eq!(owner(name, "lab-"), None, "{name}");
        }
    }
}
