//! Updates of an experiment that runs: nobody sees it change but by what it does.

use std::time::{Duration, Instant};

use chaos_tests::{
    lab::Family,
    requires,
    stats::median,
    traffic::{StreamSample, UdpStream},
    wait::wait_until,
};

use crate::scenario::{PATIENCE, Scenario, is_emulated, let_pass, rate, tolerances};

/// What was sent from `from` to `to` took, and none of it was lost.
fn times(samples: &[StreamSample], from: Instant, to: Instant) -> Vec<Duration> {
    let sent = samples.iter();
    let sent = sent.filter(|sample| (from..to).contains(&sample.sent));
    sent.map(|sample| sample.one_way.expect("none is lost"))
        .collect()
}

/// How long each form of a delay acts: of an emulated machine's, which stands still now and then, more.
fn form() -> Duration {
    Duration::from_millis(if is_emulated() { 3000 } else { 700 })
}

/// A time before which everything was sent that says so: the sender may have stood still with a datagram in its hand.
fn all_sent(stream: &UdpStream) -> Instant {
    let now = Instant::now();
    let is_after = || stream.samples().last().map(|sample| sample.sent) >= Some(now);
    wait_until("the stream goes on", PATIENCE, is_after).unwrap();
    now
}

#[test]
fn a_delay_grows_and_shrinks_in_order() {
    requires!(root);
    let mut scenario = Scenario::new("update-delay");
    let stream =
        || UdpStream::start(&scenario.target, &scenario.peer, Family::V4, rate(200)).unwrap();
    // A stream of its own: a kernel without tcx loses some of what is sent while the agent attaches.
    let undelayed = stream();
    let_pass(form());
    let undelayed = undelayed.finish(PATIENCE).unwrap();
    let id = scenario.start("delay 100ms --proto udp");
    let stream = stream();
    let started = Instant::now();
    let mut asked = Vec::new();
    for change in [
        "delay 200ms",
        "delay 20ms",
        "delay 60ms --jitter 30ms",
        "delay 30ms",
    ] {
        let_pass(form());
        let before = all_sent(&stream);
        scenario.ask(&format!("update {id} {change}"));
        asked.push((before, Instant::now()));
    }
    let_pass(form());
    let stopped = all_sent(&stream);
    let experiment = scenario.stop(&id);
    let samples = stream.finish(PATIENCE).unwrap();
    let arrivals: Vec<Instant> = samples
        .iter()
        .filter(|sample| sample.sent < stopped)
        .map(|sample| sample.sent + sample.one_way.expect("none is lost"))
        .collect();
    assert!(
        arrivals.is_sorted(),
        "an update lets packets overtake others"
    );
    let before = times(&undelayed, undelayed[0].sent, started);
    let late = median(&before) + tolerances().1;
    let whole = |from, to, expected: u64| {
        let times = times(&samples, from, to);
        let (expected, middle) = (Duration::from_millis(expected), median(&times));
        assert!(
            middle >= expected && middle <= expected + late,
            "expected {expected:?}, median {middle:?} of {}",
            times.len()
        );
        assert!(
            times.iter().all(|time| *time >= expected),
            "one was hit by no rule"
        );
    };
    whole(started, asked[0].0, 100);
    whole(asked[0].1, asked[1].0, 200);
    // What the longer delay holds goes first.
    whole(asked[1].1 + Duration::from_millis(250), asked[2].0, 20);
    // Uniform from 30 to 90 ms, and not before the one in front.
    let jitter = times(&samples, asked[2].1, asked[3].0);
    assert!(jitter.iter().all(|time| *time >= Duration::from_millis(30)));
    whole(asked[3].1 + Duration::from_millis(150), stopped, 30);
    let sent = samples.iter();
    let sent = sent.filter(|sample| (started..stopped).contains(&sample.sent));
    let (sent, totals) = (sent.count() as u64, &experiment["totals"]);
    // One more may have been sent before the stop took effect.
    assert!(
        totals["delayed_packets"].as_u64() >= Some(sent),
        "{sent} sent, {experiment}"
    );
    scenario.leaves_nothing();
}

#[test]
fn not_one_packet_passes_between_two_forms_of_a_loss() {
    requires!(root);
    let mut scenario = Scenario::new("update-loss");
    let id = scenario.start("loss 100% --proto udp");
    let stream =
        UdpStream::start(&scenario.target, &scenario.peer, Family::V4, rate(2000)).unwrap();
    for round in 0..10 {
        let peer = if round % 2 == 0 {
            "--peer 0.0.0.0/0"
        } else {
            "--proto udp"
        };
        scenario.ask(&format!("update {id} loss 100% {peer}"));
    }
    let stopped = all_sent(&stream);
    let experiment = scenario.stop(&id);
    let samples = stream.finish(Duration::from_secs(2)).unwrap();
    let during: Vec<_> = samples
        .iter()
        .filter(|sample| sample.sent < stopped)
        .collect();
    let passed = during.iter().filter(|sample| sample.one_way.is_some());
    assert_eq!(passed.count(), 0, "of {} sent", during.len());
    assert!(!during.is_empty());
    assert!(
        experiment["totals"]["dropped_packets"].as_u64() >= Some(during.len() as u64),
        "counters do not go on: {experiment}"
    );
    scenario.leaves_nothing();
}

#[test]
fn a_new_duration_counts_from_the_update() {
    requires!(root);
    let scenario = Scenario::new("update-duration");
    let id = scenario.start("loss 100% --proto udp");
    let answer = scenario.ask(&format!("update {id} --duration 2s"));
    let left = answer["experiment"]["remaining_ns"].as_u64();
    assert!(left > Some(0) && left <= Some(2_000_000_000), "{answer}");
    assert_eq!(scenario.ended(&id)["end_reason"], "expired");
}

#[test]
fn more_time_reaches_the_kernel() {
    requires!(root);
    let scenario = Scenario::new("update-longer");
    // The second chaosctl must have done its work before the first one's time is over.
    let seconds = if is_emulated() { 6 } else { 2 };
    let answer = scenario.ask(&format!(
        "loss 100% --proto udp --netns {{target}} --duration {seconds}s --detach"
    ));
    let armed = Instant::now();
    let id = answer["experiment"]["id"].as_str().unwrap();
    scenario.ask(&format!("update {id} --duration 10m"));
    // Past the deadline that the kernel was given first.
    let over = armed + Duration::from_secs(seconds + 1);
    let_pass(over.saturating_duration_since(Instant::now()));
    let stream = UdpStream::start(&scenario.target, &scenario.peer, Family::V4, rate(200)).unwrap();
    let_pass(Duration::from_millis(500));
    let samples = stream.finish(Duration::from_secs(1)).unwrap();
    let passed = samples.iter().filter(|sample| sample.one_way.is_some());
    assert_eq!((passed.count(), samples.is_empty()), (0, false));
    scenario.stop(id);
}

#[test]
fn what_is_known_of_connections_stays_known() {
    requires!(root);
    let scenario = Scenario::new("update-connections");
    let id = scenario.start("loss --first 3 --proto udp");
    let stream = UdpStream::start(&scenario.target, &scenario.peer, Family::V4, rate(200)).unwrap();
    let arrived = || {
        let samples = stream.samples();
        let arrived = samples.iter().filter(|sample| sample.one_way.is_some());
        arrived.count() > 5
    };
    wait_until("more than the first four are over", PATIENCE, arrived).unwrap();
    scenario.ask(&format!("update {id} loss --first 4"));
    let_pass(Duration::from_millis(500));
    let samples = stream.finish(Duration::from_secs(1)).unwrap();
    let lost: Vec<bool> = samples
        .iter()
        .map(|sample| sample.one_way.is_none())
        .collect();
    assert_eq!(lost.iter().position(|lost| !lost), Some(3));
    assert_eq!(lost.iter().filter(|lost| **lost).count(), 3, "forgotten");
    scenario.stop(&id);
}
