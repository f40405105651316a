//! Tokens that are good no more while an experiment runs.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use chaos_tests::{cluster::CHAOSCTL, requires};

use super::{attached, nothing_outlives, says};
use crate::tutorial::{SERVICE, Tutorial};

#[test]
fn a_token_that_expired_starts_nothing() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let tutorial = Tutorial::new("token-expired")?;
        let lives = Duration::from_secs(1);
        let token = short_lived(&tutorial, lives)?;
        thread::sleep(lives);
        let words = format!("delay --svc {SERVICE} 100ms --duration 20s --token {token}");
        let output = tutorial.cluster.chaosctl(&words)?;
        says(&output, &["node-a", "node-b", "token has expired"])?;
        tutorial.must_be_over()
    };
    test().unwrap();
}

#[test]
fn a_token_that_expires_ends_no_fault_late() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let mut tutorial = Tutorial::new("token-expires")?;
        let lives = Duration::from_secs(12);
        let token = short_lived(&tutorial, lives)?;
        let issued = Instant::now();
        let mut attached = tutorial.start(&format!(
            "delay --svc {SERVICE} 100ms --duration 30s --token {token}"
        ))?;
        for pod in &tutorial.providers {
            tutorial.wait_until_delayed(pod, true)?;
        }
        let began = Instant::now();
        // An agent believes for ten seconds what it was told.
        thread::sleep((lives + Duration::from_secs(10)).saturating_sub(issued.elapsed()));
        ensure!(
            !attached.has_ended(),
            "chaosctl ended: {:?}",
            attached.end()?
        );
        // Whoever started it may hold on to it, also by a new connection, but not hit another pod.
        tutorial.cluster.server.cut_forwards(Some("node-b"));
        let late = tutorial.add_provider()?;
        let output = attached.end()?;
        says(&output, &["node-b", "token has expired"])?;
        ensure!(!tutorial.is_delayed(&late)?, "it was hit");
        nothing_outlives(&tutorial, began + Duration::from_secs(32))?;
        tutorial.must_be_over()
    };
    test().unwrap();
}

fn short_lived(tutorial: &Tutorial, lives: Duration) -> Result<String> {
    let server = &tutorial.cluster.server;
    server.token("chaos-system", "chaosctl", &["chaos-daemon"], lives)
}

#[test]
fn a_token_that_is_revoked_is_replaced() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let mut tutorial = Tutorial::new("token-revoked")?;
        let attached = attached(&tutorial, 30)?;
        tutorial.cluster.server.revoke_all(CHAOSCTL);
        // Longer than an agent believes what it was told.
        thread::sleep(Duration::from_secs(11));
        let joined = tutorial.add_provider()?;
        tutorial.wait_until_delayed(&joined, true)?;
        let output = attached.end()?;
        ensure!(output.code == Some(0), "{output:?}");
        tutorial.must_be_over()
    };
    test().unwrap();
}
