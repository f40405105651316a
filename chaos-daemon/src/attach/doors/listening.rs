//! Who listens on a port of a target.

use std::{
    collections::HashSet,
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::error::DoorError;
use crate::{
    engine::Target,
    netlink::diag::{self, Port, States, TcpSocket},
};

/// Whoever waits for connections on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// One of its processes, where it can be seen.
    pub process: Option<Process>,
}

/// A process, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(Process { pid, name }) => write!(f, "process {pid} ({name})"),
            None => f.write_str("a process that the agent cannot see"),
        }
    }
}

/// Looks who listens on the port, and whether it belongs to the target. Nothing where this kernel does not tell.
pub fn listening(target: &Target, port: u16) -> Result<Option<Listening>, DoorError> {
    let sockets = target
        .netns
        .enter(|_| diag::tcp_sockets(States::LISTENING, Port::Own(port)))
        .map_err(|_| DoorError::Gone)?;
    match sockets {
        Ok(sockets) => judge(target, port, &sockets).map(Some),
        // Without `tcp_diag` nobody can say; the port may well be somebody's.
        Err(_) => Ok(None),
    }
}

fn judge(target: &Target, port: u16, sockets: &[TcpSocket]) -> Result<Listening, DoorError> {
    let name = || target.name.clone();
    if sockets.is_empty() {
        return Err(DoorError::NothingListens {
            port,
            target: name(),
        });
    }
    let ids = target.cgroup.as_ref().map(|cgroup| ids(&cgroup.path));
    // A kernel that knows no cgroup of sockets says nothing against it.
    let is_its_own = |socket: &&TcpSocket| match (&ids, socket.cgroup) {
        (Some(ids), Some(id)) => ids.contains(&id),
        _ => true,
    };
    // A door takes connections to all addresses.
    let (own, others): (Vec<&TcpSocket>, Vec<&TcpSocket>) = sockets.iter().partition(is_its_own);
    let process = |of: &[&TcpSocket]| of.iter().find_map(|socket| process_with(socket.inode));
    if others.is_empty() {
        let process = process(&own);
        return Ok(Listening { process });
    }
    let process = process(&others);
    Err(DoorError::ListensElsewhere {
        port,
        target: name(),
        who: Listening { process }.to_string(),
    })
}

/// Ids of a cgroup and of all below it.
fn ids(path: &Path) -> HashSet<u64> {
    let mut found = HashSet::new();
    let mut left = vec![path.to_owned()];
    while let Some(directory) = left.pop() {
        found.extend(fs::metadata(&directory).map(|metadata| metadata.ino()));
        let below = fs::read_dir(&directory).into_iter().flatten().flatten();
        let directories = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        left.extend(directories.map(|entry| entry.path()));
    }
    found
}

/// A process that has this socket.
fn process_with(inode: u32) -> Option<Process> {
    let is_it = PathBuf::from(format!("socket:[{inode}]"));
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.find(|pid| {
        sockets_of(&format!("/proc/{pid}/fd"))
            .is_ok_and(|mut sockets| sockets.any(|link| link == is_it))
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Process {
        pid,
        name: name.trim_end().to_owned(),
    })
}

/// Inodes of this process's own sockets.
pub(super) fn own_sockets() -> HashSet<u32> {
    let links = sockets_of("/proc/self/fd").into_iter().flatten();
    links
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?;
            link.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

fn sockets_of(directory: &str) -> io::Result<impl Iterator<Item = PathBuf>> {
    let entries = fs::read_dir(directory)?.flatten();
    Ok(entries.filter_map(|entry| fs::read_link(entry.path()).ok()))
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process};

    use super::*;
    use crate::{engine::Cgroup, netns::Netns};

    fn target(cgroup: Option<Cgroup>) -> Target {
        Target {
            name: "web".into(),
            netns: Netns::own().unwrap(),
            interface: "lo".into(),
            ifindex: 1,
            cgroup,
            pod: None,
            spared: Vec::new(),
        }
    }

    #[test]
    fn says_which_process_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = listening(&target(None), port).unwrap().unwrap();
        assert_eq!(found.process.as_ref().unwrap().pid, process::id());
        let sentence = found.to_string();
        assert!(sentence.starts_with("process "), "{sentence}");
        drop(listener);
        let error = listening(&target(None), port).unwrap_err().to_string();
        assert!(error.starts_with("nothing listens on port"), "{error}");
    }

    #[test]
    fn a_port_of_another_cgroup_is_not_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let elsewhere = tempfile::tempdir().unwrap();
        let cgroup = Cgroup {
            id: 1,
            level: 1,
            path: elsewhere.path().to_owned(),
            root: "/".into(),
        };
        let sockets = diag::tcp_sockets(States::LISTENING, Port::Own(port)).unwrap();
        let judged = judge(&target(Some(cgroup)), port, &sockets);
        if sockets[0].cgroup.is_some() {
            let error = judged.unwrap_err().to_string();
            assert!(error.contains(&process::id().to_string()), "{error}");
        }
    }
}
