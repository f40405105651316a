//! A node to measure on: two hosts, an agent that knows them, and what `tc` can do instead of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chaos_tests::{
    daemon::Daemon,
    lab::{Host, Lab},
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// Fields are dropped in this order: the agent before its lab.
pub(super) struct Node {
    pub(super) daemon: Daemon,
    pub(super) sender: Host,
    pub(super) receiver: Host,
    _lab: Lab,
}

impl Node {
    pub(super) fn new() -> Result<Self> {
        let lab = Lab::new("bench")?;
        let (sender, receiver) = (lab.host("sender")?, lab.host("receiver")?);
        let daemon = Daemon::start(&lab)?;
        Ok(Self {
            daemon,
            sender,
            receiver,
            _lab: lab,
        })
    }

    /// Starts an experiment on the sender, of words separated by spaces; gives its id.
    pub(super) fn start(&self, fault: &str) -> Result<String> {
        let netns = self.sender.netns_name();
        let words = format!("{fault} --netns {netns} --duration 1h --detach");
        let started = self.ask(&words)?;
        let id = started["experiment"]["id"].as_str();
        Ok(id.context("an experiment without an id")?.to_owned())
    }

    /// Stops an experiment; gives it as it ended.
    pub(super) fn stop(&self, id: &str) -> Result<Value> {
        Ok(self.ask(&format!("stop {id}"))?["experiments"][0].clone())
    }

    /// Runs `chaosctl`; gives what it printed.
    pub(super) fn ask(&self, words: &str) -> Result<Value> {
        let words = format!("{words} -o json");
        let words: Vec<&str> = words.split_whitespace().collect();
        self.daemon.chaosctl(&words)?.success()?.json()
    }

    /// What holds the packets of a delay here.
    pub(super) fn line_engine(&self) -> Result<String> {
        let doctor = self.ask("doctor")?;
        let engine = doctor["agent"]["line_engine"].as_str();
        Ok(engine.context("this kernel cannot delay")?.to_owned())
    }

    /// Ends the agent, which must have gone well.
    pub(super) fn end(mut self) -> Result<()> {
        let ended = self.daemon.stop()?;
        ensure!(ended.success(), "chaos-daemon did not end well: {ended}");
        Ok(())
    }
}

/// Adds netem as a host's root qdisc with a delay; the error is what `tc` says.
pub(super) fn add_netem(host: &Host, latency: &str) -> Result<()> {
    // Packets that it may hold: 20 ms of 100 Gbit/s. Its default of 1000 would drop.
    let netem = ["netem", "delay", latency, "limit", "200000"];
    qdisc(host, "add", &netem)
}

/// Deletes it.
pub(super) fn delete_netem(host: &Host) -> Result<()> {
    qdisc(host, "delete", &["netem"])
}

fn qdisc(host: &Host, action: &str, what: &[&str]) -> Result<()> {
    let device = ["qdisc", action, "dev", Host::INTERFACE, "root"];
    let said = host.output("tc", &[&device, what].concat(), PATIENCE)?;
    ensure!(said.code == Some(0), "{}", said.stderr.trim());
    Ok(())
}

/// The release of this kernel.
pub(super) fn kernel_release() -> Result<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    let release = release.context("ask for the kernel's release")?;
    Ok(release.trim().to_owned())
}
