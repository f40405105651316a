//! Pods that get another container, or another sandbox, while a fault goes on that nobody attends to.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chaos_tests::{
    cluster::Cluster,
    lab::{Cgroup, Host, Output, Process},
    pod::{Driver, Pod},
    requires,
    wait::wait_until,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{node::are_lost, tutorial::PATIENCE};

/// A pod of which all that its container sends is lost, until somebody stops it.
struct Scene {
    cluster: Cluster,
    consumer: Host,
    pod: Host,
}

fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

impl Scene {
    fn new(name: &str) -> Result<Self> {
        let mut cluster = Cluster::new(name)?;
        cluster.add_node("node-a", &[])?;
        let consumer = cluster.lab.host("consumer")?;
        let pod = cluster.add_pod("node-a", "web", &[("app", "web")], None)?;
        // As the API server has it, so the runtime calls it.
        cluster
            .server
            .restart_container("demo", "web", "main", &id('7'));
        Ok(Self {
            cluster,
            consumer,
            pod,
        })
    }

    fn targets(&self) -> Result<Value> {
        let listed: Value = self
            .cluster
            .chaosctl("list --all -o json")?
            .success()?
            .json()?;
        Ok(listed)
    }

    fn wait_until_lost(&self, what: &str, cgroup: &Cgroup, from: &Host) -> Result<()> {
        let began = Instant::now();
        wait_until(what, PATIENCE, || {
            are_lost(cgroup, from, &self.consumer).unwrap_or(false)
        })
        .with_context(|| format!("{:?}", self.targets()))?;
        eprintln!("{what}: after {:?}", began.elapsed());
        Ok(())
    }
}

#[test]
fn a_container_that_is_restarted_is_covered_again() {
    requires!(root, cgroup2);
    restarted().unwrap();
}

fn restarted() -> Result<()> {
    let mut scene = Scene::new("cluster-container-again")?;
    let app = scene.cluster.pods[0].run(&id('7'))?;
    let beside = scene.cluster.pods[0].run(&id('9'))?;
    let words = "loss 100% --direction egress --pod web -c main --duration 2m --detach";
    scene.cluster.chaosctl(words)?.success()?;
    assert!(are_lost(&app, &scene.pod, &scene.consumer)?);
    for (earlier, digit) in [('7', '1'), ('1', '2')] {
        app_of(&scene, earlier)?.delete()?;
        // The kubelet takes its time to say so.
        std::thread::sleep(Duration::from_secs(2));
        let app = scene.cluster.pods[0].run(&id(digit))?;
        assert!(!are_lost(&beside, &scene.pod, &scene.consumer)?);
        scene
            .cluster
            .server
            .restart_container("demo", "web", "main", &id(digit));
        scene.wait_until_lost("the next container is hit", &app, &scene.pod)?;
        assert!(!are_lost(&beside, &scene.pod, &scene.consumer)?);
    }
    scene.cluster.chaosctl("stop --all")?.success()?;
    let app = app_of(&scene, '2')?;
    assert!(!are_lost(&app, &scene.pod, &scene.consumer)?);
    scene.cluster.node("node-a")?.daemon.stop()?;
    Ok(())
}

/// The cgroup of a container that has been started.
fn app_of(scene: &Scene, digit: char) -> Result<Cgroup> {
    scene.cluster.pods[0].container(&id(digit))
}

#[test]
fn a_pod_with_another_sandbox_is_covered_until_it_is_deleted() {
    requires!(root, cgroup2);
    another_sandbox().unwrap();
}

fn another_sandbox() -> Result<()> {
    let mut scene = Scene::new("cluster-sandbox-again")?;
    let words = "loss 100% --direction egress --pod web --duration 2m --detach";
    scene.cluster.chaosctl(words)?.success()?;
    let own = scene.cluster.lab.node_cgroup()?;
    assert!(are_lost(&own, &scene.pod, &scene.consumer)?);
    // The sandbox dies; its network goes, and the pod gets another one, with another address.
    let earlier = scene.cluster.pods.pop().context("the pod")?;
    let uid = earlier.uid.clone();
    earlier.delete()?;
    scene.pod.delete()?;
    std::thread::sleep(Duration::from_secs(2));
    let later = scene.cluster.lab.host("web-again")?;
    let pod = Pod::start_on(&scene.cluster.lab, "node-a", &later, &uid, Driver::Systemd)?;
    // It still says where the pod was: nothing is hit for that.
    std::thread::sleep(Duration::from_secs(1));
    assert!(!are_lost(&own, &later, &scene.consumer)?);
    let address = later.address_v4().to_string();
    scene.cluster.server.change_pod("demo", "web", |pod, _| {
        pod["status"]["podIP"] = address.as_str().into();
        pod["status"]["podIPs"] = json!([{"ip": address}]);
    });
    scene.wait_until_lost("the pod's next network is hit", &own, &later)?;
    scene.cluster.server.delete_pod("demo", "web");
    pod.delete()?;
    later.delete()?;
    wait_until("the experiment is over", PATIENCE, || {
        let Ok(listed) = scene.targets() else {
            return false;
        };
        listed.to_string().contains("target gone")
    })
    .with_context(|| format!("{:?}", scene.targets()))?;
    scene.cluster.node("node-a")?.daemon.stop()?;
    Ok(())
}

#[test]
fn an_attached_run_goes_on_in_a_container_that_is_restarted() {
    requires!(root, cgroup2);
    attached().unwrap();
}

fn attached() -> Result<()> {
    let mut scene = Scene::new("cluster-container-attached")?;
    let app = scene.cluster.pods[0].run(&id('7'))?;
    let mut command = scene.cluster.chaosctl_command()?;
    let words = "loss 100% --direction egress --pod web -c main --duration 2m";
    command
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let mut process = Process::spawn(command)?;
    scene.wait_until_lost("the container is hit", &app, &scene.pod)?;
    app_of(&scene, '7')?.delete()?;
    std::thread::sleep(Duration::from_secs(2));
    let app = scene.cluster.pods[0].run(&id('1'))?;
    scene
        .cluster
        .server
        .restart_container("demo", "web", "main", &id('1'));
    scene.wait_until_lost("the next container is hit", &app, &scene.pod)?;
    process.signal(Signal::SIGINT)?;
    let output = Output::collect(process, started, PATIENCE)?;
    ensure!(output.code == Some(0), "{output:?}");
    assert!(!are_lost(&app, &scene.pod, &scene.consumer)?);
    scene.cluster.node("node-a")?.daemon.stop()?;
    Ok(())
}
