//! `chaosctl list`.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{
    Delay, Direction, EndReason, Experiment, Filter, Loss, Rule, Selector, ServiceSelector, State,
};

use crate::agent::{Agent, Call};
use crate::chaosctl::run;
use crate::script::{Script, delayed, target};

/// One that runs and one that has ended.
pub(crate) fn two() -> Vec<Experiment> {
    let time = |ms| Duration::from_millis(ms).try_into().ok();
    let running = Experiment {
        id: "delay-3f9a1c".to_owned(),
        state: State::Armed.into(),
        selector: Some(Selector {
            interface: String::new(),
            r#where: Some(Where::Service(ServiceSelector {
                name: "provider".to_owned(),
                namespace: "default".to_owned(),
                inventory: String::new(),
                inventory_file: String::new(),
            })),
        }),
        rules: vec![Rule {
            filter: None,
            fault: Some(Fault::Delay(Delay {
                latency: time(100),
                jitter: time(20),
                ..Delay::default()
            })),
            pulse: None,
        }],
        duration: time(30_000),
        remaining: time(12_345),
        seed: 7,
        targets: vec![target("provider-1"), target("provider-2")],
        line_engine: chaos_proto::v1::LineEngine::Fq.into(),
        ..Experiment::default()
    };
    let mut web = target("web");
    web.counters = vec![delayed(3, 300)];
    let ended = Experiment {
        id: "loss-00ff00".to_owned(),
        state: State::Ended.into(),
        end_reason: EndReason::Expired.into(),
        selector: Some(Selector {
            interface: "eth0".to_owned(),
            r#where: Some(Where::Netns("web".to_owned())),
        }),
        rules: vec![Rule {
            filter: Some(Filter {
                direction: Direction::Both.into(),
                ..Filter::default()
            }),
            fault: Some(Fault::Loss(Loss {
                share_ppm: 5_000,
                ..Loss::default()
            })),
            pulse: None,
        }],
        duration: time(1_500),
        detached: true,
        targets: vec![web],
        ..Experiment::default()
    };
    vec![running, ended]
}

#[test]
fn experiments_are_listed() {
    let agent = Agent::start(Script {
        experiments: two(),
        ..Script::default()
    });
    let finished = run(&agent, &["list", "--all"]);
    assert_eq!(
        finished.stdout,
        "\
ID            STATE           WHERE                                 TARGETS  WHAT                         REMAINING
delay-3f9a1c  armed           service provider (namespace default)  2        delay 100 ms ± 20 ms egress  12.3 s
loss-00ff00   ended: expired  netns web, interface eth0             1        loss 0.5 % both              -
"
    );
    assert_eq!((finished.stderr.as_str(), finished.code), ("", Some(0)));
    let json = run(&agent, &["list", "-o", "json"]).json();
    assert_eq!(json["experiments"][0]["remaining_ns"], 12_345_000_000_u64);
    assert_eq!(json["experiments"][1]["end_reason"], "expired");
    assert_eq!(agent.calls(), [Call::List(true), Call::List(false)]);
}

#[test]
fn an_empty_list_is_said_on_the_side() {
    let agent = Agent::start(Script::default());
    let finished = run(&agent, &["list"]);
    assert_eq!(
        finished.stderr,
        "no experiment is running; --all shows those that have ended\n"
    );
    assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(0)));
    let json = run(&agent, &["list", "-o", "json"]).json();
    assert_eq!(json, serde_json::json!({ "experiments": [] }));
}
