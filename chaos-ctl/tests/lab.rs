//! A directory with an experiment in it, in which `chaosctl run` runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agent::DEADLINE;
use crate::chaosctl::{Finished, Running, chaosctl};

/// A directory with an experiment in it.
pub(crate) struct Lab(TempDir);

impl Lab {
    pub(crate) fn new(experiment: &Value) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("experiment.json");
        fs::write(file, experiment.to_string()).unwrap();
        Self(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// What runs the experiment, with nothing in its environment that sends traces anywhere.
    pub(crate) fn command(&self, options: &[&str]) -> Command {
        let mut command = chaosctl(&[&["run", "experiment.json"], options].concat());
        command
            .current_dir(self.path())
            .env("HOME", self.path())
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .env_remove("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .env_remove("OTEL_EXPORTER_OTLP_PROTOCOL")
            .env_remove("TRACEPARENT");
        command
    }

    /// Runs another experiment than the one that is there.
    pub(crate) fn run_of(&self, file: &str, options: &[&str]) -> Finished {
        let mut command = chaosctl(&[&["run", file], options].concat());
        Running::start(command.current_dir(self.path()).env("HOME", self.path())).wait()
    }

    pub(crate) fn start(&self, options: &[&str]) -> Running {
        Running::start(&mut self.command(options))
    }

    pub(crate) fn run(&self, options: &[&str]) -> Finished {
        self.start(options).wait()
    }

    /// Runs it with these lines on standard input, and no more.
    pub(crate) fn answered(&self, answers: &str, options: &[&str]) -> Finished {
        let file = self.path().join("answers");
        fs::write(&file, answers).unwrap();
        let answers = fs::File::open(file).unwrap();
        Running::start(self.command(options).stdin(answers)).wait()
    }

    pub(crate) fn journal(&self) -> Value {
        read(&self.path().join("journal.json"))
    }

    /// The journals of a command that runs it again and again, in the order of time.
    pub(crate) fn journals(&self) -> Vec<Value> {
        let mut journals: Vec<Value> = self
            .files("journal-")
            .iter()
            .map(|path| read(path))
            .collect();
        journals.sort_by_key(|journal| journal["start"].as_str().unwrap().to_owned());
        journals
    }

    /// The files whose names begin so.
    pub(crate) fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with(prefix)
            })
            .collect()
    }

    /// Waits until a file is there.
    pub(crate) fn wait_for(&self, file: &str) {
        self.wait_until(|| self.path().join(file).exists());
    }

    /// Waits until something is so.
    pub(crate) fn wait_until(&self, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < DEADLINE, "in {}", self.path().display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// An activity that the shell does.
pub(crate) fn shell(kind: &str, name: &str, script: &str) -> Value {
    json!({"type": kind, "name": name,
        "provider": {"type": "process", "path": "sh", "arguments": ["-c", script]}})
}

/// An experiment whose hypothesis is met while the script succeeds.
pub(crate) fn experiment(script: &str, method: &[Value], rollbacks: &[Value]) -> Value {
    let mut probe = shell("probe", "steady", script);
    probe["tolerance"] = 0.into();
    json!({
        "title": "Does it hold?", "description": "d",
        "steady-state-hypothesis": {"title": "all is well", "probes": [probe]},
        "method": method, "rollbacks": rollbacks,
    })
}

/// What became of the activities of a list; null: interrupted.
pub(crate) fn statuses(journal: &Value, list: &str) -> Vec<Value> {
    let runs = journal[list].as_array().unwrap().iter();
    runs.map(|run| run.get("status").cloned().unwrap_or_default())
        .collect()
}
