//! Faults as actions of a larger experiment: what they say when they act and when they have ended, and that nobody who
//! starts one can leave without it ending.

use std::sync::Arc;

use chaos_ctl::cli::Cli;
use chaos_ctl::commands::actions::ToolkitFaults;
use chaos_ctl::output::Output;
use chaos_proto::v1::disarm_request::Which;
use chaos_proto::v1::{Counters, EndReason};
use chaos_toolkit::faults::{Acting, FaultFailed, Faults};
use clap::Parser;
use serde_json::{Map, Value, json};
use tonic::Status;

use crate::agent::{Agent, Call, DEADLINE};
use crate::chaosctl::{run, text};
use crate::script::{Script, Then};

fn faults(agent: &Agent) -> ToolkitFaults {
    let socket = agent.socket();
    let cli = Cli::try_parse_from(["chaosctl", "--socket", text(&socket), "list"]).unwrap();
    let output = Output::new(&cli.global);
    ToolkitFaults::new(Arc::new(cli.global), output)
}

fn delay() -> Map<String, Value> {
    let provider = json!({
        "type": "chaos", "fault": "delay", "latency": "100ms", "netns": "web", "duration": "30s",
    });
    provider.as_object().unwrap().clone()
}

async fn started(faults: &ToolkitFaults) -> Result<Box<dyn Acting>, FaultFailed> {
    let starting = faults.start("slow", &delay());
    tokio::time::timeout(DEADLINE, starting).await.unwrap()
}

async fn ended(acting: &mut Box<dyn Acting>) -> Value {
    tokio::time::timeout(DEADLINE, acting.ended())
        .await
        .unwrap()
}

async fn settled(faults: &ToolkitFaults) {
    tokio::time::timeout(DEADLINE, faults.settled())
        .await
        .unwrap();
}

fn disarmed(agent: &Agent) -> usize {
    let id = Which::Id("delay-3f9a1c".to_owned());
    let calls = agent.calls();
    let is_it = |call: &&Call| **call == Call::Disarm(id.clone());
    calls.iter().filter(is_it).count()
}

#[tokio::test]
async fn it_says_what_acts_and_in_the_end_what_it_hit() {
    let agent = Agent::start(Script::default());
    let faults = faults(&agent);
    let mut acting = started(&faults).await.unwrap();
    let output = acting.output();
    assert_eq!(output["id"], "delay-3f9a1c", "{output}");
    assert_eq!(output["does"], "delay 100 ms egress on 1 target");
    assert_eq!(output["rules"][0]["fault"]["latency_ns"], 100_000_000);
    assert_eq!(
        output["targets"],
        json!([{ "node": null, "pod": null, "name": "web", "netns": "/run/netns/web", "interface": "eth0" }])
    );
    assert_eq!(output["duration_ns"], 30_000_000_000_u64);
    assert!(output["ends_at"].as_str().unwrap().ends_with("+00:00"));
    let told = ended(&mut acting).await;
    assert_eq!(told["outcome"], "completed", "{told}");
    assert_eq!(told["reason"], "its duration has passed");
    assert_eq!(told["end_reason"], "expired");
    assert_eq!(told["totals"]["delayed_packets"], 1234);
    assert_eq!(told["targets"][0]["counters"][0]["matched_packets"], 1234);
    assert_eq!(told["nothing_hit"], false);
    assert_eq!(told["error"], Value::Null);
    assert_eq!(ended(&mut acting).await, told, "the same, asked again");
    assert_eq!(agent.prepared().duration.unwrap().seconds, 30);
    assert!(!agent.prepared().detached);
    settled(&faults).await;
}

#[tokio::test]
async fn it_is_stopped_once_however_often_it_is_told() {
    let agent = Agent::start(Script {
        then: Then::Run,
        ..Script::default()
    });
    let faults = faults(&agent);
    let mut acting = started(&faults).await.unwrap();
    assert_eq!(disarmed(&agent), 0);
    acting.stop();
    acting.stop();
    let told = ended(&mut acting).await;
    assert_eq!(told["outcome"], "stopped", "{told}");
    assert_eq!(told["reason"], "the run stopped it");
    assert_eq!(told["totals"]["matched_packets"], 1234);
    drop(acting);
    settled(&faults).await;
    assert_eq!(disarmed(&agent), 1);
}

#[tokio::test]
async fn dropped_it_ends_and_that_can_be_waited_for() {
    let agent = Agent::start(Script {
        then: Then::Run,
        ..Script::default()
    });
    let faults = faults(&agent);
    drop(started(&faults).await.unwrap());
    settled(&faults).await;
    assert_eq!(disarmed(&agent), 1);
}

#[tokio::test]
async fn dropped_before_it_acts_it_is_taken_back() {
    let agent = Agent::start(Script {
        hang_arm: true,
        ..Script::default()
    });
    let faults = faults(&agent);
    let starting = faults.start("slow", &delay());
    let asked = async {
        while !agent
            .calls()
            .iter()
            .any(|call| matches!(call, Call::Arm(_)))
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        started = starting => panic!("it acts: {}", started.is_ok()),
        () = asked => {}
    }
    settled(&faults).await;
    assert_eq!(disarmed(&agent), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_says_what_the_verb_would() {
    let refused = Status::failed_precondition("there is no network namespace `web`");
    let agent = Agent::start(Script {
        refuse_prepare: Some(refused),
        ..Script::default()
    });
    let FaultFailed(sentence) = started(&faults(&agent)).await.err().unwrap();
    assert!(
        sentence.contains("there is no network namespace `web`"),
        "{sentence}"
    );
    let printed = run(&agent, &["delay", "100ms", "--netns", "web"]).stderr;
    let first = printed
        .lines()
        .find_map(|line| line.strip_prefix("error: "));
    let first = first.unwrap_or_else(|| panic!("{printed}"));
    assert!(sentence.starts_with(first), "{sentence}\n{printed}");
}

#[tokio::test]
async fn what_makes_no_sense_is_said_before_anybody_is_asked() {
    let agent = Agent::start(Script::default());
    let faults = faults(&agent);
    let mut provider = delay();
    provider.insert("latency".to_owned(), json!("soon"));
    let FaultFailed(sentence) = faults.start("slow", &provider).await.err().unwrap();
    assert!(sentence.contains("latency `soon`"), "{sentence}");
    let problem = faults.check(&provider).unwrap_err();
    assert_eq!(problem.key.as_deref(), Some("latency"));
    assert!(agent.calls().is_empty(), "{:?}", agent.calls());
}

#[tokio::test]
async fn that_it_hit_nothing_is_told() {
    let agent = Agent::start(Script {
        hits: Counters::default(),
        ..Script::default()
    });
    let mut acting = started(&faults(&agent)).await.unwrap();
    let told = ended(&mut acting).await;
    assert_eq!(told["outcome"], "nothing_matched", "{told}");
    assert_eq!(told["nothing_hit"], true);
    assert_eq!(told["reason"], "its duration has passed");
    let error = told["error"].as_str().unwrap();
    assert!(error.contains("nothing was hit"), "{error}");
    assert!(error.contains("; hint: "), "{error}");
}

#[tokio::test]
async fn another_end_than_that_of_the_run_is_told_as_such() {
    for (then, outcome, reason) in [
        (
            Then::End(EndReason::Stopped, ""),
            "stopped",
            "somebody else stopped it",
        ),
        (
            Then::End(EndReason::TargetGone, "its target is gone"),
            "ended_early",
            "its target is gone",
        ),
    ] {
        let agent = Agent::start(Script {
            then,
            ..Script::default()
        });
        let mut acting = started(&faults(&agent)).await.unwrap();
        let told = ended(&mut acting).await;
        assert_eq!(told["outcome"], outcome, "{told}");
        let said = told["reason"].as_str().unwrap();
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn an_agent_that_dies_is_told_of() {
    let mut agent = Agent::start(Script {
        then: Then::Run,
        ..Script::default()
    });
    let faults = faults(&agent);
    let mut acting = started(&faults).await.unwrap();
    agent.die();
    let told = ended(&mut acting).await;
    assert_eq!(told["outcome"], "agent_lost", "{told}");
    assert_eq!(told["id"], "delay-3f9a1c");
    assert!(told["error"].is_string(), "{told}");
}
