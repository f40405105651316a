//! Faults in experiments that `chaosctl run` plays, with a real agent: they act and end when they are to, whatever ends
//! the run, and the journal says what they hit.

mod examples;
mod killed;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use chaos_tests::{
    lab::{Host, Output, Process},
    programs::program,
    requires, services,
    wait::{wait_for, wait_until},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scenario::{PATIENCE, Scenario};

/// A provider on the target, and a place for experiments that are run on the peer.
struct Play {
    scenario: Scenario,
    directory: TempDir,
    _provider: Process,
}

impl Play {
    fn new(name: &str) -> Self {
        let scenario = Scenario::new(name);
        let provider = services::provider(&scenario.target).unwrap();
        Self {
            scenario,
            directory: tempfile::tempdir().unwrap(),
            _provider: provider,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An action of `type: chaos`: a partition of the provider.
    fn cut(&self, name: &str, duration: &str) -> Value {
        json!({
            "type": "action",
            "name": name,
            "provider": {
                "type": "chaos",
                "fault": "partition",
                "filter": { "proto": "tcp", "ports": [services::PORT] },
                "netns": self.scenario.target.netns_name(),
                "duration": duration,
            },
        })
    }

    /// A request to the provider.
    fn ask(&self, what: &str, name: &str) -> Value {
        let address = self.scenario.target.address_v4();
        json!({
            "type": what,
            "name": name,
            "provider": { "type": "http", "url": format!("http://{address}:{}/", services::PORT), "timeout": 1 },
        })
    }

    /// `chaosctl run` on the peer, of an experiment that is written for it.
    fn command(&self, experiment: &Value, options: &[&str]) -> Command {
        let file = self.path("experiment.json");
        fs::write(&file, experiment.to_string()).unwrap();
        let mut command = run(&self.scenario.peer, self.directory.path());
        command
            .arg("--socket")
            .arg(self.scenario.daemon.socket())
            .arg("experiment.json")
            .args(options);
        command
    }

    fn play(&self, experiment: &Value, options: &[&str]) -> (Output, Value) {
        let output = Output::of(self.command(experiment, options), PATIENCE * 3).unwrap();
        (output, self.journal())
    }

    fn journal(&self) -> Value {
        journal(self.directory.path())
    }

    /// Ids of the experiments that act.
    fn acting(&self) -> Vec<String> {
        let experiments = self.scenario.ask("list")["experiments"].clone();
        let experiments = experiments.as_array().unwrap().iter();
        let armed = experiments.filter(|experiment| experiment["state"] == "armed");
        armed
            .map(|experiment| experiment["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Nothing acts any more, and requests are answered.
    fn is_normal(&self) {
        assert_eq!(self.acting(), Vec::<String>::new());
        services::listening(&self.scenario.target, services::PORT).unwrap();
    }
}

/// `chaosctl run` on a host, in a directory.
fn run(host: &Host, directory: &Path) -> Command {
    let mut command = host.command(program("chaosctl").unwrap()).unwrap();
    command
        .arg("run")
        .current_dir(directory)
        .env_remove("CHAOS_SOCKET")
        .env_remove("CHAOS_SERVER")
        .env("HOME", directory)
        .stdin(Stdio::null());
    command
}

fn journal(directory: &Path) -> Value {
    let text = fs::read(directory.join("journal.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The run of an activity.
fn of<'a>(journal: &'a Value, name: &str) -> &'a Value {
    let lists = [&journal["run"], &journal["rollbacks"]];
    let mut runs = lists.into_iter().filter_map(Value::as_array).flatten();
    let found = runs.find(|run| run["activity"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {journal}"))
}

fn experiment(method: &Value) -> Value {
    json!({ "title": "cut", "description": "of the provider", "method": method })
}

/// It ended because the run did.
fn assert_stopped_by_the_run(fault: &Value) {
    assert_eq!(fault["end_reason"], "stopped", "{fault}");
    assert_eq!(fault["reason"], "the run stopped it", "{fault}");
}

#[test]
fn a_fault_acts_for_its_duration_or_until_the_run_ends() {
    requires!(root);
    let mut play = Play::new("run");
    let mut later = play.ask("probe", "after-its-time");
    later["pauses"] = json!({ "before": 3 });
    let method = json!([
        play.ask("probe", "before"),
        play.cut("for-a-while", "2s"),
        play.ask("probe", "during"),
        later,
        play.cut("to-the-end", "10m"),
        play.ask("probe", "during-the-second"),
    ]);
    let (output, journal) = play.play(&experiment(&method), &[]);
    assert_eq!(journal["status"], "completed", "{output:?}");
    for (name, status) in [
        ("before", "succeeded"),
        ("for-a-while", "succeeded"),
        ("during", "failed"),
        ("after-its-time", "succeeded"),
        ("to-the-end", "succeeded"),
        ("during-the-second", "failed"),
    ] {
        assert_eq!(of(&journal, name)["status"], status, "{name}: {journal}");
    }
    let first = of(&journal, "for-a-while");
    let (acts, ended) = (&first["output"], &first["chaos"]);
    assert!(
        acts["does"].as_str().unwrap().starts_with("partition"),
        "{acts}"
    );
    assert_eq!(acts["targets"][0]["interface"], Host::INTERFACE, "{acts}");
    assert_eq!(ended["id"], acts["id"], "{ended}");
    assert_eq!(ended["reason"], "its duration has passed", "{ended}");
    assert_eq!(ended["nothing_hit"], false, "{ended}");
    assert!(
        ended["totals"]["dropped_packets"].as_u64() > Some(0),
        "{ended}"
    );
    let second = &of(&journal, "to-the-end")["chaos"];
    assert_stopped_by_the_run(second);
    assert!(
        second["totals"]["dropped_packets"].as_u64() > Some(0),
        "{second}"
    );
    play.is_normal();
    play.scenario.leaves_nothing();
}

#[test]
fn a_fault_ends_when_the_run_is_told_to_or_a_guard_trips() {
    requires!(root);
    let mut play = Play::new("run-ends");
    let alarm = play.path("alarm");
    let mut wait = play.ask("probe", "never");
    wait["pauses"] = json!({ "before": 600 });
    let mut all = experiment(&json!([play.cut("cut", "10m"), wait]));
    // One packet may be lost yet, and is sent again after a second.
    let mut back = play.ask("action", "users-are-back");
    back["provider"]["timeout"] = json!(10);
    all["rollbacks"] = json!([back]);
    all["abort_when"] = json!([{
        "name": "alarm",
        "provider": { "type": "process", "path": "/usr/bin/test", "arguments": ["-e", alarm] },
        "is": 0,
    }]);

    let mut running = play.start(&all, &[]);
    play.wait_until_acting();
    running.signal(Signal::SIGTERM).unwrap();
    let status = running.wait(PATIENCE).unwrap();
    let journal = play.journal();
    assert_eq!(status.code(), Some(1), "{journal}");
    assert_eq!(journal["status"], "interrupted", "{journal}");
    assert_stopped_by_the_run(&of(&journal, "cut")["chaos"]);
    play.is_normal();

    let mut running = play.start(&all, &["--rollback-strategy", "always"]);
    play.wait_until_acting();
    fs::write(&alarm, "").unwrap();
    let status = running.wait(PATIENCE).unwrap();
    let journal = play.journal();
    assert_eq!(status.code(), Some(1), "{journal}");
    assert_eq!(journal["status"], "aborted", "{journal}");
    let guard = &journal["guards"][0];
    assert_eq!(guard["name"], "alarm", "{journal}");
    let fault = &of(&journal, "cut")["chaos"];
    assert_stopped_by_the_run(fault);
    eprintln!(
        "tripped at {}, ended at {}",
        guard["tripped_at"], fault["ended_at"]
    );
    // Faults are told to stop first, so that what undoes the rest finds the traffic normal.
    let back = of(&journal, "users-are-back");
    assert_eq!(back["status"], "succeeded", "{journal}");
    play.is_normal();
    play.scenario.leaves_nothing();
}

impl Play {
    /// In the background; the journal of an earlier run is gone.
    fn start(&self, experiment: &Value, options: &[&str]) -> Process {
        let _none = fs::remove_file(self.path("journal.json"));
        let mut command = self.command(experiment, options);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Process::spawn(command).unwrap()
    }

    fn wait_until_acting(&self) {
        wait_until("the fault acts", PATIENCE, || !self.acting().is_empty()).unwrap();
    }

    /// Waits until an experiment has ended, and gives it.
    fn ended(&self, id: &str) -> Value {
        wait_for("it has ended", PATIENCE, || {
            Some(self.scenario.status(id)).filter(|status| status["state"] == "ended")
        })
        .unwrap()
    }
}
