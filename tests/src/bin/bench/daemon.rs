//! What the agent itself takes: memory, and time when nothing happens.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use chaos_tests::{daemon::Daemon, lab::Lab};
use nix::unistd::{SysconfVar, sysconf};
use serde_json::{Value, json};

use super::figure::{Figure, Goal, report};

#[derive(clap::Args)]
pub(super) struct Options {
    /// Targets of the experiment
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=240))]
    targets: u32,
    /// Seconds over which the agent is watched
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// What processes hold of memory, in KiB, and of time, in ticks.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    resident_kib: f64,
    anonymous_kib: f64,
    ticks: f64,
}

pub(super) fn measure(options: &Options) -> Result<Value> {
    let lab = Lab::new("bench")?;
    let mut targets = Vec::new();
    for number in 1..=options.targets {
        targets.push(lab.host(&format!("target-{number}"))?);
    }
    let watch = Duration::from_secs(options.seconds);
    let mut daemon = Daemon::start_with_service(&lab, "all", &targets)?;
    // What it does at its start is not idling.
    thread::sleep(Duration::from_secs(2));
    let begin = Usage::of(&daemon)?;
    thread::sleep(watch);
    let idle = Usage::of(&daemon)?;
    let mut each = Vec::new();
    for fault in ["loss 10%", "delay 100ms"] {
        let before = Usage::of(&daemon)?;
        let started = start(&daemon, fault);
        thread::sleep(Duration::from_secs(1));
        let armed = Usage::of(&daemon)?;
        thread::sleep(watch);
        let later = Usage::of(&daemon)?;
        // What could not be started shows as a figure that is missing.
        let usage = match &started {
            Ok(id) => {
                daemon.chaosctl(&["stop", id])?.success()?;
                [before, armed, later]
            }
            Err(_) => [Usage::UNKNOWN; 3],
        };
        each.push((
            fault,
            usage,
            started.err().map(|error| format!("{error:#}")),
        ));
    }
    let ended = daemon.stop()?;
    ensure!(ended.success(), "chaos-daemon did not end well: {ended}");

    let share = |from: Usage, to: Usage| 100.0 * (to.ticks - from.ticks) / ticks(watch);
    let mut figures = vec![
        Figure::of("idle: resident memory", "MiB", idle.resident_kib / 1024.0)
            .beside("of it not from files", idle.anonymous_kib / 1024.0)
            .goal(Goal::AtMost(20.0)),
        Figure::of("idle: processor", "% of one", share(begin, idle)),
    ];
    for (fault, [before, armed, later], _) in &each {
        let (before, armed, later) = (*before, *armed, *later);
        let more = (armed.resident_kib - before.resident_kib) / f64::from(options.targets);
        let name = |what| format!("{} targets, {fault}: {what}", options.targets);
        figures.push(
            Figure::of(name("memory for each"), "KiB", more)
                .beside("all before, in MiB", before.resident_kib / 1024.0)
                .goal(Goal::AtMost(64.0)),
        );
        figures.push(
            Figure::of(name("processor"), "% of one", share(armed, later))
                .beside("idle", share(begin, idle)),
        );
    }
    let errors: Vec<_> = each.into_iter().filter_map(|(_, _, error)| error).collect();
    let details =
        json!({ "targets": options.targets, "seconds": options.seconds, "errors": errors });
    report("daemon", None, &figures, &details)
}

fn start(daemon: &Daemon, fault: &str) -> Result<String> {
    let words = format!("{fault} --svc all --duration 1h --detach -o json");
    let words: Vec<&str> = words.split_whitespace().collect();
    let started = daemon.chaosctl(&words)?.success()?.json()?;
    let id = started["experiment"]["id"].as_str();
    Ok(id.context("an experiment without an id")?.to_owned())
}

impl Usage {
    const UNKNOWN: Self = Self {
        resident_kib: f64::NAN,
        anonymous_kib: f64::NAN,
        ticks: f64::NAN,
    };

    /// Of the agent and the processes that it started.
    fn of(daemon: &Daemon) -> Result<Self> {
        let agent = daemon.pid()?;
        let mut sum = Self::default();
        for process in fs::read_dir("/proc").context("list processes")? {
            let name = process?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if pid == agent || parent(pid) == Some(agent) {
                let one = Self::of_process(pid)?;
                sum.resident_kib += one.resident_kib;
                sum.anonymous_kib += one.anonymous_kib;
                sum.ticks += one.ticks;
            }
        }
        Ok(sum)
    }

    fn of_process(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let line = line.with_context(|| format!("/proc/{pid}/status lacks {name}"))?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        let [user, system] = [11, 12].map(|field| stat(pid, field).unwrap_or(0.0));
        Ok(Self {
            resident_kib: kib("VmRSS:")?,
            anonymous_kib: kib("RssAnon:")?,
            ticks: user + system,
        })
    }
}

/// A field of `/proc/PID/stat`, counted from behind the name, which may hold anything.
fn stat(pid: u32, field: usize) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?
        .1
        .split(' ')
        .nth(field)?
        .parse()
        .ok()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Of one processor, in so much time.
fn ticks(time: Duration) -> f64 {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    #[expect(clippy::cast_precision_loss, reason = "100, as a rule")]
    let per_second = per_second as f64;
    per_second * time.as_secs_f64()
}
