//! A run that a program steers, and that hands its result back instead of printing it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos_ctl::client::{Address, Tls};
use chaos_ctl::cluster::Scene;
use chaos_ctl::error::ErrorKind;
use chaos_ctl::experiment::{self, Asked, Direct, Hand, Steer};
use chaos_ctl::output::Output;
use chaos_ctl::output::sink::{Said, Sink};
use chaos_ctl::output::whole::Whole;
use chaos_proto::v1::{Counters, PrepareRequest, Rule};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::agent::{Agent, Call, DEADLINE};
use crate::script::{Script, Then};

#[derive(Debug, Default)]
struct Kept {
    armed: Mutex<Vec<String>>,
    results: Mutex<Vec<Value>>,
    said: Mutex<Vec<(Said, String)>>,
}

impl Sink for Kept {
    fn armed(&self, whole: &Whole) {
        let id = whole.experiment.id.clone();
        self.armed.lock().unwrap().push(id);
    }

    fn result(&self, json: Value, table: String) {
        assert!(table.starts_with("TARGET"), "{table}");
        self.results.lock().unwrap().push(json);
    }

    fn said(&self, how: Said, line: &str) {
        self.said.lock().unwrap().push((how, line.to_owned()));
    }
}

type Done = Result<(), Option<ErrorKind>>;

/// On another task, as a server would run it.
fn start(agent: &Agent, steer: Steer) -> (Arc<Kept>, JoinHandle<Done>) {
    let kept = Arc::new(Kept::default());
    let direct = Direct {
        address: Address::Socket(agent.socket()),
        tls: Tls::default(),
        token: None,
    };
    let asked = Asked::of_one(
        direct,
        PrepareRequest {
            rules: vec![Rule::default()],
            duration: Duration::from_secs(30).try_into().ok(),
            ..PrepareRequest::default()
        },
    );
    let sink = kept.clone();
    let run = tokio::spawn(async move {
        let done = experiment::run(asked, steer, Output::to_sink(&*sink)).await;
        done.map_err(|error| Some(error.kind))
    });
    (kept, run)
}

async fn finish(run: JoinHandle<Done>) -> Done {
    tokio::time::timeout(DEADLINE, run).await.unwrap().unwrap()
}

fn outcome(kept: &Kept) -> Value {
    let results = kept.results.lock().unwrap();
    assert_eq!(results.len(), 1, "{results:?}");
    results[0]["outcome"].clone()
}

#[tokio::test]
async fn the_result_is_handed_back() {
    let agent = Agent::start(Script::default());
    let (_hand, steer) = Steer::by_hand();
    let (kept, run) = start(&agent, steer);
    assert_eq!(finish(run).await, Ok(()));
    assert_eq!(outcome(&kept), "completed");
    let totals = kept.results.lock().unwrap()[0]["experiment"]["totals"].clone();
    assert_eq!(totals["matched_packets"], 1234);
    assert_eq!(kept.armed.lock().unwrap()[..], ["delay-3f9a1c"]);
}

#[tokio::test]
async fn a_result_comes_also_where_the_run_fails() {
    let agent = Agent::start(Script {
        hits: Counters::default(),
        ..Script::default()
    });
    let (_hand, steer) = Steer::by_hand();
    let (kept, run) = start(&agent, steer);
    assert_eq!(finish(run).await, Err(Some(ErrorKind::NothingHit)));
    assert_eq!(outcome(&kept), "nothing_matched");
}

#[tokio::test]
async fn what_is_held_is_in_place_and_acts_when_told() {
    let agent = Agent::start(Script {
        then: Then::Run,
        ..Script::default()
    });
    let armed = || {
        agent
            .calls()
            .contains(&Call::Arm("delay-3f9a1c".to_owned()))
    };
    let (mut hand, steer) = Steer::held();
    let (kept, run) = start(&agent, steer);
    hand.ready().await;
    assert!(!armed());
    hand.begin();
    let said = || kept.armed.lock().unwrap().len();
    tokio::time::timeout(DEADLINE, async {
        while said() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(armed());
    hand.stop();
    assert_eq!(finish(run).await, Ok(()));
    assert_eq!(outcome(&kept), "stopped");
    let said = kept.said.lock().unwrap();
    assert!(said.contains(&(Said::Note, "stopping …".to_owned())));
}

#[tokio::test]
async fn a_hand_that_lets_go_ends_the_run() {
    let agent = Agent::start(Script {
        then: Then::Run,
        ..Script::default()
    });
    let held: (Hand, Steer) = Steer::held();
    let (mut hand, steer) = held;
    let (_kept, run) = start(&agent, steer);
    hand.ready().await;
    drop(hand);
    // It had hit something by then, as far as the scripted agent is asked.
    let _ = finish(run).await;
    agent.wait_for(|call| matches!(call, Call::Disarm(_)));
    assert!(
        !agent
            .calls()
            .iter()
            .any(|call| matches!(call, Call::Arm(_)))
    );
}

/// Compiles, or a server could not run experiments of a cluster.
#[test]
fn a_run_goes_from_thread_to_thread() {
    let _ = |scene: Scene, steer: Steer, kept: &'static Kept| {
        let run = experiment::run_in_cluster(scene, None, steer, Output::to_sink(kept));
        tokio::spawn(run);
    };
}
