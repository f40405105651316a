//! A target that goes away during an experiment ends it, quietly, and without harm to others.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration};

use chaos_tests::{
    lab::{Family, Host},
    requires,
    traffic::UdpStream,
    wait::wait_until,
};

use crate::scenario::{PATIENCE, Scenario, let_pass};

/// Lines of the agent's log that complain.
fn complaints(scenario: &Scenario) -> Vec<String> {
    let log = scenario.daemon.log();
    log.lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .map(str::to_owned)
        .collect()
}

/// Ends the target by `end` during a delay; the experiment must end as it should, and the agent go on.
fn gone(name: &str, end: impl Fn(&Host)) {
    let mut scenario = Scenario::new(name);
    let id = scenario.start("delay 100ms --direction both");
    let stream = UdpStream::start(&scenario.target, &scenario.peer, Family::V4, 200).unwrap();
    let_pass(Duration::from_millis(300));
    drop(stream);
    end(&scenario.target);
    let ended = scenario.ended(&id);
    assert_eq!(
        (&ended["end_reason"], &ended["targets"][0]["gone"]),
        (&"target_gone".into(), &true.into()),
        "{ended}"
    );
    // It goes on: another target can be had.
    let answer = scenario.ask(&format!(
        "delay 10ms --netns {} --duration 1m --detach",
        scenario.peer.netns_name()
    ));
    scenario.stop(answer["experiment"]["id"].as_str().unwrap());
    let complaints = complaints(&scenario);
    assert!(complaints.len() <= 3, "no error storm: {complaints:#?}");
    scenario.leaves_nothing();
}

#[test]
fn its_namespace_is_deleted() {
    requires!(root);
    gone("gone-netns", |target| target.delete().unwrap());
}

#[test]
fn its_interface_is_deleted() {
    requires!(root);
    gone("gone-interface", |target| {
        target.namespace().ip("link delete eth0\n").unwrap();
    });
}

#[test]
fn one_of_two_targets_is_deleted() {
    requires!(root);
    let mut scenario = Scenario::new("gone-one");
    let inventory = chaos_tests::daemon::write_inventory(
        &scenario.lab,
        "web",
        &[scenario.target.clone(), scenario.peer.clone()],
    )
    .unwrap();
    let answer = scenario.ask(&format!(
        "loss 10% --svc web --inventory {} --duration 1m --detach",
        inventory.display()
    ));
    let id = answer["experiment"]["id"].as_str().unwrap();
    assert_eq!(
        answer["experiment"]["targets"].as_array().map(Vec::len),
        Some(2)
    );
    scenario.target.delete().unwrap();
    wait_until("the agent notices", PATIENCE, || {
        scenario.status(id)["targets"]
            .as_array()
            .unwrap()
            .iter()
            .any(|target| target["gone"] == true)
    })
    .unwrap();
    assert_eq!(
        scenario.status(id)["state"],
        "armed",
        "the other target is still there"
    );
    scenario.stop(id);
    scenario.leaves_nothing();
}

/// Threads of the agent, and of the processes that it started.
fn threads_of_the_agent(scenario: &Scenario) -> Vec<PathBuf> {
    let below = |directory: PathBuf| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    };
    let threads = |pid: &str| below(PathBuf::from(format!("/proc/{pid}/task")));
    let agent = scenario.daemon.pid().unwrap().to_string();
    let mut all: Vec<PathBuf> = threads(&agent).collect();
    let children: Vec<String> = all
        .iter()
        .filter_map(|thread| fs::read_to_string(thread.join("children")).ok())
        .collect();
    for child in children.iter().flat_map(|line| line.split_whitespace()) {
        all.extend(threads(child));
    }
    all
}

/// A process, or one thread, that stays in a namespace keeps it alive after its pod is gone.
#[test]
fn nobody_of_ours_stays_in_its_namespace() {
    requires!(root);
    let mut scenario = Scenario::new("gone-nobody");
    let id = scenario.start("delay 100ms --direction both");
    let path = PathBuf::from("/run/netns").join(scenario.target.netns_name());
    let target = fs::metadata(path).unwrap().ino();
    let inside = || {
        let mut threads = threads_of_the_agent(&scenario);
        threads.retain(|thread| {
            fs::metadata(thread.join("ns/net")).is_ok_and(|netns| netns.ino() == target)
        });
        threads
    };
    assert!(threads_of_the_agent(&scenario).len() > 2);
    // One may be on a visit.
    let empty = wait_until("nobody is inside", PATIENCE, || inside().is_empty());
    assert!(empty.is_ok(), "{:?}", inside());
    scenario.stop(&id);
    scenario.leaves_nothing();
}
