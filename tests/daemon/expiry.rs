//! Every experiment ends: at its deadline, with its client, at Ctrl-C, and when the agent is told to stop.

use std::{
    os::unix::net::UnixStream,
    process::Stdio,
    time::{Duration, Instant},
};

use chaos_tests::{
    lab::{Family, Output, Process},
    requires,
    stats::median,
    traffic::{StreamSample, UdpProbe, UdpStream},
    wait::wait_until,
};
use nix::sys::signal::Signal;

use crate::scenario::{PATIENCE, Scenario, assert_adds, is_emulated, let_pass, series};

const LATENCY: Duration = Duration::from_millis(100);

/// Half of the latency: neither undisturbed nor delayed traffic comes near it.
const LIMIT: Duration = Duration::from_millis(50);

/// Starts `chaosctl delay` in the foreground, with datagrams to hit, and waits until the agent has seen it hit them: late
/// datagrams alone may be the machine's doing.
fn attached(scenario: &Scenario, options: &str) -> (Process, Instant, UdpStream) {
    let stream = UdpStream::start(&scenario.target, &scenario.peer, Family::V4, 100).unwrap();
    let mut command = scenario.daemon.chaosctl_command().unwrap();
    command.args([
        "delay",
        "100ms",
        "--netns",
        scenario.target.netns_name(),
        "-o",
        "json",
    ]);
    command.args(options.split_whitespace());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let client = Process::spawn(command).unwrap();
    wait_until("the delay acts", PATIENCE, || {
        let experiment = &scenario.ask("list --all")["experiments"][0];
        experiment["totals"]["delayed_packets"].as_u64() > Some(0)
    })
    .unwrap();
    (client, started, stream)
}

/// Whether a datagram took as long as the delay.
fn is_delayed(sample: &StreamSample) -> bool {
    sample.one_way >= Some(LATENCY)
}

/// Waits until traffic is normal again; gives the time since `since` that this took.
fn normal_after(stream: &UdpStream, since: Instant) -> Duration {
    let mut normal = None;
    wait_until("traffic is normal again", PATIENCE, || {
        normal = stream.normal_since(since, LIMIT, Duration::from_millis(100));
        normal.is_some()
    })
    .unwrap();
    normal.unwrap().duration_since(since)
}

#[test]
fn at_its_deadline() {
    requires!(root);
    let mut scenario = Scenario::new("expiry-deadline");
    scenario.give_clsact();
    let (client, started, stream) = attached(&scenario, "--duration 2s");
    let output = Output::collect(client, started, PATIENCE).unwrap();
    let run = output.json().unwrap();
    assert_eq!(
        (
            output.code,
            &run["outcome"],
            &run["experiment"]["end_reason"]
        ),
        (Some(0), &"completed".into(), &"expired".into())
    );
    let longest = Duration::from_secs(if is_emulated() { 10 } else { 3 });
    assert!(
        output.took >= Duration::from_secs(2) && output.took < longest,
        "took {:?}",
        output.took
    );
    let samples = stream.finish(PATIENCE).unwrap();
    let lost: Vec<_> = samples
        .iter()
        .filter(|sample| sample.one_way.is_none())
        .collect();
    // The longest time in which no datagram was quick: the two seconds, however long everything else took, and what a
    // machine that stands still adds at its ends.
    let delayed = samples.chunk_by(|one, next| is_delayed(one) == is_delayed(next));
    let delayed = delayed.filter(|run| is_delayed(&run[0]));
    let acted = delayed.map(|run| run[run.len() - 1].sent - run[0].sent);
    let acted = acted.max().unwrap();
    let sent: Vec<_> = lost
        .iter()
        .map(|sample| sample.sent.saturating_duration_since(started))
        .collect();
    assert!(
        lost.is_empty(),
        "lost: those sent {sent:?} after the start, with a delay of {acted:?}"
    );
    let slack = Duration::from_millis(if is_emulated() { 500 } else { 150 });
    assert!(
        acted.abs_diff(Duration::from_secs(2)) < slack,
        "the delay acted for {acted:?}"
    );
    scenario.take_clsact();
    scenario.leaves_nothing();
}

#[test]
fn without_a_client_too() {
    requires!(root);
    let scenario = Scenario::new("expiry-detached");
    let stream = UdpStream::start(&scenario.target, &scenario.peer, Family::V4, 100).unwrap();
    let answer = scenario.ask("delay 100ms --netns {target} --duration 1s --detach");
    let ended = scenario.ended(answer["experiment"]["id"].as_str().unwrap());
    assert_eq!(ended["end_reason"], "expired", "{ended}");
    assert!(
        ended["totals"]["delayed_packets"].as_u64() > Some(0),
        "{ended}"
    );
    normal_after(&stream, Instant::now());
}

#[test]
fn at_ctrl_c() {
    requires!(root);
    let mut scenario = Scenario::new("expiry-interrupt");
    let (mut client, started, stream) = attached(&scenario, "--duration 10m");
    client.signal(Signal::SIGINT).unwrap();
    let output = Output::collect(client, started, PATIENCE).unwrap();
    let stopped = Instant::now();
    let run = output.json().unwrap();
    assert_eq!(
        (&run["outcome"], &run["experiment"]["end_reason"]),
        (&"stopped".into(), &"stopped".into())
    );
    let normal = normal_after(&stream, stopped);
    // A delay that goes on hits all that are sent.
    let after = || -> Vec<Duration> {
        let samples = stream.samples().into_iter();
        let after = samples.filter(|sample| sample.sent >= stopped).take(50);
        after.filter_map(|sample| sample.one_way).collect()
    };
    wait_until("50 have arrived", PATIENCE, || after().len() == 50).unwrap();
    let after = after();
    assert!(
        median(&after) < LIMIT && normal < LATENCY,
        "a delay after the command has returned: {after:?}"
    );
    drop(stream);
    scenario.leaves_nothing();
}

#[test]
fn when_its_client_is_gone() {
    requires!(root);
    let scenario = Scenario::new("expiry-client");
    let (mut client, _, stream) = attached(&scenario, "--duration 10m --grace 1s");
    let id = scenario.ask("list")["experiments"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let killed = Instant::now();
    client.signal(Signal::SIGKILL).unwrap();
    let ended = scenario.ended(&id);
    assert_eq!(ended["end_reason"], "client_gone", "{ended}");
    let took = killed.elapsed();
    let longest = Duration::from_secs(if is_emulated() { 10 } else { 2 });
    assert!(
        took >= Duration::from_millis(900) && took < longest,
        "ended {took:?} after its client"
    );
    normal_after(&stream, Instant::now());
}

#[test]
fn when_the_agent_is_told_to_stop() {
    requires!(root);
    let mut scenario = Scenario::new("expiry-sigterm");
    scenario.give_clsact();
    let stream = UdpStream::start(&scenario.target, &scenario.peer, Family::V4, 100).unwrap();
    let delay = scenario.start("delay 100ms");
    scenario.start("loss 50% --proto tcp");
    assert_eq!(scenario.status(&delay)["state"], "armed");
    let_pass(LATENCY * 3);
    let status = scenario.daemon.stop().unwrap();
    assert!(status.success(), "chaos-daemon ended with {status}");
    normal_after(&stream, Instant::now());
    let lost = stream
        .finish(PATIENCE)
        .unwrap()
        .iter()
        .filter(|sample| sample.one_way.is_none())
        .count();
    assert_eq!(lost, 0, "datagrams lost when the agent stopped");
    scenario.take_clsact();
    scenario.nothing_is_left();
}

#[test]
fn who_watches_hears_that_the_agent_stopped() {
    requires!(root);
    let mut scenario = Scenario::new("expiry-told");
    let (client, started, _stream) = attached(&scenario, "--duration 10m");
    scenario.leaves_nothing();
    let output = Output::collect(client, started, PATIENCE).unwrap();
    let run = output.json().unwrap();
    assert_eq!(
        (
            output.code,
            &run["outcome"],
            &run["experiment"]["end_reason"]
        ),
        (Some(1), &"ended_early".into(), &"agent_stopped".into()),
        "{output:?}"
    );
    assert!(run["experiment"]["totals"]["delayed_packets"].as_u64() > Some(0));
}

#[test]
fn a_client_that_says_nothing_does_not_keep_the_agent() {
    requires!(root);
    let mut scenario = Scenario::new("expiry-silent");
    let _silent = UnixStream::connect(scenario.daemon.socket()).unwrap();
    let told = Instant::now();
    scenario.leaves_nothing();
    let took = told.elapsed();
    assert!(took < PATIENCE, "it took {took:?}");
}

#[test]
fn nothing_was_hit() {
    requires!(root);
    let scenario = Scenario::new("expiry-nothing");
    let measure = || {
        let probe = UdpProbe {
            series: series(100, 200),
            ..UdpProbe::default()
        };
        let report = probe.run(&scenario.target, &scenario.peer).unwrap();
        assert_eq!(report.unanswered(), Vec::<usize>::new());
        [report.rtts()]
    };
    let before = measure();
    let output = scenario
        .chaosctl("loss 10% --netns {target} --duration 1s --port 9999 --proto tcp -o json");
    assert_eq!(output.code, Some(3), "{output:?}");
    assert_eq!(output.json().unwrap()["outcome"], "nothing_matched");
    let nothing = ([Duration::ZERO], 1);
    assert_adds("after it", &before, nothing, || (measure(), ()));
}
