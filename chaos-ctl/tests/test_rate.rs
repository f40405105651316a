//! `chaosctl rate`: what it asks and what it tells beforehand.

use chaos_proto::v1::Rate;
use chaos_proto::v1::rule::Fault;

use crate::agent::Agent;
use crate::chaosctl::run;
use crate::script::Script;

#[test]
fn bandwidths_are_sent_in_bytes() {
    let default = Rate {
        bytes_per_second: 1_250_000,
        ..Rate::default()
    };
    for (arguments, expected) in [
        ("rate 10mbit --netns web", default),
        (
            "rate 1.25MB/s --burst 64kB --queue 1MiB --per-flow --netns web",
            Rate {
                burst_bytes: 64_000,
                queue_bytes: 1 << 20,
                per_flow: true,
                ..default
            },
        ),
    ] {
        let agent = Agent::start(Script::default());
        let words: Vec<_> = arguments.split(' ').collect();
        assert_eq!(run(&agent, &words).code, Some(0));
        let fault = agent.prepared().rules.remove(0).fault;
        assert_eq!(fault, Some(Fault::Rate(expected)));
    }
}

#[test]
fn a_dry_run_tells_how_long_things_take() {
    let agent = Agent::start(Script::default());
    let arguments = [
        "rate",
        "10mbit",
        "--netns",
        "web",
        "--pulse",
        "2s/8s",
        "--dry-run",
    ];
    let finished = run(&agent, &arguments);
    assert!(
        finished.stdout.contains(
            "\
Rule:   rate 10 Mbit/s: all packets that leave the target; 2 s on and 8 s off by turns
Effect: matching packets that leave the target pass at 10 Mbit/s, all of a target together: 1 MB takes 800 ms; \
more waits for up to 1 s, and what is beyond that is dropped; 2 s on and 8 s off by turns
"
        ),
        "{}",
        finished.stdout
    );
}
