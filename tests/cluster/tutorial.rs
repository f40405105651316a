//! The tutorial's scene: five providers on two nodes behind a service, their consumer, and a pod that is none of them.

use std::{
    net::IpAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chaos_tests::{
    cluster::Cluster,
    lab::{Family, Host, Output, Process},
    pauses::Times,
    requires::is_emulated,
    stats::{median, percentile},
    traffic::{Series, ping_rtt},
    wait::{wait_for, wait_until},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// What the tutorial's command adds.
pub(crate) const DELAY: Duration = Duration::from_millis(100);
/// How long something that has to happen may take; generous.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Name of the service.
pub(crate) const SERVICE: &str = "provider-chaos-service";

/// The scene, before anything happens.
pub(crate) struct Tutorial {
    pub(crate) cluster: Cluster,
    pub(crate) providers: Vec<Host>,
    pub(crate) other: Host,
    pub(crate) consumer: Host,
    replicas: String,
}

impl Tutorial {
    pub(crate) fn new(name: &str) -> Result<Self> {
        Self::with_options(name, &[])
    }

    /// With more options of the agents.
    pub(crate) fn with_options(name: &str, options: &[&str]) -> Result<Self> {
        let mut cluster = Cluster::new(name)?;
        for node in ["node-a", "node-b"] {
            cluster.add_node(node, options)?;
        }
        Self::on(cluster)
    }

    /// With nodes whose clocks are off by these.
    pub(crate) fn with_clocks(name: &str, clocks: [&str; 2]) -> Result<Self> {
        let mut cluster = Cluster::new(name)?;
        for (node, clock) in ["node-a", "node-b"].into_iter().zip(clocks) {
            cluster.add_node_at(node, &[], Some(clock))?;
        }
        Self::on(cluster)
    }

    fn on(mut cluster: Cluster) -> Result<Self> {
        let labels = [("app", "provider-chaos")];
        let ports = [("http", 3001, json!(3000))];
        cluster
            .server
            .add_service("demo", SERVICE, &labels, &ports, false);
        let replicas =
            cluster
                .server
                .add_workload("Deployment", "demo", "provider-chaos", &labels, 5);
        let consumer = cluster.lab.host("consumer")?;
        let other = cluster.add_pod("node-a", "other", &[("app", "other")], None)?;
        let mut tutorial = Self {
            cluster,
            providers: Vec::new(),
            other,
            consumer,
            replicas,
        };
        for _ in 0..5 {
            tutorial.add_provider()?;
        }
        Ok(tutorial)
    }

    /// One provider more, on the nodes in turn.
    pub(crate) fn add_provider(&mut self) -> Result<Host> {
        let number = self.providers.len() + 1;
        let node = if number % 2 == 1 { "node-a" } else { "node-b" };
        let name = format!("provider-{number}");
        let labels = [("app", "provider-chaos")];
        let owner = self.replicas.clone();
        let host = self.cluster.add_pod(node, &name, &labels, Some(&owner))?;
        self.providers.push(host.clone());
        Ok(host)
    }

    /// Round trips between the consumer and a pod.
    pub(crate) fn times(&self, pod: &Host) -> Result<Times> {
        let to: IpAddr = pod.address(Family::V4);
        ping_rtt(&self.consumer, to, Series::new(20, 50))
    }

    /// Whether a packet to this pod and back is delayed now.
    pub(crate) fn is_delayed(&self, pod: &Host) -> Result<bool> {
        let times = ping_rtt(&self.consumer, pod.address(Family::V4), Series::new(1, 1))?;
        Ok(times.all().into_iter().any(|time| time > DELAY / 2))
    }

    /// Waits until it is, or is not.
    pub(crate) fn wait_until_delayed(&self, pod: &Host, delayed: bool) -> Result<()> {
        let what = format!("{} is delayed: {delayed}", pod.name());
        wait_until(&what, PATIENCE, || {
            self.is_delayed(pod).is_ok_and(|now| now == delayed)
        })
    }

    /// A test in this scene, at whose end everything must be over.
    pub(crate) fn play(name: &str, test: impl FnOnce(&mut Self) -> Result<()>) {
        let mut tutorial = Self::new(name).unwrap();
        test(&mut tutorial).unwrap();
        tutorial.must_be_over().unwrap();
    }

    /// All providers are delayed now.
    pub(crate) fn must_be_delayed(&self) -> Result<()> {
        for pod in &self.providers {
            ensure!(self.is_delayed(pod)?, "{} was let go", pod.name());
        }
        Ok(())
    }

    /// Starts chaosctl, which goes on while the test does.
    pub(crate) fn start(&self, words: &str) -> Result<Attached> {
        Attached::start(&self.cluster, words)
    }

    /// The experiments that `chaosctl list` tells.
    pub(crate) fn experiments(&self) -> Result<Value> {
        let output = self.cluster.chaosctl("list -o json")?.success()?;
        output.json()
    }

    /// Nothing is delayed, and the agents leave nothing behind when they stop.
    pub(crate) fn must_be_over(mut self) -> Result<()> {
        for pod in self.providers.iter().chain([&self.other]) {
            ensure!(!self.is_delayed(pod)?, "{} is still delayed", pod.name());
        }
        for node in ["node-a", "node-b"] {
            self.cluster.node(node)?.daemon.stop()?;
        }
        let lab = &self.cluster.lab;
        let gone = wait_until("nothing is left", PATIENCE, || {
            lab.leftovers().is_ok_and(|left| left.is_empty())
        });
        gone.with_context(|| {
            lab.leftovers()
                .map_or(String::new(), |left| left.to_string())
        })
    }
}

/// A chaosctl that is attached to its experiment.
pub(crate) struct Attached {
    started: Instant,
    process: Process,
}

impl Attached {
    /// Starts it in a cluster.
    pub(crate) fn start(cluster: &Cluster, words: &str) -> Result<Self> {
        let mut command = cluster.chaosctl_command()?;
        command
            .args(words.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(Self {
            started: Instant::now(),
            process: Process::spawn(command)?,
        })
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Result<Output> {
        self.end_within(Duration::from_mins(2))
    }

    /// Waits for its end, no longer than this.
    pub(crate) fn end_within(self, timeout: Duration) -> Result<Output> {
        Output::collect(self.process, self.started, timeout)
    }
}

/// How far a median may be off.
fn tolerance() -> Duration {
    Duration::from_millis(if is_emulated() { 10 } else { 2 })
}

/// Asserts that this was added to each time.
pub(crate) fn assert_added(what: &str, before: &Times, during: &Times, added: Duration) {
    let (before, during) = (&before.undisturbed(), &during.undisturbed());
    assert!(!during.is_empty(), "{what}: nothing came back");
    let (base, now) = (median(before), median(during));
    eprintln!("{what}: n={}, median {base:?} -> {now:?}", during.len());
    assert!(
        now.abs_diff(base + added) <= tolerance(),
        "{what}: median {now:?}, before {base:?}, expected +{added:?}"
    );
    let most = percentile(during, 90.0);
    assert!(
        !added.is_zero() || most < DELAY / 2,
        "{what}: one of ten took {most:?}"
    );
}

#[test]
fn a_service_is_delayed_on_all_nodes_and_followed() {
    chaos_tests::requires!(root, cgroup2);
    followed().unwrap();
}

fn followed() -> Result<()> {
    let mut tutorial = Tutorial::new("tutorial")?;
    let mut before = Vec::new();
    for pod in tutorial.providers.iter().chain([&tutorial.other]) {
        before.push(tutorial.times(pod)?);
    }
    let mut attached = tutorial.start(&format!(
        "delay --svc {SERVICE} 100ms --duration 40s -o json"
    ))?;
    for pod in &tutorial.providers {
        let waited = tutorial.wait_until_delayed(pod, true);
        if attached.has_ended() {
            let output = attached.end()?;
            anyhow::bail!("chaosctl ended: {output:?}");
        }
        waited?;
    }
    for (pod, before) in tutorial.providers.iter().zip(&before) {
        assert_added(pod.name(), before, &tutorial.times(pod)?, DELAY);
    }
    let during = tutorial.times(&tutorial.other)?;
    assert_added("other", &before[5], &during, Duration::ZERO);

    // Two more while it runs: they join within a second.
    for _ in 0..2 {
        let pod = tutorial.add_provider()?;
        // It became an endpoint just now.
        let added = Instant::now();
        let joined = wait_for("the new provider is delayed", PATIENCE, || {
            match tutorial.is_delayed(&pod) {
                Ok(true) => Some(added.elapsed()),
                Ok(false) | Err(_) => None,
            }
        });
        let joined = match joined {
            Ok(joined) => joined,
            Err(error) => {
                attached.signal(Signal::SIGINT)?;
                let log = tutorial.cluster.node("node-a")?.daemon.log_tail();
                return Err(error.context(attached.end()?.stderr).context(log));
            }
        };
        eprintln!("{} joined after {joined:?}", pod.name());
        assert!(
            is_emulated() || joined <= Duration::from_secs(1),
            "{} joined only after {joined:?}",
            pod.name()
        );
    }
    let experiments = tutorial.experiments()?;
    let all = experiments["experiments"].as_array();
    assert_eq!(all.map(Vec::len), Some(1), "{experiments}");

    // One is deleted: it is let go, and the rest goes on.
    let leaver = tutorial.providers.remove(1);
    tutorial.cluster.server.terminate_pod("demo", leaver.name());
    tutorial.wait_until_delayed(&leaver, false)?;
    assert!(tutorial.is_delayed(&tutorial.providers[0])?);

    attached.signal(Signal::SIGINT)?;
    let output = attached.end()?;
    for words in [
        "2 nodes",
        "joined: provider-6",
        "joined: provider-7",
        "left: provider-2",
    ] {
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    }
    for pod in &tutorial.providers {
        tutorial.wait_until_delayed(pod, false)?;
    }
    tutorial.must_be_over()
}
