//! `chaosctl corrupt`: what it asks and what it counts.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Corrupt, Counters};

use crate::agent::Agent;
use crate::chaosctl::run;
use crate::script::Script;

#[test]
fn flipped_bits_are_counted_in_a_column_of_their_own() {
    let agent = Agent::start(Script {
        hits: Counters {
            matched_packets: 5000,
            matched_bytes: 500_000,
            corrupted_packets: 50,
            ..Counters::default()
        },
        ..Script::default()
    });
    let finished = run(&agent, &["corrupt", "1%", "--netns", "web", "-q"]);
    assert_eq!(
        finished.stdout,
        "\
TARGET  INTERFACE  MATCHED         DELAYED  DROPPED  CORRUPTED
web     eth0       5,000 (500 kB)  0        0        50
"
    );
    assert_eq!(finished.code, Some(0));
    assert_eq!(
        agent.prepared().rules.remove(0).fault,
        Some(Fault::Corrupt(Corrupt {
            share_ppm: 10_000,
            ..Corrupt::default()
        }))
    );
}

#[test]
fn what_is_dropped_instead_is_counted_as_dropped() {
    let agent = Agent::start(Script {
        hits: Counters {
            matched_packets: 5000,
            matched_bytes: 500_000,
            dropped_packets: 50,
            dropped_bytes: 5_000,
            ..Counters::default()
        },
        ..Script::default()
    });
    let arguments = ["corrupt", "1%", "--drop-corrupt", "--netns", "web", "-q"];
    let finished = run(&agent, &arguments);
    assert_eq!(
        finished.stdout,
        "\
TARGET  INTERFACE  MATCHED         DELAYED  DROPPED
web     eth0       5,000 (500 kB)  0        50 (5.0 kB)
"
    );
    match agent.prepared().rules.remove(0).fault {
        Some(Fault::Corrupt(corrupt)) => assert!(corrupt.drop),
        other => panic!("{other:?}"),
    }
}
