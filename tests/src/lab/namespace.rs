//! One named network namespace: made with `ip netns`, entered with `setns`. Knows no addresses and no hosts.

use std::{
    fs::File,
    io::Write,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

/// Where `ip netns` keeps the names.
pub(super) const DIRECTORY: &str = "/run/netns";

/// A network namespace that has a name under `/run/netns`. Dropping it changes nothing: see [`Namespace::delete`].
#[derive(Debug, Clone)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A namespace by its name; it need not exist.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Makes the namespace.
    pub fn create(name: impl Into<String>) -> Result<Self> {
        let namespace = Self::named(name);
        succeed(Command::new("ip").args(["netns", "add", &namespace.name]))?;
        Ok(namespace)
    }

    /// Takes its name away; the kernel frees the namespace when nothing uses it any more.
    pub fn delete(&self) -> Result<()> {
        succeed(Command::new("ip").args(["netns", "delete", &self.name]))
    }

    /// Its name, as `ip netns` lists it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path under `/run/netns`.
    pub fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }

    /// Runs `work` on a thread of its own inside the namespace. A panic of `work` goes on in the caller. Sockets that
    /// `work` returns stay in the namespace wherever they are used.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.path();
        let file = File::open(&path)
            .with_context(|| format!("open network namespace {}", path.display()))?;
        thread::scope(|scope| {
            let inside = scope.spawn(move || -> Result<T> {
                setns(&file, CloneFlags::CLONE_NEWNET).context("enter network namespace")?;
                drop(file);
                Ok(work())
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Runs `ip` commands inside the namespace, one a line, in one process.
    pub fn ip(&self, lines: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, "-batch", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start `ip` (package iproute2)")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(lines.as_bytes())
                .context("write to `ip -batch`")?;
        }
        let output = child.wait_with_output().context("wait for `ip -batch`")?;
        if !output.status.success() {
            bail!(
                "ip -n {} -batch: {}\n{lines}",
                self.name,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }
}

/// Runs a command to its end; a failure carries what it said on stderr.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs a command to its end and gives its stdout; a failure carries what it said on stderr.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
