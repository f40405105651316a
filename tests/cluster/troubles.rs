//! What goes wrong while a fault acts: it ends on time all the same, and chaosctl says where and exits with 1.

use std::{
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chaos_tests::{
    apiserver::scene::container_id,
    cluster::{CHAOSCTL, OPERATOR},
    lab::{Family, Process},
    programs::program,
    requires,
    wait::wait_until,
};
use jiff::SignedDuration;
use nix::sys::signal::Signal;

use crate::tutorial::{PATIENCE, SERVICE, Tutorial};

/// Starts the tutorial's command for so many seconds, and waits until it acts everywhere.
fn attached(tutorial: &Tutorial, seconds: u64) -> Result<crate::tutorial::Attached> {
    let mut attached = tutorial.start(&format!(
        "delay --svc {SERVICE} 100ms --duration {seconds}s"
    ))?;
    for pod in &tutorial.providers {
        if let Err(error) = tutorial.wait_until_delayed(pod, true) {
            ensure!(
                !attached.has_ended(),
                "chaosctl ended: {:?}",
                attached.end()?
            );
            return Err(error);
        }
    }
    Ok(attached)
}

/// Nothing acts after the deadline, whoever is left to say so.
fn nothing_outlives(tutorial: &Tutorial, deadline: Instant) -> Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    thread::sleep(left + Duration::from_millis(500));
    for pod in &tutorial.providers {
        ensure!(
            !tutorial.is_delayed(pod)?,
            "{} is delayed after the end",
            pod.name()
        );
    }
    Ok(())
}

/// Names the nodes in question, and exits with 1.
fn says(output: &chaos_tests::lab::Output, words: &[&str]) -> Result<()> {
    eprintln!("{}\n{}", output.stdout, output.stderr);
    ensure!(output.code == Some(1), "exit code {:?}", output.code);
    let all = format!("{}{}", output.stdout, output.stderr);
    for word in words {
        ensure!(all.contains(word), "nothing about {word:?}");
    }
    Ok(())
}

#[test]
fn an_agent_that_is_killed_is_named() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let mut tutorial = Tutorial::new("agent-killed")?;
        let began = Instant::now();
        let attached = attached(&tutorial, 25)?;
        tutorial.cluster.node("node-b")?.daemon.kill()?;
        let output = attached.end()?;
        says(&output, &["node-b"])?;
        nothing_outlives(&tutorial, began + Duration::from_secs(26))?;
        tutorial.cluster.node("node-b")?.daemon.start_again()?;
        tutorial.must_be_over()
    };
    test().unwrap();
}

#[test]
fn a_fault_ends_on_time_without_an_api_server() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let tutorial = Tutorial::new("api-server-gone")?;
        let began = Instant::now();
        let attached = attached(&tutorial, 20)?;
        tutorial.cluster.server.stop();
        nothing_outlives(&tutorial, began + Duration::from_secs(22))?;
        let output = attached.end()?;
        says(&output, &["node-a", "node-b"])?;
        tutorial.cluster.server.start_again()?;
        tutorial.must_be_over()
    };
    test().unwrap();
}

#[test]
fn who_may_not_changes_nothing() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let tutorial = Tutorial::new("denied")?;
        let words = format!("delay --svc {SERVICE} 100ms --duration 20s");
        // The agents ask whether the account may.
        tutorial.cluster.server.deny(CHAOSCTL);
        says(&tutorial.cluster.chaosctl(&words)?, &["node-a", "node-b"])?;
        // The API server refuses to resolve.
        tutorial.cluster.server.deny(OPERATOR);
        let said = tutorial.cluster.chaosctl(&words)?;
        says(&said, &["operator may not get services"])?;
        // It does not even know who asks.
        tutorial.cluster.server.revoke("operators-token");
        let said = tutorial.cluster.chaosctl(&words)?;
        says(&said, &["does not know who you are"])?;
        tutorial.must_be_over()
    };
    test().unwrap();
}

#[test]
fn a_policy_holds_whoever_asks() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let tutorial = Tutorial::new("guards")?;
        let words = format!("delay --svc {SERVICE} 100ms --duration 2h");
        says(&tutorial.cluster.chaosctl(&words)?, &["1h", "node-a"])?;
        tutorial.must_be_over()
    };
    test().unwrap();
}

#[test]
fn clocks_an_hour_apart_change_nothing() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        for hours in [1, -1] {
            let tutorial = Tutorial::new("clock-skew")?;
            tutorial
                .cluster
                .server
                .set_clock_ahead(SignedDuration::from_hours(hours));
            let began = Instant::now();
            let attached = attached(&tutorial, 10)?;
            let output = attached.end()?;
            ensure!(output.code == Some(0), "{output:?}");
            nothing_outlives(&tutorial, began + Duration::from_secs(12))?;
            tutorial.must_be_over()?;
        }
        Ok(())
    };
    test().unwrap();
}

/// The part of a kubelet that makes the vicious circle: a container whose probe fails three times is killed and started.
struct Kubelet<'scene> {
    tutorial: &'scene mut Tutorial,
    at: SocketAddr,
    container: Option<Process>,
    failed: usize,
    restarts: usize,
}

impl Kubelet<'_> {
    fn start(&mut self) -> Result<()> {
        let id = container_id();
        self.container = None;
        let pods = &mut self.tutorial.cluster.pods;
        let pod = pods.iter_mut().find(|pod| pod.name == "provider-1");
        let pod = pod.context("provider-1")?;
        self.container = Some(pod.run_program(&id, &program("provider")?)?);
        let server = &self.tutorial.cluster.server;
        server.restart_container("demo", "provider-1", "main", &id);
        Ok(())
    }

    /// Probes once, from the node; whether the container answers.
    fn probe(&mut self) -> Result<bool> {
        let at = self.at;
        let node = self.tutorial.cluster.node("node-a")?.host.clone();
        let connect = || TcpStream::connect_timeout(&at, Duration::from_millis(300)).is_ok();
        let alive = node.run(connect)?;
        self.failed = if alive { 0 } else { self.failed + 1 };
        if self.failed == 3 {
            self.failed = 0;
            self.restarts += 1;
            self.start()?;
        }
        Ok(alive)
    }
}

#[test]
fn the_circle_of_a_partition_and_a_liveness_probe_ends() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let mut tutorial = Tutorial::new("crash-loop")?;
        let at = tutorial.providers[0].socket_address(Family::V4, 3000);
        let words = "partition --pod provider-1 --include-probes --duration 12s";
        let mut kubelet = Kubelet {
            tutorial: &mut tutorial,
            at,
            container: None,
            failed: 0,
            restarts: 0,
        };
        kubelet.start()?;
        let first = kubelet.restarts;
        let mut alive = false;
        let until = Instant::now() + PATIENCE;
        while !alive && Instant::now() < until {
            alive = kubelet.probe()?;
        }
        ensure!(alive, "the provider does not answer");
        let attached = kubelet.tutorial.start(words)?;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(16) {
            alive = kubelet.probe()?;
            thread::sleep(Duration::from_millis(200));
        }
        ensure!(
            kubelet.restarts >= first + 2,
            "killed only {} times",
            kubelet.restarts
        );
        ensure!(alive, "it does not recover by itself");
        eprintln!("restarted {} times", kubelet.restarts);
        drop(kubelet);
        let output = attached.end()?;
        ensure!(output.code == Some(0), "{output:?}");
        tutorial.must_be_over()
    };
    test().unwrap();
}

#[test]
fn an_attached_experiment_ends_when_chaosctl_is_killed() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let tutorial = Tutorial::new("client-gone")?;
        let mut attached = attached(&tutorial, 60)?;
        attached.signal(Signal::SIGKILL)?;
        for pod in &tutorial.providers {
            let what = format!("{} is let go", pod.name());
            wait_until(&what, PATIENCE, || {
                tutorial.is_delayed(pod).is_ok_and(|delayed| !delayed)
            })?;
        }
        tutorial.must_be_over()
    };
    test().unwrap();
}
