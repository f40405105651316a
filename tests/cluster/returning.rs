//! Pods that get another container, or another sandbox, while a fault goes on that nobody attends to.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chaos_tests::{
    cluster::Cluster,
    lab::{Cgroup, Host},
    pod::{Driver, Pod},
    requires,
    wait::{for_a_while, wait_until},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    node::are_lost,
    tutorial::{Attached, PATIENCE},
};

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

    /// Runs chaosctl to its end, which goes well.
    fn chaosctl(&self, words: &str) -> Result<()> {
        self.cluster.chaosctl(words)?.success()?;
        Ok(())
    }

    /// The cgroup of a container that has been started.
    fn container(&self, digit: char) -> Result<Cgroup> {
        self.cluster.pods[0].container(&id(digit))
    }

    /// The container dies, and another one runs when the agent has seen that; the kubelet takes its time to say so.
    fn restart(&mut self, earlier: char, digit: char) -> Result<Cgroup> {
        self.container(earlier)?.delete()?;
        self.wait_until_missing()?;
        self.cluster.pods[0].run(&id(digit))
    }

    /// The kubelet says which container runs, and it is hit.
    fn kubelet_says(&self, digit: char, app: &Cgroup) -> Result<()> {
        let server = &self.cluster.server;
        server.restart_container("demo", "web", "main", &id(digit));
        self.wait_until_lost("the next container is hit", app, &self.pod)
    }

    /// Waits until the agent has seen that the target is gone.
    fn wait_until_missing(&self) -> Result<()> {
        wait_until("the target is gone", PATIENCE, || {
            self.targets().is_ok_and(|listed| {
                let targets = &listed["experiments"][0]["targets"];
                let targets = targets.as_array().map_or(&[][..], Vec::as_slice);
                !targets.is_empty() && targets.iter().all(|target| target["gone"] == true)
            })
        })
        .with_context(|| format!("{:?}", self.targets()))
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
    scene.chaosctl(words)?;
    assert!(are_lost(&app, &scene.pod, &scene.consumer)?);
    for (earlier, digit) in [('7', '1'), ('1', '2')] {
        let app = scene.restart(earlier, digit)?;
        assert!(!are_lost(&beside, &scene.pod, &scene.consumer)?);
        scene.kubelet_says(digit, &app)?;
        assert!(!are_lost(&beside, &scene.pod, &scene.consumer)?);
    }
    scene.chaosctl("stop --all")?;
    let app = scene.container('2')?;
    assert!(!are_lost(&app, &scene.pod, &scene.consumer)?);
    scene.cluster.node("node-a")?.daemon.stop()?;
    Ok(())
}

#[test]
fn a_pod_with_another_sandbox_is_covered_until_it_is_deleted() {
    requires!(root, cgroup2);
    another_sandbox().unwrap();
}

fn another_sandbox() -> Result<()> {
    let mut scene = Scene::new("cluster-sandbox-again")?;
    let words = "loss 100% --direction egress --pod web --duration 2m --detach";
    scene.chaosctl(words)?;
    let own = scene.cluster.lab.node_cgroup()?;
    assert!(are_lost(&own, &scene.pod, &scene.consumer)?);
    // The sandbox dies; its network goes, and the pod gets another one, with another address.
    let earlier = scene.cluster.pods.pop().context("the pod")?;
    let uid = earlier.uid.clone();
    earlier.delete()?;
    scene.pod.delete()?;
    scene.wait_until_missing()?;
    let later = scene.cluster.lab.host("web-again")?;
    let pod = Pod::start_on(&scene.cluster.lab, "node-a", &later, &uid, Driver::Systemd)?;
    // It still says where the pod was: nothing is hit for that. The agent looks twice a second.
    for_a_while("nothing is hit", Duration::from_secs(1));
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
    let words = "loss 100% --direction egress --pod web -c main --duration 2m";
    let mut attached = Attached::start(&scene.cluster, words)?;
    scene.wait_until_lost("the container is hit", &app, &scene.pod)?;
    let app = scene.restart('7', '1')?;
    scene.kubelet_says('1', &app)?;
    attached.signal(Signal::SIGINT)?;
    attached.end_within(PATIENCE)?.success()?;
    assert!(!are_lost(&app, &scene.pod, &scene.consumer)?);
    scene.cluster.node("node-a")?.daemon.stop()?;
    Ok(())
}
