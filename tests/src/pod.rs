//! Pods without a cluster: a host's network, and a process for the sandbox and one for each container, in cgroups that
//! are named as kubelets and container runtimes name theirs.

use std::{path::Path, process::Stdio};

use anyhow::Result;

use crate::lab::{Cgroup, Host, Lab, Process};

/// How directories are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Slices and scopes.
    Systemd,
    /// Plain directories.
    Cgroupfs,
    /// The same, of a kubelet with a cgroup root of its own, as kind has it.
    Nested,
}

/// A pod of a lab; its processes end with it.
#[derive(Debug)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its cgroup.
    pub cgroup: Cgroup,
    driver: Driver,
    host: Host,
    processes: Vec<Process>,
}

impl Pod {
    /// Starts a sandbox on the network of `host`, in class burstable, below the lab's cgroup.
    pub fn start(lab: &Lab, host: &Host, uid: &str, driver: Driver) -> Result<Self> {
        Self::start_on(lab, "", host, uid, driver)
    }

    /// The same, on one of several nodes, whose pods have their cgroups below the one of this name.
    pub fn start_on(lab: &Lab, node: &str, host: &Host, uid: &str, driver: Driver) -> Result<Self> {
        let slice = uid.replace('-', "_");
        let path = match driver {
            Driver::Systemd => format!(
                "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice"
            ),
            Driver::Cgroupfs => format!("kubepods/burstable/pod{uid}"),
            Driver::Nested => {
                let pods = "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice";
                format!("{pods}/kubelet-kubepods-burstable-pod{slice}.slice")
            }
        };
        let path = format!("{node}/{path}");
        let mut pod = Self {
            name: host.name().to_owned(),
            uid: uid.to_owned(),
            cgroup: lab.child_cgroup(path.trim_start_matches('/'))?,
            driver,
            host: host.clone(),
            processes: Vec::new(),
        };
        pod.run(&"5".repeat(64))?;
        Ok(pod)
    }

    /// The cgroup of the container of this id.
    pub fn container(&self, id: &str) -> Result<Cgroup> {
        self.cgroup.child(&match self.driver {
            Driver::Systemd | Driver::Nested => format!("cri-containerd-{id}.scope"),
            Driver::Cgroupfs => id.to_owned(),
        })
    }

    /// Starts a container of this id; gives its cgroup.
    pub fn run(&mut self, id: &str) -> Result<Cgroup> {
        let cgroup = self.container(id)?;
        let mut command = self.host.command_in(&cgroup, "sleep")?;
        command.arg("600");
        self.processes.push(Process::spawn(command)?);
        Ok(cgroup)
    }

    /// Starts a container of this id that runs a program; whoever has the process ends it.
    pub fn run_program(&mut self, id: &str, program: &Path) -> Result<Process> {
        let cgroup = self.container(id)?;
        let mut command = self.host.command_in(&cgroup, program)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Process::spawn(command)
    }

    /// Starts what CRI-O keeps beside a container: a process on the network of the machine.
    pub fn monitor(&mut self, id: &str) -> Result<()> {
        let cgroup = self.cgroup.child(&format!("crio-conmon-{id}.scope"))?;
        let mut command = cgroup.command("sleep")?;
        command.arg("600");
        self.processes.push(Process::spawn(command)?);
        Ok(())
    }

    /// Ends it and takes its cgroup away, as a kubelet does.
    pub fn delete(mut self) -> Result<()> {
        self.processes.clear();
        self.cgroup.delete()
    }
}
