//! Real test hosts in network namespaces, joined by veth and a Linux bridge that has a namespace of its own. The lab
//! touches no interface, namespace, cgroup or process that it did not make, and takes all of it down when dropped; what
//! a killed lab leaves, the next one removes. It knows nothing of the product.

mod cgroup;
mod host;
mod leftovers;
mod namespace;
mod process;
mod sockets;
mod sweep;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::pauses;

pub use self::{
    cgroup::{Cgroup, hierarchy},
    host::{Family, Host},
    leftovers::Leftovers,
    namespace::Namespace,
    process::{Output, Process},
    sockets::tcp_sockets_of,
    sweep::sweep,
};

/// Name of the host-like namespace that holds the bridge.
const SWITCH: &str = "switch";

/// A small network of test hosts.
#[derive(Debug)]
pub struct Lab {
    name: String,
    prefix: String,
    switch: Namespace,
    cgroup: Cgroup,
    directory: TempDir,
    hosts: Mutex<BTreeMap<String, Host>>,
}

impl Lab {
    /// Makes a lab with a switch and no hosts, after removing what dead labs left. Needs root.
    pub fn new(name: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        sweep().context("remove what dead labs left")?;
        // Before there are cgroups and namespaces that its threads could be started in.
        pauses::watch().context("watch for pauses of the machine")?;
        let owner = std::process::id();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}{owner}-{number}-", cgroup::PREFIX))
            .tempdir_in(sweep::DIRECTORIES)
            .context("make the lab's directory")?;
        let cgroup = Cgroup::of_lab(owner, number)?;
        let prefix = format!("{}{owner}-{number}-", sweep::NAMESPACE_PREFIX);
        // Built before the switch, so that Drop takes down whatever of it came into being.
        let lab = Self {
            name: name.to_owned(),
            switch: Namespace::named(format!("{prefix}{SWITCH}")),
            prefix,
            cgroup,
            directory,
            hosts: Mutex::new(BTreeMap::new()),
        };
        Namespace::create(lab.switch.name())?;
        // An address of its own: else the bridge takes the least of its ports', a new host may change it, and who talks to
        // the switch itself (an API server there) is not heard until ARP has noticed, some 5 s later.
        lab.switch.ip("link set lo up\n\
             link add br0 address 02:77:00:00:00:fe type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             address add 10.77.0.254/24 dev br0\n\
             address add fd77::fe/64 dev br0 nodad\n\
             link set br0 up\n")?;
        Ok(lab)
    }

    /// The host of this name; made when it is asked for the first time. Names: letters, digits, dashes.
    pub fn host(&self, name: &str) -> Result<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(host.clone());
        }
        ensure!(
            name != SWITCH
                && !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
            "no name for a host: {name:?}"
        );
        let number = u8::try_from(hosts.len() + 1)
            .ok()
            .filter(|&number| number <= 250)
            .context("at most 250 hosts")?;
        let host = Host::create(name, number, &self.prefix, &self.switch, &self.cgroup)
            .with_context(|| format!("make host {name} of lab {}", self.name))?;
        hosts.insert(name.to_owned(), host.clone());
        Ok(host)
    }

    /// All hosts, by name.
    pub fn hosts(&self) -> Vec<Host> {
        self.hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Its name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the names of its namespaces start with: `lab-<pid>-<number>-`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The namespace of the bridge `br0`.
    pub fn switch(&self) -> &Namespace {
        &self.switch
    }

    /// Its cgroup directory, above those of the hosts.
    pub fn cgroup(&self) -> &Path {
        self.cgroup.path()
    }

    /// A cgroup below the lab's, such as a pod's; names may have several levels.
    pub fn child_cgroup(&self, name: &str) -> Result<Cgroup> {
        self.cgroup.child(name)
    }

    /// A directory for files, sockets and logs; gone with the lab.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The cgroup for programs of the machine that holds the hosts, such as a node's agent.
    pub fn node_cgroup(&self) -> Result<Cgroup> {
        self.cgroup.child("node")
    }

    /// What the product left in this machine and in the lab's namespaces.
    pub fn leftovers(&self) -> Result<Leftovers> {
        Leftovers::look(self)
    }

    /// Takes everything down, going on after errors.
    fn take_down(&self) -> Vec<anyhow::Error> {
        let mut errors = Vec::new();
        errors.extend(self.cgroup.kill().err());
        errors.extend(sweep::namespaces(|name| name.starts_with(&self.prefix)));
        errors.extend(self.cgroup.remove().err());
        errors
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for error in self.take_down() {
            let _closed = writeln!(
                std::io::stderr(),
                "lab {}: taking it down: {error:#}",
                self.name
            );
        }
    }
}
