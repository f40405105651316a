//! Which TCP sockets of a process are in a host's namespace.

use std::{collections::HashSet, fs, io, path::Path};

use anyhow::{Context, Result};

use super::Host;

/// How many TCP sockets of this process the host's namespace has, in any state.
pub fn tcp_sockets_of(host: &Host, pid: u32) -> Result<usize> {
    let of_process = sockets_of(pid).context("list a process's files")?;
    let of_host = host.run(in_namespace)?;
    Ok(of_process.intersection(&of_host).count())
}

/// Inodes of the process's sockets.
fn sockets_of(pid: u32) -> io::Result<HashSet<u64>> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
    // One that has been closed since is none.
    let links = files.filter_map(|file| fs::read_link(file.path()).ok());
    let inode = |link: &Path| {
        let inode = link.to_str()?.strip_prefix("socket:[")?;
        inode.strip_suffix(']')?.parse::<u64>().ok()
    };
    Ok(links.filter_map(|link| inode(&link)).collect())
}

/// Inodes of the TCP sockets in the calling thread's namespace.
fn in_namespace() -> HashSet<u64> {
    let mut found = HashSet::new();
    for family in ["tcp", "tcp6"] {
        let Ok(table) = fs::read_to_string(format!("/proc/thread-self/net/{family}")) else {
            // Without IPv6 there is no table of it.
            continue;
        };
        let inode = |line: &str| line.split_whitespace().nth(9)?.parse::<u64>().ok();
        found.extend(table.lines().skip(1).filter_map(inode));
    }
    found
}
