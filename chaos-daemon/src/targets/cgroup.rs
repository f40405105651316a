//! From a cgroup directory to the network namespaces of its processes. The same files in v1, v2 and hybrid.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
};

use nix::{
    sched::{CloneFlags, setns},
    sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs},
};

use super::{TargetError, Workload, is_own, not_the_host};
use crate::{engine::Cgroup, netns::Netns};

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
    if found.len() > 1 && found.iter().any(is_own) {
        return Err(TargetError::MixedCgroup {
            path: path.to_owned(),
        });
    }
    found
        .into_iter()
        .map(|netns| {
            if is_own(&netns) {
                on_node(name, path, netns)
            } else {
                not_the_host(name, netns)
            }
        })
        .collect()
}

/// A workload that shares the node's network, and is told apart by its cgroup.
pub(super) fn on_node(name: &str, path: &Path, netns: Netns) -> Result<Workload, TargetError> {
    let cgroup = identity(path).map_err(|source| TargetError::NoCgroup {
        path: path.to_owned(),
        source,
    })?;
    if cgroup.level == 0 {
        return Err(TargetError::HostNetwork {
            name: name.to_owned(),
        });
    }
    Ok(Workload {
        name: name.to_owned(),
        netns,
        cgroup: Some(cgroup),
    })
}

/// The directory of the version 2 cgroup that a process is in.
pub(super) fn of_process(pid: u32) -> Result<PathBuf, TargetError> {
    let failed = |source| TargetError::NoProcess { pid, source };
    let lines = as_the_node_sees(pid).map_err(failed)?;
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(failed)?;
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (directory, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then_some(directory)
    });
    let below = lines.lines().find_map(|line| line.strip_prefix("0::/"));
    match (mount, below) {
        (Some(mount), Some(below)) => Ok(Path::new(mount).join(below)),
        _ => Err(failed(not_version_2())),
    }
}

/// In which cgroups a process is. The kernel says it relative to the cgroup namespace of who asks, and that of a container
/// begins at its own cgroup, while what is mounted for it begins at the node's.
fn as_the_node_sees(pid: u32) -> io::Result<String> {
    let path = format!("/proc/{pid}/cgroup");
    let namespace = |of: &str| fs::metadata(format!("/proc/{of}/ns/cgroup"));
    let is_own = match (namespace("self"), namespace("1")) {
        (Ok(own), Ok(node)) => own.ino() == node.ino(),
        // Somebody that sees only processes of its own.
        _ => true,
    };
    if is_own {
        return fs::read_to_string(path);
    }
    let node = File::open("/proc/1/ns/cgroup")?;
    // Each thread has its own.
    let read = || {
        setns(&node, CloneFlags::CLONE_NEWCGROUP)?;
        fs::read_to_string(path)
    };
    let said = thread::scope(|scope| scope.spawn(read).join());
    said.unwrap_or_else(|_| Err(io::Error::other("the thread that asks has panicked")))
}

/// What the kernel knows it by. The hierarchy must be mounted from its root on, as hosts do: levels count from there.
pub(super) fn identity(path: &Path) -> io::Result<Cgroup> {
    let path = path.canonicalize()?;
    let is_version_2 = |path: &Path| {
        statfs(path).is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC)
    };
    if !is_version_2(&path) {
        return Err(not_version_2());
    }
    let mut level = 0;
    let mut root = path.as_path();
    while let Some(parent) = root.parent().filter(|parent| is_version_2(parent)) {
        level += 1;
        root = parent;
    }
    // The root of all has no such file.
    if root.join("cgroup.events").exists() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "cgroups are not mounted from their root on where the agent runs, so that the kernel's number of levels is not known",
        ));
    }
    Ok(Cgroup {
        id: fs::metadata(&path)?.ino(),
        level,
        root: root.to_owned(),
        path,
    })
}

fn not_version_2() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "a workload on the node's own network is told apart by its cgroup of version 2, and this is none",
    )
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
