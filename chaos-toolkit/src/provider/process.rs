//! Providers of `type: process`: starts a program, waits for it, and gives its status and what it printed.
//!
//! Unlike in the reference, a program has a process group of its own and no standard input, and when it takes too long or the
//! run gives it up, its whole group is killed: what a shell started does not go on in secret.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, User, access};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::{Stopped, arguments, given, kind, required, seconds, text};
use crate::variables::{Environment, Variables};

/// Where programs are looked for when PATH is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Runs the program of a provider.
pub(super) async fn run(
    provider: &Map<String, Value>,
    variables: &Variables,
) -> Result<Value, Stopped> {
    let path = required(provider, "path")?;
    let mut command = command(path, arguments(provider, variables), &variables.environment)?;
    command
        .envs(variables.environment.added())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let limit = given(provider, "timeout").map(seconds).transpose()?;
    let mut running = Running::start(command)
        .map_err(|error| Stopped::crashed(format!("{path} cannot be started: {error}")))?;
    let finished = match limit {
        None => running.finish().await,
        Some(limit) => tokio::time::timeout(limit, running.finish())
            .await
            .map_err(|_elapsed| Stopped::failed("process activity took too long to complete"))?,
    };
    let (status, stdout, stderr) = finished
        .map_err(|error| Stopped::crashed(format!("what {path} prints cannot be read: {error}")))?;
    Ok(json!({
        "status": code(status),
        "stdout": crate::text::decode(stdout),
        "stderr": crate::text::decode(stderr),
    }))
}

/// A text is for the shell; lists and mappings are arguments one by one, without those that are nothing.
fn command(
    path: &str,
    arguments: Option<Value>,
    environment: &Environment,
) -> Result<Command, Stopped> {
    let program = find(path, environment);
    let mut parts: Vec<String> = Vec::new();
    match arguments {
        None => {}
        Some(Value::String(line)) => {
            // A program that is not there is the shell's to report, with status 127.
            let program = program.unwrap_or_else(|| home(path, environment));
            let mut command = Command::new("/bin/sh");
            command
                .arg("-c")
                .arg(format!("{} {line}", program.display()));
            return Ok(command);
        }
        Some(Value::Array(items)) => {
            parts.extend(items.iter().filter(|item| !is_nothing(item)).map(text));
        }
        Some(Value::Object(entries)) => {
            for (key, value) in &entries {
                parts.extend(Some(key).filter(|key| !key.is_empty()).cloned());
                parts.extend(Some(value).filter(|value| !is_nothing(value)).map(text));
            }
        }
        Some(other @ (Value::Null | Value::Bool(_) | Value::Number(_))) => {
            let kind = kind(&other);
            return Err(Stopped::crashed(format!(
                "a process takes its arguments as a list, a mapping or a text, not {kind}"
            )));
        }
    }
    let Some(program) = program else {
        return Err(Stopped::crashed(format!(
            "there is no program `{path}`, neither as a path nor in PATH"
        )));
    };
    let mut command = Command::new(program);
    command.args(parts);
    Ok(command)
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// The program of this name or path.
fn find(path: &str, environment: &Environment) -> Option<PathBuf> {
    let path = home(path, environment);
    if path.parent() != Some(Path::new("")) {
        return Some(path).filter(|path| is_program(path));
    }
    let directories = environment
        .get_os("PATH")
        .unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&directories)
        .map(|directory| directory.join(&path))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    // In most directories of PATH it is not: one question says so.
    access(path, AccessFlags::F_OK | AccessFlags::X_OK).is_ok() && !path.is_dir()
}

/// `~` and `~user` at the beginning, as a shell has them; what cannot be found stays.
fn home(path: &str, environment: &Environment) -> PathBuf {
    let Some(rest) = path.strip_prefix('~') else {
        return path.into();
    };
    let (user, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let found = if user.is_empty() {
        environment
            .get_os("HOME")
            .map(PathBuf::from)
            .or_else(std::env::home_dir)
    } else {
        User::from_name(user).ok().flatten().map(|user| user.dir)
    };
    match found {
        Some(home) if rest.is_empty() => home,
        Some(home) => home.join(rest),
        None => path.into(),
    }
}

/// As Python has it: a program that a signal ended has the signal's number, negative.
fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| -signal))
        .unwrap_or_default()
}

/// A program that runs. Its group is killed when this is dropped before the end.
struct Running {
    child: Child,
    /// None: it has been waited for, and its number may be somebody else's.
    group: Option<Pid>,
}

impl Running {
    fn start(mut command: Command) -> std::io::Result<Self> {
        let child = command.spawn()?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        Ok(Self { child, group })
    }

    /// Reads to the end of both pipes, as the reference does, and only then waits: until then the number is ours.
    async fn finish(&mut self) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr))?;
        let status = self.child.wait().await?;
        self.group = None;
        Ok((status, stdout, stderr))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Gone already is as good.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
