//! `chaosctl stop`.

use chaos_proto::v1::disarm_request::Which;

use crate::agent::{Agent, Call};
use crate::chaosctl::run;
use crate::script::Script;
use crate::test_list::two;

#[test]
fn all_are_stopped_and_what_each_hit_is_shown() {
    let agent = Agent::start(Script {
        experiments: two(),
        ..Script::default()
    });
    let finished = run(&agent, &["stop", "--all"]);
    assert_eq!(
        finished.stdout,
        "\
delay-3f9a1c: delay 100 ms ± 20 ms egress (ended: stopped)
TARGET      INTERFACE  MATCHED  DELAYED  DROPPED
provider-1  eth0       0        0        0
provider-2  eth0       0        0        0
total                  0        0        0

loss-00ff00: loss 0.5 % both (ended: stopped)
TARGET  INTERFACE  MATCHED    DELAYED    DROPPED
web     eth0       3 (300 B)  3 (300 B)  0
"
    );
    assert_eq!((finished.stderr.as_str(), finished.code), ("", Some(0)));
    assert_eq!(agent.calls(), [Call::Disarm(Which::All(true))]);
}

#[test]
fn one_wrong_id_does_not_keep_the_others_running() {
    let agent = Agent::start(Script {
        experiments: two(),
        ..Script::default()
    });
    let finished = run(
        &agent,
        &["stop", "nope", "loss-00ff00", "nada", "-o", "json"],
    );
    let json = finished.json();
    assert_eq!(json["experiments"][0]["id"], "loss-00ff00");
    assert_eq!(json["experiments"][0]["end_reason"], "stopped");
    assert_eq!(
        finished.stderr,
        "\
error: there is no experiment nope on this node: `chaosctl list --all` shows all
error: there is no experiment nada on this node: `chaosctl list --all` shows all
"
    );
    assert_eq!(finished.code, Some(1));
    let told: Vec<_> = ids(&agent);
    assert_eq!(
        told,
        [
            "nope",
            "nope.2",
            "loss-00ff00",
            "loss-00ff00.2",
            "nada",
            "nada.2"
        ]
    );
}

/// Whom it was told to end.
fn ids(agent: &Agent) -> Vec<String> {
    let calls = agent.calls();
    let told = calls.iter().filter_map(|call| {
        let Call::Disarm(Which::Id(id)) = call else {
            return None;
        };
        Some(id.clone())
    });
    told.collect()
}

#[test]
fn an_id_means_all_parts() {
    let mut experiments = two();
    for place in [2, 3, 7, 8] {
        let mut part = experiments[0].clone();
        part.id = format!("delay-3f9a1c.{place}");
        experiments.push(part);
    }
    // What is not listed may be there all the same, for whoever started it.
    let agent = Agent::start(Script {
        experiments,
        unlisted: ["delay-3f9a1c.2", "delay-3f9a1c.3", "delay-3f9a1c.8"]
            .map(str::to_owned)
            .to_vec(),
        ..Script::default()
    });
    let finished = run(&agent, &["stop", "delay-3f9a1c", "-o", "json"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let told = ids(&agent);
    let places = ["", ".2", ".3", ".4", ".7", ".8", ".9"];
    assert_eq!(told, places.map(|place| format!("delay-3f9a1c{place}")));
    let json = finished.json();
    assert_eq!(json["experiments"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        json["experiments"][0]["nodes"].as_array().map(Vec::len),
        Some(5)
    );
}

#[test]
fn an_agent_that_cannot_list_is_told_all_the_same_and_is_a_failure() {
    let agent = Agent::start(Script {
        experiments: two(),
        refuse_list: Some(tonic::Status::unavailable("the API server does not answer")),
        ..Script::default()
    });
    let finished = run(&agent, &["stop", "loss-00ff00"]);
    assert_eq!(ids(&agent), ["loss-00ff00", "loss-00ff00.2"]);
    assert!(finished.stdout.contains("ended: stopped"), "{finished:?}");
    assert_eq!(finished.stderr, "error: the API server does not answer\n");
    assert_eq!(finished.code, Some(1));
}

#[test]
fn stopping_nothing_is_no_error() {
    let agent = Agent::start(Script::default());
    let finished = run(&agent, &["stop", "--all"]);
    assert_eq!(finished.stderr, "no experiment is running\n");
    assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(0)));
}
