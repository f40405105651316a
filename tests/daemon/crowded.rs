//! An agent that may open no more files: new connections go straight to the application, nobody waits, and it is told.

use std::time::Duration;

use chaos_tests::{
    daemon::Daemon,
    lab::{Family, Process},
    requires, services,
    wait::wait_for,
};
use nix::{sys::signal::Signal, time::ClockId, unistd::Pid};
use serde_json::Value;

use crate::{
    connections::{Asks, ask_all, ask_once, connect_all, open},
    scenario::{ATTEMPTS, PATIENCE, Scenario, is_emulated, let_pass},
};

/// Files that the agent may open: some for itself, and two for each connection.
const FILES: u32 = 400;
/// More connections than there can be.
const MORE: usize = 300;
/// Of one processor, of the time in which nothing happens.
const IDLE: f64 = 0.2;

fn crowded(name: &str) -> (Scenario, Process, String) {
    let scenario = Scenario::with_daemon(name, |lab, _| Daemon::start_with_files(lab, FILES));
    let provider = services::provider(&scenario.target).unwrap();
    let id = scenario.start("http --port 3000 --delay 1ms");
    (scenario, provider, id)
}

fn note(status: &Value) -> &str {
    status["targets"][0]["note"].as_str().unwrap_or_default()
}

fn through(status: &Value) -> u64 {
    let requests = &status["totals"]["requests"];
    requests["connections"].as_u64().unwrap()
}

fn told(scenario: &Scenario, id: &str, what: &str) -> Value {
    let told = wait_for("it is told", PATIENCE, || {
        Some(scenario.status(id)).filter(|status| note(status).starts_with(what))
    });
    told.unwrap_or_else(|error| panic!("{error}: {}", scenario.status(id)))
}

/// Asserts that the agent does nothing while nobody asks anything of it. When the machine stands still, that counts for whom
/// it runs just then: it is looked at more than once, and who spins does so each time.
fn assert_idle(pid: u32) {
    let is_idle = |_| {
        let share = share_of_processor(pid);
        eprintln!("{share:.3} of a processor");
        share < IDLE
    };
    assert!(is_emulated() || (0..ATTEMPTS).any(is_idle), "it is busy");
}

/// Processor time of the agent, as a share of one processor.
fn share_of_processor(pid: u32) -> f64 {
    // Of the whole process: what threads took that have ended since stays.
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.try_into().unwrap())).unwrap();
    let spent = || Duration::from(clock.now().unwrap());
    let before = spent();
    let time = Duration::from_secs(1);
    let_pass(time);
    let now = spent();
    now.checked_sub(before).unwrap().div_duration_f64(time)
}

#[test]
fn new_connections_go_straight_while_there_is_no_room() {
    requires!(root, "prlimit");
    let (mut scenario, _provider, id) = crowded("crowded");
    let to = scenario.target.socket_address(Family::V4, services::PORT);
    // All are answered at once, and none more than once.
    let connections = open(&scenario.peer, to, MORE);
    let status = told(&scenario, &id, "the agent has as many connections open");
    let taken = through(&status);
    eprintln!("{taken} of {MORE} went through");
    assert!((20..=150).contains(&taken), "{status}");
    assert_idle(scenario.daemon.pid().unwrap());
    assert!(scenario.daemon.log().contains("hardly more files"));
    drop(connections);
    let status = told(&scenario, &id, "for a while");
    assert_eq!(through(&status), taken, "while there was no room");
    assert_eq!(ask_once(&scenario.peer, to, PATIENCE).unwrap(), 200);
    assert_eq!(through(&scenario.status(&id)), taken + 1, "there is room");
    scenario.stop(&id);
    scenario.leaves_nothing();
}

/// More come at once than there is room for, before anybody can let them by.
#[test]
fn those_who_wait_while_there_is_no_room_are_told() {
    requires!(root, "prlimit");
    let (mut scenario, _provider, id) = crowded("crowded-at-once");
    let to = scenario.target.socket_address(Family::V4, services::PORT);
    scenario.daemon.signal(Signal::SIGSTOP).unwrap();
    let mut connections: Vec<Asks> = connect_all(&scenario.peer, to, MORE);
    scenario.daemon.signal(Signal::SIGCONT).unwrap();
    let results = ask_all(&mut connections, PATIENCE);
    let answered = results.iter().filter(|it| it.is_ok()).count();
    let hung = results.iter().filter_map(|it| it.as_ref().err());
    let hung: Vec<_> = hung
        .filter(|error| {
            let kind = error.kind();
            kind == std::io::ErrorKind::WouldBlock || kind == std::io::ErrorKind::TimedOut
        })
        .collect();
    eprintln!("{answered} of {MORE} were answered, and the others were told");
    assert!(hung.is_empty(), "{} waited for nothing", hung.len());
    assert!((20..=200).contains(&answered), "{answered}");
    // Whoever comes again gets there, the first time, and stays.
    let again = open(&scenario.peer, to, MORE - answered);
    told(&scenario, &id, "the agent has as many connections open");
    assert_idle(scenario.daemon.pid().unwrap());
    drop((connections, again));
    scenario.stop(&id);
    scenario.leaves_nothing();
}
