//! `chaosctl duplicate`: what it asks and what it counts.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Counters, Duplicate};

use crate::agent::Agent;
use crate::chaosctl::run;
use crate::script::{Script, target};

#[test]
fn copies_are_asked_for_and_counted() {
    let agent = Agent::start(Script {
        targets: vec![target("web-1"), target("web-2")],
        hits: Counters {
            matched_packets: 5000,
            matched_bytes: 500_000,
            duplicated_packets: 1250,
            ..Counters::default()
        },
        ticks: vec![20],
        ..Script::default()
    });
    let arguments = ["duplicate", "25%", "--correlation", "10", "--netns", "web"];
    let finished = run(&agent, &arguments);
    assert_eq!(
        finished.stdout,
        "\
TARGET  INTERFACE  MATCHED          DELAYED  DROPPED  DUPLICATED
web-1   eth0       5,000 (500 kB)   0        0        1,250
web-2   eth0       5,000 (500 kB)   0        0        1,250
total              10,000 (1.0 MB)  0        0        2,500
"
    );
    assert!(
        finished
            .stderr
            .contains("20 s left, 10,000 matched, 2,500 duplicated"),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.code, Some(0));
    assert_eq!(
        agent.prepared().rules.remove(0).fault,
        Some(Fault::Duplicate(Duplicate {
            share_ppm: 250_000,
            correlation_ppm: 100_000,
            ramp: None,
        }))
    );
    let json = run(&agent, &[&arguments[..], &["-o", "json"]].concat()).json();
    assert_eq!(json["experiment"]["totals"]["duplicated_packets"], 2500);
    assert_eq!(
        json["experiment"]["rules"][0]["fault"],
        serde_json::json!({
            "kind": "duplicate", "share_ppm": 250_000, "correlation_ppm": 100_000, "ramp": null
        })
    );
}
