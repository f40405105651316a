//! `chaosctl delay`: what it asks, what it prints, and how it exits.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{
    Counters, Delay, Direction, EndReason, Filter, PrepareRequest, Rule, Selector, ServiceSelector,
};
use tonic::Status;

use crate::agent::{Agent, Call};
use crate::chaosctl::{documented, run};
use crate::script::{Script, Then, delayed, target};

fn wire(time: Duration) -> Option<prost_types::Duration> {
    time.try_into().ok()
}

fn five() -> Script {
    Script {
        targets: (1..=5).map(|n| target(&format!("provider-{n}"))).collect(),
        ..Script::default()
    }
}

#[test]
fn the_command_of_the_issue_works_as_written() {
    let agent = Agent::start(five());
    let finished = run(
        &agent,
        &[
            "delay",
            "--svc",
            "provider-chaos-service",
            "100ms",
            "--duration",
            "30s",
        ],
    );
    assert_eq!(
        finished.stdout,
        "\
TARGET      INTERFACE  MATCHED         DELAYED         DROPPED
provider-1  eth0       1,234 (1.2 MB)  1,234 (1.2 MB)  0
provider-2  eth0       1,234 (1.2 MB)  1,234 (1.2 MB)  0
provider-3  eth0       1,234 (1.2 MB)  1,234 (1.2 MB)  0
provider-4  eth0       1,234 (1.2 MB)  1,234 (1.2 MB)  0
provider-5  eth0       1,234 (1.2 MB)  1,234 (1.2 MB)  0
total                  6,170 (6.2 MB)  6,170 (6.2 MB)  0
"
    );
    assert_eq!(
        finished.stderr,
        "\
delay-3f9a1c: delay 100 ms egress on 5 targets for 30 s; Ctrl-C ends it at once
delay-3f9a1c: ended: its duration has passed
"
    );
    assert_eq!(finished.code, Some(0));
    assert_eq!(
        agent.prepared(),
        PrepareRequest {
            selector: Some(Selector {
                interface: String::new(),
                r#where: Some(Where::Service(ServiceSelector {
                    name: "provider-chaos-service".to_owned(),
                    ..ServiceSelector::default()
                })),
            }),
            rules: vec![Rule {
                filter: Some(Filter {
                    direction: Direction::Egress.into(),
                    ..Filter::default()
                }),
                fault: Some(Fault::Delay(Delay {
                    latency: wire(Duration::from_millis(100)),
                    ..Delay::default()
                })),
                pulse: None,
            }],
            duration: wire(Duration::from_secs(30)),
            ..PrepareRequest::default()
        }
    );
    // Never armed without its client: the watch is open first.
    let order: Vec<_> = agent.calls().into_iter().skip(1).collect();
    let id = "delay-3f9a1c".to_owned();
    let watch = Call::Watch {
        id: id.clone(),
        hold: true,
    };
    assert_eq!(order, [watch, Call::Arm(id)]);
}

#[test]
fn json_is_the_documented_object() {
    let agent = Agent::start(Script::default());
    let finished = run(
        &agent,
        &["-o", "json", "-q", "delay", "--netns", "web", "100ms"],
    );
    assert_eq!(finished.stderr, "");
    assert_eq!(finished.code, Some(0));
    assert_eq!(finished.json(), documented("## Experiments"));
}

#[test]
fn verbose_tells_what_was_prepared_and_quiet_tells_nothing() {
    let agent = Agent::start(Script::default());
    let arguments = [
        "delay", "--netns", "web", "100ms", "--port", "80", "--peer", "10.0.0.7",
    ];
    let loud = run(&agent, &[&arguments[..], &["-v"]].concat());
    assert!(
        loud.stderr.starts_with(
            "\
delay-3f9a1c: prepared, engine tap, seed 18446744073709551615
  target: web, eth0 in /run/netns/web
  rule: delay 100 ms: all packets that leave the target, source or destination port 80, to 10.0.0.7
"
        ),
        "{}",
        loud.stderr
    );
    assert_eq!(run(&agent, &[&arguments[..], &["-q"]].concat()).stderr, "");
}

#[test]
fn a_dry_run_tells_the_effect_and_applies_nothing() {
    let agent = Agent::start(Script::default());
    let arguments = [
        "delay",
        "--netns",
        "web",
        "100ms",
        "--direction",
        "both",
        "--dry-run",
    ];
    let finished = run(&agent, &arguments);
    assert_eq!(
        finished.stdout,
        "\
TARGET  NETNS           INTERFACE
web     /run/netns/web  eth0 (number 2)

Rule:   delay 100 ms: all packets that leave the target or arrive at it
Effect: each round trip of matching packets takes 200 ms longer: a new HTTP connection about 400 ms
Time:   30 s

Nothing was applied.
"
    );
    assert_eq!((finished.stderr.as_str(), finished.code), ("", Some(0)));
    assert!(agent.prepared().dry_run);
    assert_eq!(agent.calls().len(), 1);
    let json = run(&agent, &[&arguments[..], &["-o", "json"]].concat()).json();
    assert_eq!(json["outcome"], "dry_run");
    assert_eq!(json["experiment"]["id"], serde_json::Value::Null);
    assert_eq!(
        json["expected_effects"][0],
        "each round trip of matching packets takes 200 ms longer: a new HTTP connection about 400 ms"
    );
}

#[test]
fn detach_prints_the_id_alone() {
    let agent = Agent::start(Script::default());
    let arguments = ["delay", "--netns", "web", "100ms", "--detach"];
    let finished = run(&agent, &arguments);
    assert_eq!(finished.stdout, "delay-3f9a1c\n");
    assert_eq!(
        finished.stderr,
        "delay 100 ms egress on 1 target for 30 s; end it with `chaosctl stop delay-3f9a1c`\n"
    );
    assert_eq!(finished.code, Some(0));
    assert!(agent.prepared().detached);
    assert_eq!(
        agent.calls().last(),
        Some(&Call::Arm("delay-3f9a1c".to_owned()))
    );
    let json = run(&agent, &[&arguments[..], &["-o", "json"]].concat()).json();
    assert_eq!(json["outcome"], "detached");
    assert_eq!(json["experiment"]["state"], "armed");
}

#[test]
fn nothing_matched_is_said_and_exits_3() {
    let agent = Agent::start(Script {
        hits: Counters::default(),
        ..Script::default()
    });
    let arguments = [
        "delay", "--netns", "web", "100ms", "--proto", "tcp", "--port", "80",
    ];
    let finished = run(&agent, &[&arguments[..], &["-q"]].concat());
    assert_eq!(
        finished.stdout,
        "TARGET  INTERFACE  MATCHED  DELAYED  DROPPED\nweb     eth0       0        0        0\n"
    );
    assert_eq!(
        finished.stderr,
        "\
error: nothing was hit: no packet matched
  hint: direction: it is seen from the target, egress leaves it and ingress arrives; try the other one
  hint: protocol: try without --proto
  hint: port: it is the one that the target itself uses or talks to, before or after any translation elsewhere
  hint: traffic: was there any? see `tcpdump -ni any` at eth0 in /run/netns/web
"
    );
    assert_eq!(finished.code, Some(3));
    let finished = run(&agent, &[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(finished.json()["outcome"], "nothing_matched");
    assert_eq!(finished.code, Some(3));
}

#[test]
fn an_early_end_is_explained_and_exits_1() {
    for (reason, detail, sentence) in [
        (
            EndReason::TargetGone,
            "netns web is gone.",
            "netns web is gone",
        ),
        (EndReason::AgentStopped, "", "the agent was told to stop"),
        (
            EndReason::AgentStalled,
            "",
            "the agent hung, and the kernel ended the fault without it",
        ),
        (EndReason::Failed, "the TAP broke", "the TAP broke"),
        (
            EndReason::ClientGone,
            "",
            "its client was gone for longer than its grace period",
        ),
    ] {
        let agent = Agent::start(Script {
            then: Then::End(reason, detail),
            ..Script::default()
        });
        let finished = run(&agent, &["delay", "--netns", "web", "100ms", "-q"]);
        assert_eq!(
            finished.stderr,
            format!("error: delay-3f9a1c ended before its time: {sentence}\n")
        );
        assert_eq!(finished.code, Some(1));
        let gone = finished.stdout.contains("web (gone)");
        assert_eq!(gone, reason == EndReason::TargetGone, "{}", finished.stdout);
    }
}

#[test]
fn being_stopped_by_somebody_is_no_error() {
    let agent = Agent::start(Script {
        then: Then::End(EndReason::Stopped, ""),
        ..Script::default()
    });
    let finished = run(&agent, &["delay", "--netns", "web", "100ms", "-o", "json"]);
    assert!(
        finished
            .stderr
            .ends_with("delay-3f9a1c: ended: somebody stopped it\n")
    );
    assert_eq!(finished.json()["outcome"], "stopped");
    assert_eq!(finished.code, Some(0));
}

#[test]
fn packets_that_passed_undelayed_are_a_warning() {
    let agent = Agent::start(Script {
        hits: Counters {
            undelayed_packets: 1000,
            ..delayed(5000, 5_000_000)
        },
        ..Script::default()
    });
    let finished = run(&agent, &["delay", "--netns", "web", "100ms", "-q"]);
    assert_eq!(
        finished.stderr,
        "warning: 1,000 packets should have been delayed and were not: the delay line would not take them\n"
    );
    assert_eq!(finished.code, Some(0));
}

#[test]
fn a_run_that_delayed_nothing_is_a_failure() {
    let agent = Agent::start(Script {
        hits: Counters {
            matched_packets: 1000,
            matched_bytes: 1_000_000,
            undelayed_packets: 1000,
            ..Counters::default()
        },
        ..Script::default()
    });
    let arguments = ["delay", "--netns", "web", "100ms", "-q"];
    let finished = run(&agent, &arguments);
    assert_eq!(
        finished.stdout,
        "\
TARGET  INTERFACE  MATCHED         DELAYED  DROPPED
web     eth0       1,000 (1.0 MB)  0        0
"
    );
    assert_eq!(
        finished.stderr,
        "\
error: nothing was delayed: the delay line took none of 1,000 packets
  hint: packets pass at once where the line cannot take them: docs/faults.md, \"Not delayed\", says which
"
    );
    assert_eq!(finished.code, Some(1));
    let finished = run(&agent, &[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(finished.json()["outcome"], "nothing_delayed");
    assert_eq!(finished.code, Some(1));
}

#[test]
fn the_agents_refusal_is_printed_as_it_is() {
    let agent = Agent::start(Script {
        refuse_prepare: Some(Status::invalid_argument(
            "jitter 200 ms is larger than the latency 100 ms: give at most 100 ms",
        )),
        ..Script::default()
    });
    for form in ["table", "json"] {
        let finished = run(
            &agent,
            &[
                "delay", "--netns", "web", "100ms", "--jitter", "200ms", "-o", form,
            ],
        );
        assert_eq!(finished.stdout, "");
        assert_eq!(
            finished.stderr,
            "error: jitter 200 ms is larger than the latency 100 ms: give at most 100 ms\n"
        );
        assert_eq!(finished.code, Some(1));
    }
}

#[test]
fn what_cannot_be_armed_is_taken_back() {
    for mode in [&[][..], &["--detach"]] {
        let agent = Agent::start(Script {
            refuse_arm: Some(Status::failed_precondition(
                "the target is gone: start it again",
            )),
            ..Script::default()
        });
        let finished = run(
            &agent,
            &[&["delay", "--netns", "web", "100ms"], mode].concat(),
        );
        assert_eq!(
            finished.stderr,
            "error: the target is gone: start it again\n"
        );
        assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(1)));
        assert!(matches!(agent.calls().last(), Some(Call::Disarm(_))));
    }
}

#[test]
fn names_cannot_steer_the_terminal() {
    let agent = Agent::start(Script {
        targets: vec![target("\u{1b}[2Jweb\u{7}")],
        ..Script::default()
    });
    let finished = run(&agent, &["delay", "--netns", "web", "100ms", "-v"]);
    assert!(!finished.stdout.contains('\u{1b}') && finished.stdout.contains("[2Jweb"));
    assert!(!finished.stderr.contains('\u{1b}'));
}

#[test]
fn a_log_gets_a_line_now_and_then() {
    let agent = Agent::start(Script {
        ticks: (1..30).rev().collect(),
        ..Script::default()
    });
    let finished = run(&agent, &["delay", "--netns", "web", "100ms"]);
    let lines: Vec<_> = finished.stderr.lines().collect();
    assert_eq!(lines.len(), 7, "{lines:#?}");
    for (line, left) in lines[1..6].iter().zip([25, 20, 15, 10, 5]) {
        let expected = format!("delay-3f9a1c: {left} s left, 1,234 matched, 1,234 delayed");
        assert_eq!(*line, expected);
    }
}
