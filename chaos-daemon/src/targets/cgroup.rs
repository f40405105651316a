//! From a cgroup directory to the network namespaces of its processes. The same files in v1, v2 and hybrid.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};

use super::{TargetError, Workload, not_the_host};
use crate::netns::Netns;

/// The namespaces of all processes in a cgroup and below it.
pub(super) fn workloads(name: &str, path: &Path) -> Result<Vec<Workload>, TargetError> {
    let mut pids = Vec::new();
    is_cgroup(path)
        .and_then(|()| collect(path, &mut pids))
        .map_err(|source| TargetError::NoCgroup {
            path: path.to_owned(),
            source,
        })?;
    let mut found: Vec<Netns> = Vec::new();
    for pid in pids {
        // Processes end while we look.
        if let Ok(netns) = Netns::at(format!("/proc/{pid}/ns/net"))
            && !found.iter().any(|known| known.cookie() == netns.cookie())
        {
            found.push(netns);
        }
    }
    if found.is_empty() {
        return Err(TargetError::EmptyCgroup {
            path: path.to_owned(),
        });
    }
    found
        .into_iter()
        .map(|netns| not_the_host(name, netns))
        .collect()
}

fn is_cgroup(path: &Path) -> io::Result<()> {
    match statfs(path)?.filesystem_type() {
        CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no cgroup",
        )),
    }
}

fn collect(directory: &Path, pids: &mut Vec<u32>) -> io::Result<()> {
    let text = fs::read_to_string(directory.join("cgroup.procs"))?;
    pids.extend(
        text.lines()
            .filter_map(|line| line.parse::<u32>().ok())
            .filter(|&pid| pid != 0),
    );
    let children: Vec<PathBuf> = fs::read_dir(directory)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    for child in children {
        match collect(&child, pids) {
            // A cgroup that went away while we looked has no processes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A threaded cgroup does not list processes; they are listed further up.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            other => other?,
        }
    }
    Ok(())
}
