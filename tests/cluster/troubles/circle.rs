//! The vicious circle that traps others: a fault makes a probe kill the container that would have recovered.

use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use chaos_tests::{
    apiserver::scene::container_id,
    lab::{Family, Process},
    programs::program,
    requires,
    wait::{throughout, wait_for},
};

use crate::tutorial::{PATIENCE, Tutorial};

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
    Tutorial::play("crash-loop", |tutorial| {
        let at = tutorial.providers[0].socket_address(Family::V4, 3000);
        let words = "partition --pod provider-1 --include-probes --duration 12s";
        let mut kubelet = Kubelet {
            tutorial,
            at,
            container: None,
            failed: 0,
            restarts: 0,
        };
        kubelet.start()?;
        let first = kubelet.restarts;
        wait_for("the provider answers", PATIENCE, || match kubelet.probe() {
            Ok(false) => None,
            answer => Some(answer),
        })??;
        let attached = kubelet.tutorial.start(words)?;
        // Until the partition has ended, and the container is there again.
        let mut alive = false;
        throughout(Duration::from_secs(16), Duration::from_millis(200), || {
            alive = kubelet.probe()?;
            Ok(())
        })?;
        ensure!(
            kubelet.restarts >= first + 2,
            "killed only {} times",
            kubelet.restarts
        );
        ensure!(alive, "it does not recover by itself");
        eprintln!("restarted {} times", kubelet.restarts);
        drop(kubelet);
        attached.end()?.success()?;
        Ok(())
    });
}
