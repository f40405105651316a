//! `chaosctl http`: what it tells of the requests that it hit, and of those that it did not.

use chaos_proto::v1::{Counters, Requests};

use crate::agent::Agent;
use crate::chaosctl::run;
use crate::script::Script;

#[test]
fn what_became_of_requests_is_told() {
    let agent = Agent::start(Script {
        hits: Counters {
            matched_packets: 600,
            requests: Some(Requests {
                seen: 650,
                excluded: 50,
                delayed: 600,
                errors: 61,
                connections: 20,
                encrypted_connections: 1,
                ..Requests::default()
            }),
            ..Counters::default()
        },
        ..Script::default()
    });
    let finished = run(
        &agent,
        &[
            "http",
            "--netns=web",
            "--port=80",
            "--delay=100ms",
            "--error-rate=0.1",
            "--error-code=500",
        ],
    );
    assert_eq!(
        finished.stdout,
        "\
TARGET  REQUESTS  DELAYED  ERRORS  EXCLUDED  CONNECTIONS  ENCRYPTED
web     600       600      61      50        20           1
"
    );
    for line in [
        "of 600 requests 61 were answered 500, all were delayed by 100 ms",
        "1 connection: encrypted: nothing to inject; use delay, loss or reset",
    ] {
        assert!(finished.stderr.contains(line), "{}", finished.stderr);
    }
}

#[test]
fn nothing_hit_says_why() {
    let agent = Agent::start(Script {
        hits: Counters {
            requests: Some(Requests {
                connections: 2,
                encrypted_connections: 2,
                ..Requests::default()
            }),
            ..Counters::default()
        },
        ..Script::default()
    });
    let words = ["http", "--netns=web", "--port=443", "--delay=1ms"];
    let finished = run(&agent, &words);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    for line in [
        "error: nothing was hit: no request matched",
        "encrypted: nothing to inject; use delay, loss or reset",
    ] {
        assert!(finished.stderr.contains(line), "{}", finished.stderr);
    }
}
