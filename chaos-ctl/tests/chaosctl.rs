//! Runs the real binary: to its end, or piece by piece.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::agent::{Agent, DEADLINE};

/// What a finished command left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The one JSON object on standard output.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The binary, with nothing in its environment that could point it to a real agent.
pub(crate) fn chaosctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaosctl"));
    command
        .args(arguments)
        .env_remove("CHAOS_SOCKET")
        .env_remove("CHAOS_SERVER")
        .stdin(Stdio::null());
    command
}

/// Runs a command against an agent to its end.
pub(crate) fn run(agent: &Agent, arguments: &[&str]) -> Finished {
    finish(chaosctl(arguments).env("CHAOS_SOCKET", agent.socket()))
}

/// Runs a command that must not find an agent.
pub(crate) fn run_alone(arguments: &[&str]) -> Finished {
    finish(chaosctl(arguments).env("CHAOS_SOCKET", "/nonexistent/chaos.sock"))
}

/// Runs any command to its end.
pub(crate) fn finish(command: &mut Command) -> Finished {
    Running::start(command).wait()
}

/// A command that has not ended.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    seen: String,
}

impl Running {
    /// Starts a command against an agent.
    pub(crate) fn against(agent: &Agent, arguments: &[&str]) -> Self {
        Self::start(chaosctl(arguments).env("CHAOS_SOCKET", agent.socket()))
    }

    /// Starts any command.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            child,
            seen: String::new(),
        }
    }

    /// Waits until a line of the talk contains the text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let line = self.stderr.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|_| panic!("no {text:?} after {:?}", self.seen));
            self.seen.push_str(&line);
        }
    }

    /// Sends a signal to this process alone.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Sends a signal to the group that this process leads, as a terminal does.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        killpg(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Finished {
        // Both streams end with the process, so that their ends are the condition to wait for.
        let stdout = rest(&self.stdout, &mut self.child);
        let rest_of_stderr = rest(&self.stderr, &mut self.child);
        let status: ExitStatus = self.child.wait().unwrap();
        Finished {
            code: status.code(),
            stdout,
            stderr: std::mem::take(&mut self.seen) + &rest_of_stderr,
        }
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line) {
                Ok(1..) if sender.send(line).is_ok() => {}
                _ => return,
            }
        }
    });
    receiver
}

fn rest(lines: &Receiver<String>, child: &mut Child) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(DEADLINE) {
            Ok(line) => text.push_str(&line),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return text,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!("did not end in time; so far: {text:?}");
            }
        }
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The first example below a heading of docs/json.md.
pub(crate) fn documented(heading: &str) -> serde_json::Value {
    let (_, section) = include_str!("../../docs/json.md")
        .split_once(heading)
        .unwrap();
    let (_, example) = section.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    serde_json::from_str(example).unwrap()
}
