//! An agent that dies, or hangs, with many connections through a door: new ones get to the application at once, and nothing
//! else in the pod notices.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use chaos_tests::{
    lab::{Family, Process},
    requires, services,
    traffic::{Series, TcpServer, tcp_rtt},
    wait::wait_for,
};
use nix::sys::signal::Signal;

use crate::{
    connections::{Asks, as_many_files_as_may_be, ask_once, open},
    scenario::{PATIENCE, Scenario, is_emulated},
};

/// Connections through the door.
const MANY: usize = 1_000;
/// The same, where everything takes fifteen times as long.
const MANY_EMULATED: usize = 200;
/// New connections afterwards, one after the other: each must get through, the first time.
const AFTERWARDS: usize = 100;
/// After which the kernel gives up on an agent that gives no sign of life.
const LIVENESS: Duration = Duration::from_secs(3);

/// A pod with connections of all kinds. Fields are dropped in this order.
struct Pod {
    scenario: Scenario,
    _provider: Process,
    /// Another port of it.
    other: TcpServer,
    to: SocketAddr,
    /// Was open before the experiment, and left alone.
    old: Vec<Asks>,
    through: Vec<Asks>,
}

fn pod(name: &str) -> Pod {
    as_many_files_as_may_be();
    let scenario = Scenario::new(name);
    let provider = services::provider(&scenario.target).unwrap();
    let other = TcpServer::echo(&scenario.target, Family::V4, 0).unwrap();
    let to = scenario.target.socket_address(Family::V4, services::PORT);
    let old = open(&scenario.peer, to, 3);
    let id = scenario.start("http --port 3000 --delay 1ms --keep-existing");
    let many = if is_emulated() { MANY_EMULATED } else { MANY };
    let through = open(&scenario.peer, to, many);
    let status = scenario.status(&id);
    let counted = &status["totals"]["requests"]["open_connections"];
    assert_eq!(counted.as_u64(), u64::try_from(many).ok(), "{status}");
    Pod {
        scenario,
        _provider: provider,
        other,
        to,
        old,
        through,
    }
}

impl Pod {
    /// What has nothing to do with the door goes on.
    fn others_go_on(&mut self) {
        for old in &mut self.old {
            assert_eq!(old.ask(PATIENCE).unwrap(), 200, "it was open before");
        }
        let series = Series::new(20, 1_000);
        let answers = tcp_rtt(&self.scenario.peer, &self.other, series).unwrap();
        assert_eq!(answers.count(), 20, "to another port");
    }

    /// Each new connection gets to the application, and the first time.
    fn new_ones_get_through(&self) {
        for number in 0..AFTERWARDS {
            let status = ask_once(&self.scenario.peer, self.to, PATIENCE);
            assert_eq!(status.unwrap(), 200, "new connection {number}");
        }
    }
}

#[test]
fn killed_with_a_thousand_connections() {
    requires!(root);
    let mut pod = pod("relay-killed");
    pod.scenario.daemon.signal(Signal::SIGKILL).unwrap();
    let killed = Instant::now();
    pod.scenario.daemon.kill().unwrap();
    eprintln!("the kernel took {:?} to end it", killed.elapsed());
    pod.new_ones_get_through();
    pod.others_go_on();
    for connection in &mut pod.through {
        assert!(
            connection.has_ended(PATIENCE),
            "its client waits for nobody"
        );
    }
    pod.scenario.daemon.cleanup().unwrap().success().unwrap();
    pod.others_go_on();
    pod.scenario.nothing_is_left();
}

#[test]
fn hung_with_a_thousand_connections() {
    requires!(root);
    let mut pod = pod("relay-hung");
    pod.scenario.daemon.signal(Signal::SIGSTOP).unwrap();
    let stopped = Instant::now();
    let attempt = Duration::from_millis(200);
    wait_for("a new connection is answered", PATIENCE, || {
        ask_once(&pod.scenario.peer, pod.to, attempt).ok()
    })
    .unwrap();
    let took = stopped.elapsed();
    eprintln!("new connections were answered {took:?} after the agent hung");
    let slack = if is_emulated() { 3 } else { 1 };
    assert!(took < LIVENESS + Duration::from_secs(slack), "{took:?}");
    pod.new_ones_get_through();
    pod.others_go_on();
    // It finds that it was away, and ends what it had.
    pod.scenario.daemon.signal(Signal::SIGCONT).unwrap();
    let ended = wait_for("the experiment has ended", PATIENCE, || {
        let list = pod.scenario.ask("list --all");
        (list["experiments"][0]["state"] == "ended").then(|| list["experiments"][0].clone())
    });
    eprintln!("{}", ended.unwrap()["end_reason"]);
    pod.new_ones_get_through();
    pod.others_go_on();
    pod.scenario.leaves_nothing();
}
