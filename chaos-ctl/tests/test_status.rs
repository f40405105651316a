//! `chaosctl status`.

use crate::agent::{Agent, Call};
use crate::chaosctl::run;
use crate::script::Script;
use crate::test_list::two;

#[test]
fn everything_about_one_experiment_is_shown() {
    let agent = Agent::start(Script {
        experiments: two(),
        ..Script::default()
    });
    let finished = run(&agent, &["status", "loss-00ff00"]);
    assert_eq!(
        finished.stdout,
        "\
Id:        loss-00ff00
State:     ended: expired
Where:     netns web, interface eth0
Rule:      loss 0.5 %: all packets that leave the target or arrive at it
Duration:  1.5 s
Remaining: -
Client:    detached
Seed:      0
Engine:    none needed

TARGET  INTERFACE  MATCHED    DELAYED    DROPPED
web     eth0       3 (300 B)  3 (300 B)  0
"
    );
    assert_eq!((finished.stderr.as_str(), finished.code), ("", Some(0)));
    // Looking must not count as attending.
    assert_eq!(agent.calls(), [Call::List(true)]);
    let json = run(&agent, &["status", "delay-3f9a1c", "-o", "json"]).json();
    assert_eq!(json["experiment"]["line_engine"], "fq");
}

#[test]
fn an_unknown_id_is_refused_by_the_agent() {
    let agent = Agent::start(Script::default());
    let finished = run(&agent, &["status", "nope"]);
    assert_eq!(
        finished.stderr,
        "error: there is no experiment nope on this node: `chaosctl list --all` shows all\n"
    );
    assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(1)));
}
