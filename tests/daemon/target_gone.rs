//! A target that goes away during an experiment ends it, quietly, and without harm to others.

use std::time::Duration;

use chaos_tests::{
    lab::{Family, Host},
    requires,
    traffic::UdpStream,
};

use crate::scenario::{Scenario, let_pass};

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
    chaos_tests::wait::wait_until("the agent notices", crate::scenario::PATIENCE, || {
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
