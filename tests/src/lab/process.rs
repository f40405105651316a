//! Processes of the lab: they enter a namespace and a cgroup, die with the lab, and are reaped by a guard.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use nix::{
    sched::{CloneFlags, setns},
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};

use super::{cgroup::Cgroup, namespace::Namespace};
use crate::wait::wait_for;

/// A command whose process enters `namespace` (None: stays in ours) and `cgroup`, and is killed when we die.
///
/// The kernel takes "we" to be the thread that starts it: start long-lived processes with [`Process::spawn`].
pub(crate) fn contained(
    program: impl AsRef<std::ffi::OsStr>,
    namespace: Option<&Namespace>,
    cgroup: &Cgroup,
) -> Result<Command> {
    let namespace = match namespace {
        Some(namespace) => {
            let path = namespace.path();
            Some(
                File::open(&path)
                    .with_context(|| format!("open network namespace {}", path.display()))?,
            )
        }
        None => None,
    };
    let procs = cgroup.procs()?;
    let parent = Pid::this();
    let mut command = Command::new(program);
    let enter = move || -> io::Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            return Err(io::Error::other("the lab died before its process started"));
        }
        (&procs).write_all(b"0")?;
        if let Some(namespace) = &namespace {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls only (prctl, getppid, write, setns); it allocates
    // nothing on its way to success and takes no lock.
    unsafe { command.pre_exec(enter) };
    Ok(command)
}

/// A process of the lab; killed and reaped when the guard is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    what: String,
}

impl Process {
    /// Starts a command, from a thread that lives as long as this program does.
    pub fn spawn(command: Command) -> Result<Self> {
        type Job = (Command, Sender<io::Result<Child>>);
        static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
        let spawner = SPAWNER.get_or_init(|| {
            let (jobs, inbox) = channel::<Job>();
            thread::spawn(move || {
                for (mut command, reply) in inbox {
                    let _caller_gone = reply.send(command.spawn());
                }
            });
            jobs
        });
        let what = command.get_program().to_string_lossy().into_owned();
        let (reply, answer) = channel();
        spawner
            .send((command, reply))
            .map_err(|_| anyhow!("the lab's spawning thread is gone"))?;
        let child = answer.recv().context("the lab's spawning thread is gone")?;
        let child = child.with_context(|| format!("start {what}"))?;
        Ok(Self { child, what })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal; to one that has been reaped, an error.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended() {
            bail!("{} has already ended: {status}", self.what);
        }
        let pid = i32::try_from(self.child.id()).context("pid")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("send {signal} to {}", self.what))
    }

    /// Waits for its end.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("{} (pid {}) has ended", self.what, self.child.id());
        wait_for(&what, timeout, || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either fails only when the process has ended and been reaped: what we want.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// How a command ended, and what it said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; None when a signal ended it.
    pub code: Option<i32>,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Output {
    /// Runs a command to its end, or kills it after `timeout` and says so.
    pub fn of(mut command: Command, timeout: Duration) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let process = Process::spawn(command)?;
        Self::collect(process, started, timeout)
    }

    /// Waits for a process whose stdout and stderr are pipes.
    pub fn collect(mut process: Process, started: Instant, timeout: Duration) -> Result<Self> {
        let stdout = process.child().stdout.take().map(reader);
        let stderr = process.child().stderr.take().map(reader);
        let status = process.wait(timeout);
        drop(process);
        let text = |reader: Option<thread::JoinHandle<String>>| {
            reader
                .and_then(|thread| thread.join().ok())
                .unwrap_or_default()
        };
        let took = started.elapsed();
        let (stdout, stderr) = (text(stdout), text(stderr));
        match status {
            Ok(status) => Ok(Self {
                code: status.code(),
                stdout,
                stderr,
                took,
            }),
            Err(error) => Err(error.context(format!("stdout: {stdout}\nstderr: {stderr}"))),
        }
    }

    /// The output of a command that must exit with 0.
    pub fn success(self) -> Result<Self> {
        if self.code == Some(0) {
            return Ok(self);
        }
        bail!(
            "exit code {:?}, stdout: {}\nstderr: {}",
            self.code,
            self.stdout,
            self.stderr
        )
    }

    /// Its stdout as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("stdout is no JSON: {}", self.stdout))
    }
}

/// Reads a pipe to its end on a thread, so that a full pipe does not hold the process up.
fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _broken_pipe = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Whether a process of this number exists (also as another user's).
pub(crate) fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
