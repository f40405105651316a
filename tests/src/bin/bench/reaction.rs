//! How fast a fault acts and ends: from the moment that `chaosctl` is called to the first packet that is affected, and
//! from the moment that `chaosctl stop` has returned to the last.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use chaos_tests::{
    daemon::Daemon,
    lab::{Family, Host, Lab},
    stats::percentile,
    traffic::{StreamSample, UdpStream},
};
use serde_json::{Value, json};

use super::figure::{Figure, Goal, report};

/// Longer than a datagram takes by itself, also on a busy machine.
const LATENCY: Duration = Duration::from_millis(60);
const LOSS: &[&str; 2] = &["loss", "100%"];
/// Datagrams a second.
const RATE: u32 = 1000;

#[derive(clap::Args)]
pub(super) struct Options {
    /// How often an experiment is started and stopped
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How often one on many targets is
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds_of_many: u32,
    /// How many those are
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=240))]
    targets: u32,
}

/// Times of all rounds.
#[derive(Default)]
struct Times {
    first: Vec<Duration>,
    chaosctl: Vec<Duration>,
    /// Milliseconds after the stop had returned; below 0: before.
    last: Vec<f64>,
    /// Of rounds in which the experiment did not come about.
    errors: Vec<String>,
}

pub(super) fn measure(options: &Options) -> Result<Value> {
    let lab = Lab::new("bench")?;
    let receiver = lab.host("receiver")?;
    let mut targets = Vec::new();
    for number in 1..=options.targets {
        targets.push(lab.host(&format!("target-{number}"))?);
    }
    let mut daemon = Daemon::start_with_service(&lab, "all", &targets)?;
    let engine = daemon
        .chaosctl(&["doctor", "-o", "json"])?
        .success()?
        .json()?["agent"]["line_engine"]
        .as_str()
        .context("this kernel cannot delay")?
        .to_owned();
    let (one, last) = (&targets[0], &targets[targets.len() - 1]);
    let alone = &["--netns", one.netns_name()];
    // The one that is prepared last may be any: look at both ends.
    let ends = [one, last];
    let all = &["--svc", "all"];
    let delay = &["delay", &format!("{}ms", LATENCY.as_millis())];
    let (rounds, many) = (options.rounds, options.rounds_of_many);
    let targets = format!("{} targets", options.targets);
    let limits = (Goal::AtMost(30.0), Goal::AtMost(100.0));
    let limits_of_many = (Goal::None, Goal::AtMost(300.0));
    let cases = [
        (
            "1 target, delay".to_owned(),
            rounds,
            &ends[..1],
            delay,
            &alone[..],
            limits,
        ),
        (
            "1 target, loss".to_owned(),
            rounds,
            &ends[..1],
            LOSS,
            &alone[..],
            limits,
        ),
        (
            format!("{targets}, loss"),
            many,
            &ends[..],
            LOSS,
            &all[..],
            limits_of_many,
        ),
        (
            format!("{targets}, delay"),
            many,
            &ends[..],
            delay,
            &all[..],
            limits_of_many,
        ),
    ];
    let mut measured = Vec::new();
    for (name, rounds, watched, fault, selector, goals) in cases {
        let mut times = Times::default();
        for _ in 0..rounds {
            match round(&daemon, &receiver, watched, fault, selector) {
                Ok(round) => times.push(round),
                Err(error) => times.errors.push(format!("{error:#}")),
            }
        }
        measured.push((name, times, goals));
    }
    let ended = daemon.stop()?;
    ensure!(ended.success(), "chaos-daemon did not end well: {ended}");
    let figures: Vec<Figure> = measured
        .iter()
        .flat_map(|(name, times, goals)| times.figures(name, *goals))
        .collect();
    let details = measured.iter().map(|(name, times, _)| times.details(name));
    report("reaction", Some(&engine), &figures, &details.collect())
}

impl Times {
    fn figures(&self, name: &str, (p50, p99): (Goal, Goal)) -> Vec<Figure> {
        let at = |times: &[Duration], percent| match times {
            [] => f64::NAN,
            times => millis(percentile(times, percent)),
        };
        let first = |percent, goal| {
            let name = format!("{name}: first packet affected, {percent}th percentile");
            Figure::of(name, "ms", at(&self.first, percent))
                .beside("chaosctl takes", at(&self.chaosctl, percent))
                .goal(goal)
        };
        let latest = self.last.iter().copied().fold(f64::NAN, f64::max);
        let last = format!("{name}: last packet affected after stop returned, latest");
        let last = Figure::of(last, "ms", latest)
            .beside("the median", Figure::median("", "", &self.last).value)
            .goal(Goal::AtMost(10.0));
        vec![first(50.0, p50), first(99.0, p99), last]
    }

    fn details(&self, name: &str) -> Value {
        let ms = |times: &[Duration]| times.iter().copied().map(millis).collect::<Vec<_>>();
        json!({
            "name": name,
            "first_ms": ms(&self.first),
            "chaosctl_ms": ms(&self.chaosctl),
            "last_after_stop_ms": self.last,
            "errors": self.errors,
        })
    }

    fn push(&mut self, (chaosctl, first, last): (Duration, Duration, f64)) {
        self.chaosctl.push(chaosctl);
        self.first.push(first);
        self.last.push(last);
    }
}

/// One start and stop: how long `chaosctl` took, and when the first and the last packet were affected, of the watched
/// target that was later.
fn round(
    daemon: &Daemon,
    receiver: &Host,
    watched: &[&Host],
    fault: &[&str; 2],
    selector: &[&str],
) -> Result<(Duration, Duration, f64)> {
    let options = ["--duration", "1h", "--detach", "-o", "json"];
    let start = [&fault[..], &options, selector].concat();
    let streams: Vec<UdpStream> = watched
        .iter()
        .map(|host| UdpStream::start(host, receiver, Family::V4, RATE))
        .collect::<Result<_>>()?;
    thread::sleep(Duration::from_millis(50));
    let called = Instant::now();
    let started = daemon.chaosctl(&start)?.success()?;
    let chaosctl = called.elapsed();
    let id = started.json()?["experiment"]["id"]
        .as_str()
        .map(str::to_owned);
    // Long enough for a datagram that is held to arrive.
    thread::sleep(LATENCY * 2);
    daemon
        .chaosctl(&["stop", id.as_deref().unwrap_or_default()])?
        .success()?;
    let stopped = Instant::now();
    thread::sleep(Duration::from_millis(50));
    let (mut first, mut last) = (Duration::ZERO, f64::MIN);
    for stream in streams {
        let samples = stream.finish(LATENCY * 4)?;
        let affected: Vec<&StreamSample> = samples
            .iter()
            .filter(|sample| sample.sent >= called)
            .filter(|sample| sample.one_way.is_none_or(|time| time >= LATENCY))
            .collect();
        let [one, .., end] = affected[..] else {
            bail!("no packet was affected: {}", daemon.log_tail());
        };
        first = first.max(one.sent - called);
        let after = millis(end.sent.saturating_duration_since(stopped));
        let before = millis(stopped.saturating_duration_since(end.sent));
        last = last.max(after - before);
    }
    Ok((chaosctl, first, last))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
