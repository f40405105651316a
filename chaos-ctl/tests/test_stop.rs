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
    assert_eq!(agent.calls().len(), 3);
}

#[test]
fn stopping_nothing_is_no_error() {
    let agent = Agent::start(Script::default());
    let finished = run(&agent, &["stop", "--all"]);
    assert_eq!(finished.stderr, "no experiment is running\n");
    assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(0)));
}
