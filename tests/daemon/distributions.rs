//! Distributions of delays against their definitions, in traffic: from the option, or a file of latencies, to the packet.

use std::{fmt::Write as _, fs, time::Duration};

use chaos_tests::{
    daemon::Daemon,
    lab::{Family, Host, Lab},
    requires,
    requires::is_emulated,
    stats::{kolmogorov_smirnov, median},
    traffic::{Series, UdpProbe, UdpReport},
};
use serde_json::Value;
use statrs::distribution::{ContinuousCDF as _, Normal};

use crate::scenario::{Scenario, tolerances};

/// In seconds: far apart, so that what the machine adds is little beside it.
const MIDDLE: f64 = 1.0;
const SPREAD: f64 = 0.25;
/// Neither much longer than the tests around it nor so many at once that they wait for each other.
const COUNT: u32 = 1000;
const RATE: u32 = 500;

/// In seconds, of a share.
type Quantile = fn(f64) -> f64;

/// What else runs on the machine may hold packets up in one measurement, but not in one after the other; a distribution
/// that is another is so in all of them.
const ATTEMPTS: u32 = 3;

/// Mean 0, standard deviation 1, shape 3.
fn pareto(share: f64) -> f64 {
    ((1.0 - share).powf(-1.0 / 3.0) - 1.5) / 0.75_f64.sqrt()
}

fn normal(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

/// The share of packets that are held for at most `held`, by the quantiles of the definition.
fn share_until(held: f64, quantile: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if quantile(middle) <= held {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[test]
fn delays_are_distributed_as_defined() {
    requires!(root);
    let scenario = Scenario::new("distributions");
    // As many as a table has: each quantile is one of them.
    let path = scenario.lab.directory().join("latencies");
    let mut text = String::new();
    for step in 0..=1024_u32 {
        let _infallible = writeln!(text, "{}us", 500_000 + step * step);
    }
    fs::write(&path, text).unwrap();
    let count = if is_emulated() { COUNT / 4 } else { COUNT };
    let rate = if is_emulated() { RATE / 4 } else { RATE };
    let send = || {
        let probe = UdpProbe {
            series: Series::new(count, rate),
            ..UdpProbe::default()
        };
        probe.run(&scenario.target, &scenario.peer).unwrap()
    };
    let times = |report: UdpReport, during: &Value| {
        let arrived: Vec<Duration> = report.one_way.iter().copied().flatten().collect();
        assert_eq!(report.one_way.len(), arrived.len(), "{during}");
        arrived
    };
    let around = "delay 1s --jitter 250ms --distribution";
    let definitions: [(String, Quantile); 5] = [
        (format!("{around} uniform"), |share| {
            MIDDLE + SPREAD * (2.0 * share - 1.0)
        }),
        (format!("{around} normal"), |share| {
            MIDDLE + SPREAD * normal(share)
        }),
        (format!("{around} pareto"), |share| {
            MIDDLE + SPREAD * pareto(share)
        }),
        (format!("{around} paretonormal"), |share| {
            MIDDLE + SPREAD * (0.25 * normal(share) + 0.75 * pareto(share))
        }),
        // Of the file above: 0.5 s, and the square of the share of 1024 in microseconds.
        (
            format!("delay --distribution {}", path.display()),
            |share| 0.5 + (share * 1024.0).powi(2) / 1e6,
        ),
    ];
    let without = median(&times(send(), &Value::Null));
    for (fault, quantile) in definitions {
        let attempt = || {
            let (report, ended) = scenario.during(&format!("{fault} --reorder --seed 7"), send);
            let held = times(report, &ended)
                .into_iter()
                .map(|time| time.saturating_sub(without));
            let held: Vec<f64> = held.map(|held| held.as_secs_f64()).collect();
            kolmogorov_smirnov(&held, |held| share_until(held, quantile))
        };
        // What the machine itself is late by moves the distribution, most where it is densest.
        let shares = (0..100).map(|share| f64::from(share) / 100.0);
        let late = shares
            .map(|share| {
                share_until(quantile(share) + tolerances().0.as_secs_f64(), quantile) - share
            })
            .fold(0.0, f64::max);
        let mut attempts = 0;
        let (off, bound) = loop {
            let (off, bound) = attempt();
            attempts += 1;
            eprintln!(
                "{fault}: n = {count}, off by {off:.4}; bound {bound:.4} + {late:.4}, seed 7"
            );
            if off <= bound + late || attempts == ATTEMPTS {
                break (off, bound);
            }
        };
        assert!(off <= bound + late, "{fault}: off by {off}");
    }
}

#[test]
fn rules_share_what_they_have_in_common() {
    requires!(root);
    let lab = Lab::new("shared").unwrap();
    let hosts: Vec<Host> = (1..=5)
        .map(|number| lab.host(&format!("web{number}")).unwrap())
        .collect();
    let daemon = Daemon::start_with_service(&lab, "web", &hosts).unwrap();
    // 80 rules with a distribution each, where there is room for 64, and with 160,000 peers, where there is for 131,072.
    let mut peers = String::new();
    for number in 0..2000_u32 {
        let [.., high, low] = number.to_be_bytes();
        write!(peers, "10.{high}.{low}.0/24, ").unwrap();
    }
    let rule = format!(
        "  - delay: {{ latency: 20ms, jitter: 5ms, distribution: normal }}\n    filter: {{ peers: [{peers}] }}\n"
    );
    let file = lab.directory().join("shared.yaml");
    let text = format!("service: web\nduration: 60s\nrules:\n{}", rule.repeat(16));
    fs::write(&file, text).unwrap();
    let path = file.display().to_string();
    for _ in 0..2 {
        let started = daemon
            .chaosctl(&["apply", "-f", &path, "--detach", "-o", "json"])
            .unwrap();
        started.success().unwrap();
        daemon.chaosctl(&["stop", "--all"]).unwrap();
    }
}

#[test]
fn what_is_shared_stays_for_those_who_have_it() {
    requires!(root);
    let scenario = Scenario::new("shared-peers");
    let probe = UdpProbe {
        series: Series::new(20, 200),
        ..UdpProbe::default()
    };
    let of_peer = format!("loss 100% --peer {}", scenario.peer.address(Family::V4));
    let (first, second) = (scenario.start(&of_peer), scenario.start(&of_peer));
    scenario.stop(&first);
    let report = probe.run(&scenario.target, &scenario.peer).unwrap();
    assert_eq!(report.lost(), 20, "the peers went with the first");
    scenario.stop(&second);
    let report = probe.run(&scenario.target, &scenario.peer).unwrap();
    assert_eq!(report.lost(), 0);
}
