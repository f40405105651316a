//! `chaosctl loss`: what differs from delay.

use chaos_proto::v1::loss::Model;
use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Counters, FourStates, GilbertElliott, Loss, Protocol};

use crate::agent::Agent;
use crate::chaosctl::run;
use crate::script::Script;

fn losing() -> Script {
    Script {
        hits: Counters {
            matched_packets: 5000,
            matched_bytes: 500_000,
            dropped_packets: 1500,
            dropped_bytes: 150_000,
            ..Counters::default()
        },
        ..Script::default()
    }
}

#[test]
fn losses_are_counted() {
    let agent = Agent::start(losing());
    let finished = run(&agent, &["loss", "--netns", "web", "30%", "-q"]);
    assert_eq!(
        finished.stdout,
        "\
TARGET  INTERFACE  MATCHED         DELAYED  DROPPED
web     eth0       5,000 (500 kB)  0        1,500 (150 kB)
"
    );
    assert_eq!((finished.stderr.as_str(), finished.code), ("", Some(0)));
}

#[test]
fn the_share_is_sent_in_parts_per_million() {
    for (text, share_ppm) in [
        ("30", 300_000),
        ("0.5%", 5_000),
        ("0.0001", 1),
        ("100%", 1_000_000),
    ] {
        let agent = Agent::start(losing());
        assert_eq!(run(&agent, &["loss", text, "--netns", "web"]).code, Some(0));
        assert_eq!(
            asked(&agent),
            Loss {
                share_ppm,
                ..Loss::default()
            }
        );
    }
}

#[test]
fn a_dry_run_tells_what_is_lost() {
    let agent = Agent::start(losing());
    let finished = run(
        &agent,
        &[
            "loss",
            "30%",
            "--netns",
            "web",
            "--proto",
            "udp",
            "--direction",
            "both",
            "--dry-run",
        ],
    );
    let effect = finished
        .stdout
        .lines()
        .find(|line| line.starts_with("Effect:"));
    assert_eq!(
        effect,
        Some(
            "Effect: 30 % of matching packets in either direction are dropped silently: \
             51 % of questions get no answer unless the application asks again"
        )
    );
    let json = run(&agent, &["loss", "30%", "--netns", "web", "-o", "json"]).json();
    let fault = &json["experiment"]["rules"][0]["fault"];
    assert_eq!(
        *fault,
        serde_json::json!({ "kind": "loss", "share_ppm": 300_000, "correlation_ppm": 0, "model": null, "ramp": null })
    );
}

fn asked(agent: &Agent) -> Loss {
    match agent.prepared().rules.remove(0).fault {
        Some(Fault::Loss(loss)) => loss,
        other => panic!("{other:?}"),
    }
}

#[test]
fn packets_are_chosen_in_one_way() {
    let share = |share_ppm, correlation_ppm| Loss {
        share_ppm,
        correlation_ppm,
        ..Loss::default()
    };
    let model = |model| Loss {
        model: Some(model),
        ..Loss::default()
    };
    for (arguments, expected) in [
        ("30% --correlation 25%", share(300_000, 250_000)),
        (
            "--burst 1,10,70",
            model(Model::GilbertElliott(GilbertElliott {
                to_bad_ppm: 10_000,
                to_good_ppm: 100_000,
                lost_in_bad_ppm: 700_000,
                lost_in_good_ppm: 0,
            })),
        ),
        (
            "--four-state 1,10,5,50,0.1",
            model(Model::FourStates(FourStates {
                p13_ppm: 10_000,
                p31_ppm: 100_000,
                p32_ppm: 50_000,
                p23_ppm: 500_000,
                p14_ppm: 1_000,
            })),
        ),
        ("--every 100", model(Model::Every(100))),
        ("--first 3", model(Model::First(3))),
    ] {
        let agent = Agent::start(losing());
        let mut words = vec!["loss", "--netns", "web"];
        words.extend(arguments.split(' '));
        assert_eq!(run(&agent, &words).code, Some(0), "{arguments}");
        assert_eq!(asked(&agent), expected, "{arguments}");
    }
}

#[test]
fn syn_only_means_tcp() {
    let agent = Agent::start(losing());
    let arguments = ["loss", "50", "--syn-only", "--netns", "web"];
    assert_eq!(run(&agent, &arguments).code, Some(0));
    let filter = agent.prepared().rules.remove(0).filter.unwrap();
    assert!(filter.syn_only);
    assert_eq!(filter.protocol(), Protocol::Tcp);
}

#[test]
fn a_rule_that_did_nothing_to_what_matched_says_so() {
    let agent = Agent::start(Script {
        hits: Counters {
            matched_packets: 12,
            matched_bytes: 1200,
            ..Counters::default()
        },
        ..Script::default()
    });
    let finished = run(&agent, &["loss", "0.1%", "--netns", "web", "-q"]);
    assert_eq!(
        finished.stderr,
        "warning: loss 0.1 %: 12 matched, 0 dropped: of few packets a small share may be none\n"
    );
    assert_eq!(finished.code, Some(0));
}
