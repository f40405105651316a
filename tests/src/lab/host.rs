//! A test host: a network namespace with one Ethernet interface, two addresses, and a cgroup for its processes.

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    cgroup::Cgroup,
    namespace::{Namespace, output},
    process::{Output, Process, contained},
};
use crate::wait::wait_for;

/// How long the kernel may take to switch a port on.
const PLUG_IN: Duration = Duration::from_secs(30);

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, for loops.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];
}

/// A host of a lab; clones are the same host. It lives as long as its lab.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    number: u8,
    namespace: Namespace,
    cgroup: Cgroup,
}

impl Host {
    /// Name of the interface of every host.
    pub const INTERFACE: &str = "eth0";

    /// Makes host number `number` (1 to 250) and plugs it into the switch.
    pub(crate) fn create(
        name: &str,
        number: u8,
        prefix: &str,
        switch: &Namespace,
        cgroup: &Cgroup,
    ) -> Result<Self> {
        let namespace = Namespace::create(format!("{prefix}{name}"))?;
        // Before eth0 appears: new interfaces copy their settings from `default`.
        namespace
            .run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0"))?
            .context("turn duplicate address detection off")?;
        let ns = namespace.name();
        let eth0 = Self::INTERFACE;
        switch.ip(&format!(
            "link add port{number} type veth peer name {eth0} netns {ns}\nlink set port{number} master br0 up\n"
        ))?;
        namespace.ip(&format!(
            "link set lo up\n\
             address add 10.77.0.{number}/24 dev {eth0}\n\
             address add fd77::{number:x}/64 dev {eth0} nodad\n\
             link set {eth0} up\n\
             route add default via 10.77.0.254\n\
             route add ::/0 via fd77::fe\n"
        ))?;
        // The kernel switches a port on by a task of its own, and until then drops without a word what comes through it.
        wait_for("the switch forwards what the host sends", PLUG_IN, || {
            port_forwards(switch, number).transpose()
        })??;
        let cgroup = cgroup.child(name)?;
        Ok(Self {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                number,
                namespace,
                cgroup,
            }),
        })
    }

    /// Its name in the lab, such as `provider-1`.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its network namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    /// Name of its network namespace, as `ip netns` lists it.
    pub fn netns_name(&self) -> &str {
        self.inner.namespace.name()
    }

    /// Path of its network namespace.
    pub fn netns_path(&self) -> PathBuf {
        self.inner.namespace.path()
    }

    /// The cgroup directory that its processes are in.
    pub fn cgroup(&self) -> &Path {
        self.inner.cgroup.path()
    }

    /// Its IPv4 address.
    pub fn address_v4(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, self.inner.number)
    }

    /// Its IPv6 address.
    pub fn address_v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, self.inner.number.into())
    }

    /// Its address of a family.
    pub fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.address_v4().into(),
            Family::V6 => self.address_v6().into(),
        }
    }

    /// Its address of a family, with a port.
    pub fn socket_address(&self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.address(family), port)
    }

    /// Runs `work` on a thread inside the host's namespace; see [`Namespace::run`].
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.inner.namespace.run(work)
    }

    /// A command whose process enters the host's namespace and cgroup and dies with the thread that starts it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        contained(program, Some(&self.inner.namespace), &self.inner.cgroup)
    }

    /// A cgroup below the host's.
    pub fn child_cgroup(&self, name: &str) -> Result<Cgroup> {
        self.inner.cgroup.child(name)
    }

    /// A command as [`Self::command`], in a cgroup of its own.
    pub fn command_in(&self, cgroup: &Cgroup, program: impl AsRef<OsStr>) -> Result<Command> {
        contained(program, Some(&self.inner.namespace), cgroup)
    }

    /// Starts a process in the host, without input and output; it ends with the guard.
    pub fn spawn<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: &[S],
    ) -> Result<Process> {
        let mut command = self.command(program)?;
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Process::spawn(command)
    }

    /// Runs a program in the host to its end, at most `timeout`.
    pub fn output<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: &[S],
        timeout: Duration,
    ) -> Result<Output> {
        let mut command = self.command(program)?;
        command.args(args);
        Output::of(command, timeout)
    }

    /// Kills the host's processes and takes its namespace away, as when a pod is deleted.
    pub fn delete(&self) -> Result<()> {
        self.inner.cgroup.kill()?;
        self.inner.namespace.delete()
    }
}

/// Whether the switch forwards what comes through a port; None when it does not yet.
fn port_forwards(switch: &Namespace, number: u8) -> Result<Option<()>> {
    let port = format!("port{number}");
    let link = output(Command::new("ip").args(["-n", switch.name(), "-d", "link", "show", &port]))?;
    Ok(link.contains("state forwarding").then_some(()))
}
