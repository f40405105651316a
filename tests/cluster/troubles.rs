//! What goes wrong while a fault acts: it ends on time all the same, and chaosctl says where and exits with 1.

mod circle;
mod clocks;
mod pods;
mod tokens;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chaos_tests::{
    cluster::{CHAOSCTL, OPERATOR},
    requires,
    wait::{for_a_while, throughout, wait_until},
};
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
    // Long enough for an answer to come that was delayed before the deadline.
    let time = left + Duration::from_millis(500);
    for_a_while("after the deadline nothing acts", time);
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
    Tutorial::play("agent-killed", |tutorial| {
        let began = Instant::now();
        let attached = attached(tutorial, 25)?;
        tutorial.cluster.node("node-b")?.daemon.kill()?;
        let output = attached.end()?;
        says(&output, &["node-b"])?;
        nothing_outlives(tutorial, began + Duration::from_secs(26))?;
        tutorial.cluster.node("node-b")?.daemon.start_again()?;
        Ok(())
    });
}

#[test]
fn a_fault_ends_on_time_without_an_api_server() {
    requires!(root, cgroup2);
    Tutorial::play("api-server-gone", |tutorial| {
        let began = Instant::now();
        let attached = attached(tutorial, 20)?;
        tutorial.cluster.server.stop();
        nothing_outlives(tutorial, began + Duration::from_secs(22))?;
        let output = attached.end()?;
        says(&output, &["node-a", "node-b"])?;
        tutorial.cluster.server.start_again()?;
        Ok(())
    });
}

#[test]
fn who_may_not_changes_nothing() {
    requires!(root, cgroup2);
    Tutorial::play("denied", |tutorial| {
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
        says(&said, &["does not know who you are"])
    });
}

#[test]
fn a_policy_holds_whoever_asks() {
    requires!(root, cgroup2);
    Tutorial::play("guards", |tutorial| {
        let words = format!("delay --svc {SERVICE} 100ms --duration 2h");
        says(&tutorial.cluster.chaosctl(&words)?, &["1h", "node-a"])
    });
}

#[test]
fn a_tunnel_that_is_cut_is_made_anew() {
    requires!(root, cgroup2);
    Tutorial::play("tunnel-cut", |tutorial| {
        let began = Instant::now();
        let attached = attached(tutorial, 15)?;
        tutorial.cluster.server.cut_forwards(None);
        // Longer than an agent waits for whoever is attached.
        let time = Duration::from_secs(13).saturating_sub(began.elapsed());
        throughout(time, Duration::from_millis(500), || {
            tutorial.must_be_delayed()
        })?;
        attached.end()?.success()?;
        nothing_outlives(tutorial, began + Duration::from_secs(17))
    });
}

#[test]
fn a_node_that_is_lost_is_named_and_its_fault_ends() {
    requires!(root, cgroup2);
    Tutorial::play("node-lost", |tutorial| {
        let began = Instant::now();
        let attached = attached(tutorial, 25)?;
        // Nobody gets there any more; what runs there goes on by itself.
        tutorial.cluster.server.lose_node("node-b");
        let output = attached.end()?;
        says(&output, &["node-b"])?;
        nothing_outlives(tutorial, began + Duration::from_secs(27))
    });
}

#[test]
fn an_attached_experiment_ends_when_chaosctl_is_killed() {
    requires!(root, cgroup2);
    Tutorial::play("client-gone", |tutorial| {
        let mut attached = attached(tutorial, 60)?;
        attached.signal(Signal::SIGKILL)?;
        for pod in &tutorial.providers {
            let what = format!("{} is let go", pod.name());
            wait_until(&what, PATIENCE, || {
                tutorial.is_delayed(pod).is_ok_and(|delayed| !delayed)
            })?;
        }
        Ok(())
    });
}
