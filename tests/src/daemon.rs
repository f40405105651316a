//! The product under test: the real `chaos-daemon` on the machine that holds the hosts, and the real `chaosctl` that
//! talks to it. Knows their command lines, and nothing of what is inside.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs::{self, File, OpenOptions, TryLockError},
    io::{Seek as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::{
    lab::{Cgroup, Host, Lab, Output, Process},
    programs::program,
    wait::wait_for,
};

/// How long a start or a command may take; generous, for emulated machines.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a container runtime makes of the volume `cgroup` of `deploy/`, and then the agent.
const IN_A_CONTAINER: &str = "mount --rbind /sys/fs/cgroup /sys/fs/cgroup && \
    mount -o remount,bind,ro /sys/fs/cgroup && exec \"$@\"";

/// A running agent. When the guard is dropped the agent is told to stop, and killed if it does not; in a failing test
/// the end of its log is printed.
#[derive(Debug)]
pub struct Daemon {
    process: Option<Process>,
    socket: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
    cgroup: Cgroup,
    node: Option<Host>,
    contained: bool,
    /// How far its clock is off, as `faketime` writes it.
    clock: Option<String>,
    /// How many files it may have open.
    files: Option<u32>,
    _alone: Arc<File>,
}

impl Daemon {
    /// Starts the agent and waits until its socket answers. Only one test program at a time may have agents.
    pub fn start(lab: &Lab) -> Result<Self> {
        Self::start_with(lab, &[])
    }

    /// Starts the agent with an inventory in which `service` has these hosts as endpoints, by netns.
    pub fn start_with_service(lab: &Lab, service: &str, hosts: &[Host]) -> Result<Self> {
        let inventory = write_inventory(lab, service, hosts)?;
        Self::start_with(lab, &["--inventory", &inventory.to_string_lossy()])
    }

    /// Starts the agent with more arguments.
    pub fn start_with(lab: &Lab, arguments: &[&str]) -> Result<Self> {
        Self::start_on(lab, None, arguments)
    }

    /// Starts the agent inside `node`, which is then the host that it runs on.
    pub fn start_inside(lab: &Lab, node: &Host, arguments: &[&str]) -> Result<Self> {
        Self::start_on(lab, Some(node.clone()), arguments)
    }

    /// Starts one of several agents, each with a node that is a host of the lab.
    pub fn start_one_of(
        lab: &Lab,
        node: &Host,
        arguments: &[&str],
        clock: Option<&str>,
    ) -> Result<Self> {
        Self::start_as(lab, Some(node.clone()), node.name(), arguments, clock)
    }

    /// Starts the agent inside `node` as in a container of the `DaemonSet`: in cgroup and mount namespaces of its own, with the
    /// node's cgroups where the node has them, read-only.
    pub fn start_contained(lab: &Lab, node: &Host, arguments: &[&str]) -> Result<Self> {
        let mut daemon = Self::new(lab, Some(node.clone()), "chaos", arguments)?;
        daemon.contained = true;
        daemon.start_again()?;
        Ok(daemon)
    }

    /// Starts the agent, which may then have no more files open than these.
    pub fn start_with_files(lab: &Lab, files: u32) -> Result<Self> {
        let mut daemon = Self::new(lab, None, "chaos", &[])?;
        daemon.files = Some(files);
        daemon.start_again()?;
        Ok(daemon)
    }

    fn start_on(lab: &Lab, node: Option<Host>, arguments: &[&str]) -> Result<Self> {
        Self::start_as(lab, node, "chaos", arguments, None)
    }

    fn start_as(
        lab: &Lab,
        node: Option<Host>,
        name: &str,
        arguments: &[&str],
        clock: Option<&str>,
    ) -> Result<Self> {
        let mut daemon = Self::new(lab, node, name, arguments)?;
        daemon.clock = clock.map(str::to_owned);
        daemon.start_again()?;
        Ok(daemon)
    }

    fn new(lab: &Lab, node: Option<Host>, name: &str, arguments: &[&str]) -> Result<Self> {
        Ok(Self {
            process: None,
            socket: lab.directory().join(format!("{name}.sock")),
            log: lab.directory().join(format!("{name}-daemon.log")),
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            cgroup: lab.node_cgroup()?,
            node,
            contained: false,
            clock: None,
            files: None,
            _alone: alone()?,
        })
    }

    /// Starts it after it has ended, on the same socket.
    pub fn start_again(&mut self) -> Result<()> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .context("open the agent's log")?;
        let mut command = self.daemon_command()?;
        command.args(&self.arguments).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let process = self.process.insert(Process::spawn(command)?);
        let socket = &self.socket;
        let ready = wait_for("chaos-daemon answers on its socket", PATIENCE, || {
            if let Some(status) = process.ended() {
                return Some(Err(status));
            }
            UnixStream::connect(socket).is_ok().then_some(Ok(()))
        });
        match ready {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("chaos-daemon ended at once: {status}\n{}", self.log_tail()),
            Err(error) => Err(error.context(self.log_tail())),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        Ok(self
            .process
            .as_ref()
            .context("chaos-daemon does not run")?
            .pid())
    }

    /// Path of its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The whole log, of all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of the log.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(40)..];
        format!("the end of chaos-daemon's log:\n{}", tail.join("\n"))
    }

    /// Sends it a signal: SIGSTOP, SIGCONT, SIGTERM, …
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process
            .as_mut()
            .context("chaos-daemon does not run")?
            .signal(signal)
    }

    /// Kills it with SIGKILL, if that has not been done, and reaps it.
    pub fn kill(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("chaos-daemon does not run")?;
        if process.ended().is_none() {
            process.signal(Signal::SIGKILL)?;
        }
        self.end().map(drop)
    }

    /// Stops it with SIGTERM and waits for its end.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.end()
    }

    /// Waits for its end, reaps it, and forgets it.
    fn end(&mut self) -> Result<ExitStatus> {
        let status = self
            .process
            .as_mut()
            .context("chaos-daemon does not run")?
            .wait(PATIENCE)?;
        self.process = None;
        Ok(status)
    }

    /// Runs `chaos-daemon cleanup`.
    pub fn cleanup(&self) -> Result<Output> {
        let mut command = self.daemon_command()?;
        command.arg("cleanup");
        Output::of(command, PATIENCE)
    }

    /// Runs `chaosctl` with this agent's socket, to its end.
    pub fn chaosctl<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Output> {
        let mut command = self.chaosctl_command()?;
        command.args(arguments);
        Output::of(command, PATIENCE)
    }

    /// A `chaosctl` command with this agent's socket, in the lab's cgroup.
    pub fn chaosctl_command(&self) -> Result<Command> {
        let mut command = self.cgroup.command(program("chaosctl")?)?;
        command.env("CHAOS_SOCKET", &self.socket);
        Ok(command)
    }

    fn daemon_command(&self) -> Result<Command> {
        let program = program("chaos-daemon")?;
        let first = if self.contained {
            Path::new("unshare")
        } else if self.files.is_some() {
            Path::new("prlimit")
        } else {
            program.as_path()
        };
        let mut command = match &self.node {
            Some(node) => node.command(first)?,
            None => self.cgroup.command(first)?,
        };
        if self.contained {
            command.args([
                "--cgroup",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
            ]);
            command.args([IN_A_CONTAINER, "sh"]).arg(&program);
        }
        if let Some(files) = self.files {
            command.arg(format!("--nofile={files}")).arg(&program);
        }
        if let Some(clock) = &self.clock {
            // Only what a wall shows: uptime is nothing that nodes differ in by mistake. The loader knows what $LIB is.
            command
                .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1")
                .env("FAKETIME", clock)
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command.arg("--socket").arg(&self.socket);
        Ok(command)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if thread::panicking() {
            let _closed = writeln!(std::io::stderr(), "{}", self.log_tail());
        }
        let Some(process) = self.process.as_mut() else {
            return;
        };
        // A stopped process takes SIGTERM only once it goes on. If any of this fails, the guard below kills.
        let _gone = process.signal(Signal::SIGTERM);
        let _gone = process.signal(Signal::SIGCONT);
        let _killed = process.wait(Duration::from_secs(5));
    }
}

/// Writes an inventory in which `service` (namespace `default`) has these hosts as endpoints; gives its path.
pub fn write_inventory(lab: &Lab, service: &str, hosts: &[Host]) -> Result<PathBuf> {
    let mut text =
        format!("services:\n  - name: {service}\n    namespace: default\n    endpoints:\n");
    for host in hosts {
        let _infallible = writeln!(
            text,
            "      - {{ name: {}, netns: {} }}",
            host.name(),
            host.netns_name()
        );
    }
    let path = lab.directory().join(format!("{service}.yaml"));
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// The right to run agents on this machine, for the whole test program. BPF programs are the machine's, not the lab's:
/// two tests at once could not tell whose are left, and would disturb each other's timing.
pub fn alone() -> Result<Arc<File>> {
    const LOCK: &str = "/run/chaos-lab.lock";
    static HELD: Mutex<Weak<File>> = Mutex::new(Weak::new());
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(lock) = held.upgrade() {
        return Ok(lock);
    }
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(LOCK)
        .with_context(|| format!("open {LOCK}"))?;
    let deadline = Instant::now() + Duration::from_mins(20);
    while let Err(error) = file.try_lock() {
        if let TryLockError::Error(error) = error {
            return Err(error).with_context(|| format!("lock {LOCK}"));
        }
        if Instant::now() > deadline {
            let holder = fs::read_to_string(LOCK).unwrap_or_default();
            bail!(
                "waited 20 minutes for process {} to finish with its agents ({LOCK})",
                holder.trim()
            );
        }
        thread::sleep(Duration::from_millis(50));
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .context("write the lock file")?;
    writeln!(file, "{}", std::process::id()).context("write the lock file")?;
    let lock = Arc::new(file);
    *held = Arc::downgrade(&lock);
    Ok(lock)
}
