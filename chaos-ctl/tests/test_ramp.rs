//! `--ramp` of every fault: what it asks, and what it tells.

use std::time::Duration;

use chaos_proto::v1::Ramp;
use chaos_proto::v1::rule::Fault;
use serde_json::json;

use crate::agent::Agent;
use crate::chaosctl::run;
use crate::script::Script;

/// Where the share of a fault ends, and how it gets there.
fn share(fault: &Fault) -> (Option<u32>, Option<Ramp>) {
    match fault {
        Fault::Loss(fault) => (Some(fault.share_ppm), fault.ramp),
        Fault::Duplicate(fault) => (Some(fault.share_ppm), fault.ramp),
        Fault::Reorder(fault) => (Some(fault.share_ppm), fault.ramp),
        Fault::Corrupt(fault) => (Some(fault.share_ppm), fault.ramp),
        Fault::Partition(fault) => (fault.share_ppm, fault.ramp),
        Fault::Reset(fault) => (Some(fault.share_ppm), fault.ramp),
        Fault::Rewrite(fault) => (fault.share_ppm, fault.ramp),
        Fault::Dns(fault) => (Some(fault.share_ppm), fault.ramp),
        Fault::Delay(_) | Fault::Rate(_) | Fault::Http(_) | Fault::Grpc(_) => (None, None),
    }
}

#[test]
fn every_share_may_change() {
    for verb in [
        "loss",
        "loss --correlation 10",
        "loss 30%",
        "duplicate",
        "reorder",
        "corrupt",
        "corrupt --drop-corrupt",
        "partition",
        "partition --reject",
        "reset",
        "reset --after 2s",
        "rewrite --ttl 3",
        "dns nxdomain",
    ] {
        let agent = Agent::start(Script::default());
        let arguments = format!("{verb} --netns web --ramp 90%..30%/1m -o json");
        let words: Vec<_> = arguments.split(' ').collect();
        let finished = run(&agent, &words);
        assert_eq!(finished.code, Some(0), "{verb}: {}", finished.stderr);
        let fault = agent.prepared().rules.remove(0).fault.unwrap();
        let ramp = Ramp {
            from_ppm: 900_000,
            over: Duration::from_mins(1).try_into().ok(),
            ..Ramp::default()
        };
        assert_eq!(share(&fault), (Some(300_000), Some(ramp)), "{verb}");
        let told = &finished.json()["experiment"]["rules"][0]["fault"];
        assert_eq!(told["share_ppm"], 300_000, "{verb}");
        let ramp = json!({ "from_ppm": 900_000, "over_ns": 60_000_000_000_u64 });
        assert_eq!(told["ramp"], ramp, "{verb}");
    }
}

#[test]
fn a_bandwidth_may_change() {
    let agent = Agent::start(Script::default());
    let arguments = "rate --netns web --ramp 10mbit..1mbit/30s -o json";
    let words: Vec<_> = arguments.split(' ').collect();
    let told = run(&agent, &words).json();
    let told = &told["experiment"]["rules"][0]["fault"];
    assert_eq!(told["bytes_per_second"], 125_000);
    let ramp = json!({ "from_bytes_per_second": 1_250_000, "over_ns": 30_000_000_000_u64 });
    assert_eq!(told["ramp"], ramp);
}

/// Ramps that cannot be, and how our sentence about each begins.
const WRONG: &[(&str, &str)] = &[
    (
        "delay --netns web --ramp -1ms..200ms/30s",
        "ramp `-1ms..200ms/30s` is negative: give the first and the last latency",
    ),
    (
        "loss --netns web --ramp -1..5/1m",
        "ramp `-1..5/1m` is negative: give the first and the last percentage and how long it takes, such as 0%..30%/1m",
    ),
    (
        "loss --netns web --ramp 0%..30%",
        "ramp `0%..30%` is not one: ",
    ),
    (
        "loss --netns web --ramp 0..130/1m",
        "ramp `0..130/1m` is too large: ",
    ),
    (
        "loss --netns web --ramp 0..5ms/1m",
        "ramp `0..5ms/1m` is not one: give the first and the last percentage",
    ),
    (
        "loss --netns web --ramp 0..5/0s",
        "ramp `0..5/0s` is zero: ",
    ),
    (
        "loss 10 --netns web --ramp 0..5/1m",
        "loss cannot take a percentage together with a ramp that ends at another: ",
    ),
    (
        "loss --netns web --burst 1,10 --ramp 0..5/1m",
        "loss cannot take burst together with a ramp: a ramp changes a percentage of packets, and this has none",
    ),
    (
        "loss --netns web --first 3 --ramp 0..5/1m",
        "loss cannot take first together with a ramp: ",
    ),
    (
        "rate --netns web --ramp 0..1mbit/30s",
        "ramp `0..1mbit/30s` is zero: give the first and the last bandwidth",
    ),
    (
        "rate --netns web --ramp 10..1/30s",
        "ramp `10..1/30s` has no unit: ",
    ),
    (
        "rate 10mbit --netns web --ramp 10mbit..1mbit/30s",
        "rate cannot take a bandwidth together with a ramp that ends at another: ",
    ),
    (
        "reset --netns web --probability 5 --ramp 0..50/30s",
        "reset cannot take a probability together with a ramp that ends at another: ",
    ),
    (
        "dns nxdomain --netns web --percent 5 --ramp 0..50/30s",
        "dns cannot take a percentage together with a ramp that ends at another: ",
    ),
    (
        "partition --netns web --ramp 5",
        "ramp `5` is not one: give the first and the last percentage",
    ),
    (
        "rewrite --netns web --ramp 0..50/30s",
        "rewrite does not say what to write: ",
    ),
];

#[test]
fn wrong_ramps_are_named_with_what_would_be_right() {
    let agent = Agent::start(Script::default());
    for (arguments, sentence) in WRONG {
        let words: Vec<_> = arguments.split(' ').collect();
        let finished = run(&agent, &words);
        let said = finished.stderr.strip_prefix("error: ").unwrap_or_default();
        assert!(
            said.starts_with(sentence),
            "{arguments}\n{}",
            finished.stderr
        );
        assert_eq!(finished.code, Some(2), "{arguments}");
    }
    assert_eq!(agent.calls(), []);
}
