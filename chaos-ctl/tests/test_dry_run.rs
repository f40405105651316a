//! `--dry-run` at one agent.

use chaos_proto::v1::{Guard, PrepareResponse};

use crate::agent::Agent;
use crate::chaosctl::run;
use crate::script::Script;

#[test]
fn a_dry_run_at_one_agent_tells_what_its_guards_say() {
    let agent = Agent::start(Script {
        says: PrepareResponse {
            protected: vec!["port 22 of this node".to_owned()],
            guards: vec![Guard {
                name: "maxDuration".to_owned(),
                allows: false,
                detail: "at most 10s, and this is 30s".to_owned(),
            }],
            ..PrepareResponse::default()
        },
        ..Script::default()
    });
    let arguments = ["delay", "--netns", "web", "100ms", "--dry-run"];
    let finished = run(&agent, &arguments);
    let said = "\
Time:   30 s

Spared: port 22 of this node
Guard:  maxDuration REFUSES: at most 10s, and this is 30s

Nothing was applied.
";
    assert!(finished.stdout.ends_with(said), "{finished:?}");
    assert_eq!(
        finished.stderr,
        "error: 1 of 1 part would refuse: see the plan\n"
    );
    assert_eq!(finished.code, Some(1));
    let json = run(&agent, &[&arguments[..], &["-o", "json"]].concat()).json();
    assert_eq!(json["answer"]["would_run"], false);
    assert_eq!(json["answer"]["guards"][0]["name"], "maxDuration");
}
