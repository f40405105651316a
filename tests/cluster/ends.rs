//! How runs over several agents end when something is in the way: nothing acts that nobody knows of.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chaos_proto::v1::{EndReason, State};
use chaos_tests::{
    requires,
    wait::{for_a_while, wait_until},
};
use nix::sys::signal::Signal;
use tonic::Code;

use crate::{
    run::{PATIENCE, Running, SERVICE, Scene, detached},
    tutorial::Tutorial,
};

/// So many parts of a node act.
fn acting(scene: &Scene, node: &str) -> usize {
    let all = scene.experiments(node).into_iter();
    all.filter(|part| part.state() == State::Armed).count()
}

fn calls(scene: &Scene, node: &str, method: &str) -> usize {
    let agent = scene.fleet.agent(node);
    agent.map_or(0, |agent| agent.calls_of(method).len())
}

/// An experiment that goes on by itself, of which one agent does not answer that it is armed; both are.
fn half_answered() -> Result<(Scene, Running)> {
    let scene = Scene::new(2, 2)?;
    scene.fleet.agent("node-001")?.swallow("arm");
    let running = scene.chaosctl(&detached(["--svc", SERVICE]))?;
    wait_until("both to be armed", PATIENCE, || {
        acting(&scene, "node-000") + acting(&scene, "node-001") == 2
    })?;
    Ok((scene, running))
}

#[test]
fn a_detached_part_whose_answer_was_lost_is_ended_over_another_connection() -> Result<()> {
    let (scene, running) = half_answered()?;
    scene.server.cut_forwards(Some("node-001"));
    let finished = running.finish()?;
    finished.exited_with(1);
    assert!(
        finished.stderr.starts_with(
            "error: everything was ended again, because 1 of 2 nodes did not begin:\n  node-001  "
        ),
        "{}",
        finished.stderr
    );
    for node in ["node-000", "node-001"] {
        assert_eq!(acting(&scene, node), 0, "{node}");
    }
    Ok(())
}

#[test]
fn a_detached_part_that_cannot_be_told_is_named() -> Result<()> {
    let (scene, running) = half_answered()?;
    let id = scene.id();
    scene.server.lose_node("node-001");
    let finished = running.finish()?;
    finished.exited_with(1);
    let named =
        format!("{id} may act on 1 of 2 nodes, which could not be told to end it:\n  node-001  ");
    finished.said(&named);
    finished.said(&format!("`chaosctl stop {id}` ends it"));
    assert_eq!(acting(&scene, "node-000"), 0);
    Ok(())
}

#[test]
fn ctrl_c_while_arming_ends_what_was_armed() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    scene.fleet.agent("node-001")?.hang(Some("arm"));
    let running = scene.chaosctl(&["delay", "--svc", SERVICE, "100ms"])?;
    wait_until("one to be armed", PATIENCE, || {
        acting(&scene, "node-000") == 1 && calls(&scene, "node-001", "arm") == 1
    })?;
    running.interrupt()?;
    let finished = running.finish()?;
    finished.exited_with(1);
    finished.said("interrupted");
    for node in ["node-000", "node-001"] {
        let parts = scene.experiments(node);
        assert_eq!(parts[0].end_reason(), EndReason::Stopped, "{node}");
    }
    Ok(())
}

#[test]
fn ctrl_c_while_a_pod_joins_is_no_failure() -> Result<()> {
    let scene = Scene::new(2, 1)?;
    let running = scene.delay("60s")?;
    scene.fleet.agent("node-001")?.hang(Some("prepare"));
    scene.add_pod(10, "node-001");
    wait_until("the node to be asked", PATIENCE, || {
        calls(&scene, "node-001", "prepare") == 1
    })?;
    running.interrupt_well()?;
    assert_eq!(acting(&scene, "node-000"), 0);
    Ok(())
}

#[test]
fn stop_says_which_node_could_not_be_told() -> Result<()> {
    let scene = Scene::new(3, 3)?;
    let id = scene.detach(["--svc", SERVICE])?;
    scene.server.lose_node("node-001");
    let stopped = scene.chaosctl(&["stop", &id])?.finish()?;
    stopped.exited_with(1);
    assert!(
        stopped
            .stderr
            .starts_with("error: could not stop everything on 1 of 3 nodes:\n  node-001  "),
        "{}",
        stopped.stderr
    );
    for (node, parts) in [("node-000", 0), ("node-001", 1), ("node-002", 0)] {
        assert_eq!(acting(&scene, node), parts, "{node}");
    }
    // An agent that does not list its experiments is told all the same.
    scene.server.find_node("node-001");
    let silent = scene.fleet.agent("node-001")?;
    silent.refuse(Some("list"), Code::Unavailable, "not now");
    let stopped = scene.chaosctl(&["stop", &id])?.finish()?;
    stopped.exited_with(1);
    stopped.said("node-001  not now");
    assert_eq!(acting(&scene, "node-001"), 0);
    Ok(())
}

#[test]
fn stop_ends_what_joins_meanwhile() -> Result<()> {
    let scene = Scene::new(2, 1)?;
    let mut running = scene.delay("60s")?;
    let id = scene.id();
    // As if it had joined after `stop` asked its node: only the attached chaosctl knows of it.
    scene.add_pod(10, "node-001");
    running.wait_for("node-001: armed for the")?;
    let only = format!("http://{}", scene.fleet.agent("node-000")?.address());
    let stopped = scene
        .chaosctl(&["stop", &id, "--server", &only])?
        .finish()?;
    stopped.exited_with(0);
    running.finish()?.went_well();
    assert_eq!(acting(&scene, "node-001"), 0);
    let parts = scene.experiments("node-001");
    let part = parts.first().context("a part")?;
    assert_eq!(part.end_reason(), EndReason::Stopped);
    Ok(())
}

#[test]
fn a_pod_that_is_lost_is_hit_again() -> Result<()> {
    let scene = Scene::new(2, 3)?;
    let running = scene.delay("60s")?;
    assert_eq!((scene.hit("node-000"), scene.hit("node-001")), (2, 1));
    // One of two: the part goes on. The only one: the part has ended, and another begins.
    for (node, pod, count) in [("node-000", "provider-0", 2), ("node-001", "provider-1", 1)] {
        let agent = scene.fleet.agent(node)?;
        agent.refuse(
            Some("update"),
            Code::FailedPrecondition,
            "it has no process",
        );
        let asked = || calls(&scene, node, "update") + calls(&scene, node, "prepare");
        let before = asked();
        agent.lose_pod(pod);
        assert_eq!(scene.hit(node), count - 1);
        wait_until("it to be asked for again", PATIENCE, || asked() > before)?;
        agent.behave();
        wait_until("it to be hit again", PATIENCE, || scene.hit(node) == count)?;
    }
    running.interrupt_well()
}

#[test]
fn a_pod_that_was_let_go_and_comes_back_is_hit_again() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    let running = scene.chaosctl(&[
        "delay",
        "-l",
        "app=provider-chaos",
        "100ms",
        "--duration",
        "60s",
    ])?;
    let labels = |label: &str| {
        scene.server.change_pod("demo", "provider-1", |pod, _| {
            pod["metadata"]["labels"]["app"] = label.into();
        });
    };
    for (label, count) in [("provider-chaos", 1), ("other", 0), ("provider-chaos", 1)] {
        labels(label);
        wait_until(label, PATIENCE, || scene.hit("node-001") == count)?;
    }
    running.interrupt_well()
}

#[test]
fn who_leaves_is_let_go_although_who_joins_is_refused() -> Result<()> {
    let scene = Scene::new(1, 2)?;
    let mut running = scene.delay("60s")?;
    scene.fleet.agent("node-000")?.refuse_about(
        "provider-10",
        Code::Unavailable,
        "it is not there yet",
    );
    scene.add_pod(10, "node-000");
    scene.server.delete_pod("demo", "provider-1");
    running.wait_for("1 pod left: provider-1")?;
    wait_until("the pod to be let go", PATIENCE, || {
        scene.hit("node-000") == 1
    })?;
    running.wait_for("node-000: it is not there yet")?;
    scene.fleet.agent("node-000")?.behave();
    running.wait_for("node-000: all that is wanted acts there now")?;
    assert_eq!(scene.hit("node-000"), 2);
    running.interrupt_well()
}

#[test]
fn a_history_that_is_too_old_in_the_middle_of_a_join_loses_nothing() -> Result<()> {
    let scene = Scene::new(2, 1)?;
    let running = scene.delay("60s")?;
    let agent = scene.fleet.agent("node-001")?;
    agent.refuse(Some("prepare"), Code::Unavailable, "not now");
    scene.add_pod(10, "node-001");
    wait_until("the node to be asked", PATIENCE, || {
        calls(&scene, "node-001", "prepare") > 0
    })?;
    // All watches end with 410.
    scene.server.forget_history();
    scene.add_pod(11, "node-001");
    agent.behave();
    wait_until("both to be hit", PATIENCE, || scene.hit("node-001") == 2)?;
    // Changes are seen as before.
    scene.server.delete_pod("demo", "provider-10");
    wait_until("one to be let go", PATIENCE, || scene.hit("node-001") == 1)?;
    running.interrupt_well()
}

#[test]
fn a_service_that_is_deleted_is_let_go() -> Result<()> {
    let scene = Scene::new(1, 2)?;
    let running = scene.delay("60s")?;
    scene.server.remove("Service", "demo", SERVICE);
    for slice in scene.server.objects("EndpointSlice", "demo") {
        let name = slice["metadata"]["name"].as_str().context("a name")?;
        scene.server.remove("EndpointSlice", "demo", name);
    }
    wait_until("all to be let go", PATIENCE, || scene.hit("node-000") == 0)?;
    running.interrupt_well()
}

#[test]
fn what_somebody_else_updates_stays_so() -> Result<()> {
    let scene = Scene::new(2, 1)?;
    let running = scene.delay("60s")?;
    let id = scene.id();
    let updated = scene
        .chaosctl(&["update", &id, "delay", "200ms"])?
        .finish()?;
    updated.exited_with(0);
    let rules = scene.experiments("node-000")[0].rules.clone();
    // With its next news: there are some each second. It says nothing of them.
    for_a_while("the attached one hears of it", Duration::from_secs(1));
    for (number, node) in [(10, "node-000"), (11, "node-001")] {
        scene.add_pod(number, node);
        let count = if number == 10 { 2 } else { 1 };
        wait_until("it to join", PATIENCE, || scene.hit(node) == count)?;
        assert_eq!(scene.experiments(node)[0].rules, rules, "{node}");
    }
    running.interrupt_well()
}

#[test]
fn a_pod_that_joins_slowly_is_not_hit_for_longer_than_the_others() -> Result<()> {
    let scene = Scene::new(2, 1)?;
    let began = Instant::now();
    let running = scene.delay("6s")?;
    let slow = scene.fleet.agent("node-001")?;
    slow.slow_down("update", Duration::from_secs(3));
    scene.add_pod(10, "node-001");
    wait_until("it to join", PATIENCE, || acting(&scene, "node-001") == 1)?;
    running.finish()?.went_well();
    // A second after the others at the latest; nobody is left to begin it again.
    let left = Duration::from_secs(7).saturating_sub(began.elapsed());
    wait_until("it to be let go", left, || acting(&scene, "node-001") == 0)
}

#[test]
fn an_agent_that_is_replaced_goes_on_for_the_time_that_is_left() {
    requires!(root, cgroup2);
    Tutorial::play("replaced", |tutorial| {
        let words = format!("delay --svc {SERVICE} 100ms --duration 60s");
        let mut attached = tutorial.start(&words)?;
        let pod = tutorial.providers[1].clone();
        tutorial.wait_until_delayed(&pod, true)?;
        // As in a rolling update: told to stop, it ends its faults, and the next one comes.
        tutorial.cluster.node("node-b")?.daemon.stop()?;
        tutorial.wait_until_delayed(&pod, false)?;
        tutorial.cluster.node("node-b")?.daemon.start_again()?;
        tutorial.wait_until_delayed(&pod, true)?;
        let running = tutorial.experiments()?;
        let left = running["experiments"][0]["remaining_ns"].as_u64();
        ensure!(
            left.is_some_and(|left| left < 60_000_000_000),
            "{running:#}"
        );
        attached.signal(Signal::SIGINT)?;
        let output = attached.end()?.success()?;
        ensure!(
            output.stderr.contains("node-b: armed again for the"),
            "{output:?}"
        );
        Ok(())
    });
}
