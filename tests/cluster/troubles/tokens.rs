//! Tokens that are good no more while an experiment runs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chaos_tests::{
    cluster::{CHAOSCTL, FORGOTTEN},
    requires,
    wait::for_a_while,
};

use super::{attached, nothing_outlives, says};
use crate::tutorial::{SERVICE, Tutorial};

#[test]
fn a_token_that_expired_starts_nothing() {
    requires!(root, cgroup2);
    Tutorial::play("token-expired", |tutorial| {
        let lives = Duration::from_secs(1);
        let token = short_lived(tutorial, lives)?;
        for_a_while("the token expires", lives);
        let words = format!("delay --svc {SERVICE} 100ms --duration 20s --token {token}");
        let output = tutorial.cluster.chaosctl(&words)?;
        says(&output, &["node-a", "node-b", "token has expired"])
    });
}

#[test]
fn a_token_that_expires_ends_no_fault_late() {
    requires!(root, cgroup2);
    Tutorial::play("token-expires", |tutorial| {
        let lives = Duration::from_secs(12);
        let token = short_lived(tutorial, lives)?;
        let issued = Instant::now();
        let mut attached = tutorial.start(&format!(
            "delay --svc {SERVICE} 100ms --duration 30s --token {token}"
        ))?;
        for pod in &tutorial.providers {
            tutorial.wait_until_delayed(pod, true)?;
        }
        let began = Instant::now();
        // An agent believes for ten seconds what it was told.
        let time = (lives + Duration::from_secs(10)).saturating_sub(issued.elapsed());
        for_a_while("the token expires, and agents forget it", time);
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
        nothing_outlives(tutorial, began + Duration::from_secs(32))
    });
}

fn short_lived(tutorial: &Tutorial, lives: Duration) -> Result<String> {
    let server = &tutorial.cluster.server;
    server.token("chaos-system", "chaosctl", &["chaos-daemon"], lives)
}

#[test]
fn a_token_that_is_revoked_is_replaced() {
    requires!(root, cgroup2);
    Tutorial::play("token-revoked", |tutorial| {
        let attached = attached(tutorial, 30)?;
        tutorial.cluster.server.revoke_all(CHAOSCTL);
        for_a_while("agents forget who may", FORGOTTEN);
        let joined = tutorial.add_provider()?;
        tutorial.wait_until_delayed(&joined, true)?;
        attached.end()?.success()?;
        Ok(())
    });
}
