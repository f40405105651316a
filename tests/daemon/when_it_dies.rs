//! An agent that is killed, or hangs, harms nobody for long: at twenty random moments each, traffic turns normal in
//! time, no packet is lost that was only to be delayed, and nothing is left.

use std::time::{Duration, Instant};

use chaos_tests::{
    lab::{Family, Host},
    random::Random,
    requires,
    traffic::UdpStream,
    wait::{wait_for, wait_until},
};
use nix::sys::signal::Signal;

use crate::scenario::{PATIENCE, Scenario, is_emulated, let_pass, rate};

/// How often, where everything takes fifteen times as long.
const ROUNDS_EMULATED: usize = 4;

/// Twenty, or fewer in an emulated machine.
fn rounds(emulated: usize) -> usize {
    if is_emulated() { emulated } else { 20 }
}

/// The moment is up to this long after the experiment was armed: the first packets are held, some were let go.
const MOMENTS: Duration = Duration::from_millis(400);

/// What a datagram that is not delayed never takes, and one that is always does.
fn limit() -> Duration {
    Duration::from_millis(if is_emulated() { 80 } else { 50 })
}

/// Ends the agent by `signal` at random moments of a delay, on the way to one peer, and of a loss, on the way to another;
/// and looks at what happens then.
fn at_random_moments(mut scenario: Scenario, signal: Signal, rounds: usize) {
    let mut random = Random::new();
    eprintln!("CHAOS_TEST_SEED={}", random.seed());
    let other = scenario.lab.host("other").unwrap();
    let to = |host: &Host| format!("--proto udp --peer {}", host.address(Family::V4));
    let (delay_it, lose_it) = (
        format!("delay 100ms {}", to(&scenario.peer)),
        format!("loss 100% {}", to(&other)),
    );
    let has_tcx = scenario.ask("doctor")["agent"]["attach_mode"] == "tcx";
    // A hung agent's fault ends by its stale sign of life, everywhere; a killed one's with its link, where there is tcx.
    let in_time = Duration::from_secs(if signal == Signal::SIGKILL && has_tcx {
        1
    } else {
        4
    });
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let stream = |to| UdpStream::start(&scenario.target, to, Family::V4, rate(200)).unwrap();
        if !has_tcx {
            scenario.give_clsact();
        }
        let (delayed, dropped) = (stream(&scenario.peer), stream(&other));
        scenario.start(&lose_it);
        scenario.start(&delay_it);
        let moment = random.below(MOMENTS);
        let_pass(moment);
        scenario.daemon.signal(signal).unwrap();
        let signalled = Instant::now();
        for (fault, stream) in [("delay", &delayed), ("loss", &dropped)] {
            let what = format!(
                "round {round}: traffic is normal {in_time:?} after {signal} at {moment:?} of a {fault}"
            );
            let normal = wait_for(&what, in_time + Duration::from_secs(2), || {
                stream.normal_since(signalled, limit(), Duration::from_millis(100))
            })
            .unwrap();
            let took = normal.duration_since(signalled);
            longest = longest.max(took);
            assert!(took <= in_time, "{what}: it took {took:?}");
        }
        drop(dropped);
        let samples = delayed.finish(PATIENCE).unwrap();
        let missing = samples
            .iter()
            .filter(|sample| sample.one_way.is_none())
            .count();
        assert_eq!(
            missing, 0,
            "round {round}: datagrams lost that were to be delayed, after {signal} at {moment:?}"
        );
        clean_up(&mut scenario, signal, round);
    }
    eprintln!("{rounds} times {signal}: normal after {longest:?} at most");
}

/// Removes what is left, in turn by `chaos-daemon cleanup` and by a restart, and starts over.
fn clean_up(scenario: &mut Scenario, signal: Signal, round: usize) {
    if signal == Signal::SIGSTOP && round.is_multiple_of(4) {
        // It goes on: it must notice that its experiment was ended without it, and serve.
        scenario.daemon.signal(Signal::SIGCONT).unwrap();
        let experiments = scenario.ask("list --all")["experiments"].clone();
        for experiment in experiments.as_array().unwrap().iter().take(2) {
            let id = experiment["id"].as_str().unwrap();
            assert_eq!(scenario.ended(id)["end_reason"], "agent_stalled");
        }
        return;
    }
    if signal != Signal::SIGKILL {
        scenario.daemon.signal(Signal::SIGKILL).unwrap();
    }
    if round.is_multiple_of(2) {
        // Before anybody has asked how it ended, as in a container without an init process.
        scenario.daemon.cleanup().unwrap().success().unwrap();
        scenario.nothing_is_left();
        scenario.daemon.kill().unwrap();
    } else {
        scenario.daemon.kill().unwrap();
        scenario.daemon.start_again().unwrap();
        let experiments = scenario.ask("list")["experiments"].clone();
        assert_eq!(
            experiments.as_array().map(Vec::len),
            Some(0),
            "an experiment came back: {experiments}"
        );
        scenario.leaves_nothing();
    }
    scenario.daemon.start_again().unwrap();
}

#[test]
fn killed() {
    requires!(root);
    let scenario = Scenario::new("killed");
    at_random_moments(scenario, Signal::SIGKILL, rounds(ROUNDS_EMULATED));
}

/// Filters in clsact stay when the agent dies; links go with it. Where the kernel has no tcx, as in the emulated machine,
/// this is the same again, so once is enough.
#[test]
fn killed_with_filters_in_clsact() {
    requires!(root);
    let scenario = Scenario::with_options("killed-clsact", &["--attach-mode", "clsact"]);
    at_random_moments(scenario, Signal::SIGKILL, rounds(1));
}

#[test]
fn hung() {
    requires!(root);
    let scenario = Scenario::new("hung");
    at_random_moments(scenario, Signal::SIGSTOP, rounds(ROUNDS_EMULATED));
}

#[test]
fn what_is_held_for_long_outlives_the_agent_and_its_successor() {
    requires!(root);
    let mut scenario = Scenario::new("killed-held");
    let stream = UdpStream::start(&scenario.target, &scenario.peer, Family::V4, rate(200)).unwrap();
    scenario.start("delay 3s");
    let_pass(Duration::from_secs(1));
    scenario.daemon.kill().unwrap();
    let killed = Instant::now();
    scenario.daemon.start_again().unwrap();
    wait_until("what was held has arrived", PATIENCE, || {
        let samples = stream.samples();
        let mut held = samples.iter().filter(|sample| sample.sent < killed);
        held.all(|sample| sample.one_way.is_some())
    })
    .unwrap();
    let samples = stream.finish(PATIENCE).unwrap();
    let held = |time: Option<Duration>| time.is_some_and(|time| time > Duration::from_secs(2));
    let lost = samples.iter().filter(|sample| sample.one_way.is_none());
    assert_eq!(lost.count(), 0, "lost with the agent or its successor");
    assert!(samples.iter().any(|sample| held(sample.one_way)));
    scenario.leaves_nothing();
}

#[test]
fn cleanup_leaves_an_agent_that_runs_alone() {
    requires!(root);
    let mut scenario = Scenario::new("cleanup-alive");
    let id = scenario.start("loss 100% --proto udp");
    scenario.daemon.cleanup().unwrap().success().unwrap();
    assert_eq!(scenario.status(&id)["state"], "armed");
    scenario.leaves_nothing();
}
