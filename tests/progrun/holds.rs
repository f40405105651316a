//! For how long a packet is held, to the nanosecond: read from the label that it carries into a TAP line.

use std::net::Ipv4Addr;

use chaos_abi::{
    line::{ENGINE_TAP, LABEL_LEN},
    rule::{FAULT_DELAY, Memory, QUANTILE_STEPS, Quantiles, REORDERS, Rule},
};
use chaos_daemon::attach::monotonic_ns;
use chaos_ebpf::{chance, delay};
use chaos_tests::{packet::Frame, stats::kolmogorov_smirnov};
use nix::sched::{CloneFlags, unshare};

use crate::classifier::{Classifier, loss};

const SEED: u64 = 20_261_121;
const MS: u64 = 1_000_000;
/// Loopback is number 1 in each network namespace.
const LOOPBACK: u32 = 1;

/// Latencies as `chaosctl` sends those of a file: many short ones, few long ones.
fn measured() -> Quantiles {
    Quantiles {
        ns: std::array::from_fn(|step| 2 * MS + (step * step) as u64 * 100),
    }
}

/// How long each of `n` packets is held. Every packet is compared with the model: what the kernel adds to its clock is
/// exactly that.
fn holds(rule: &Rule, table: &Quantiles, n: u64) -> Vec<u64> {
    let rule = Rule {
        flags: REORDERS,
        seed: SEED,
        ..*rule
    };
    let frame = Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)).udp(1, 2, b"x");
    let mut classifier = Classifier::new(&[rule]).line(ENGINE_TAP, LOOPBACK);
    classifier.table(0, table);
    let mut memory = Memory::default();
    let one = |position| {
        let random = chance::at(!SEED, position);
        let random = delay::correlated(&rule, &mut memory, random, random << 32);
        let hold = match rule.table {
            0 => delay::uniform(rule.delay_ns, rule.jitter_ns, random),
            _ => delay::quantile(table, random),
        };
        let before = monotonic_ns();
        let run = classifier.egress(&frame);
        let after = monotonic_ns();
        assert_eq!(run.frame[LABEL_LEN..], frame, "a label is in front of it");
        let departure = run.frame.first_chunk().unwrap();
        let now = u64::from_ne_bytes(*departure) - hold;
        assert!(
            (before..=after).contains(&now),
            "packet {position}, seed {SEED}: held until {now} + {hold}, it is between {before} and {after}"
        );
        hold
    };
    (0..n).map(one).collect()
}

/// In a namespace of its own, where loopback is down: a packet comes as far as its label.
pub(crate) fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        inside.join().unwrap()
    })
}

fn number(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}

/// Asserts that the samples are of a distribution. Of so many that are, 1 in 1000 is further off.
fn assert_distributed(what: &str, samples: &[u64], cdf: impl Fn(f64) -> f64) {
    let samples: Vec<f64> = samples.iter().map(|&ns| number(ns)).collect();
    let (off, bound) = kolmogorov_smirnov(&samples, cdf);
    assert!(
        off <= bound,
        "{what}: off by {off}, and {bound} is the bound; n = {}, seed {SEED}",
        samples.len()
    );
}

#[test]
fn uniform_is_what_it_says() {
    let rule = Rule {
        fault: FAULT_DELAY,
        delay_ns: 50 * MS,
        jitter_ns: 20 * MS,
        ..loss()
    };
    let samples = apart(|| holds(&rule, &measured(), 4000));
    assert_distributed("uniform", &samples, |seconds| (seconds - 0.03) / 0.04);
}

#[test]
fn measured_latencies_come_as_often_as_they_were_seen() {
    let table = measured();
    let rule = Rule {
        fault: FAULT_DELAY,
        table: 1,
        ..loss()
    };
    let samples = apart(|| holds(&rule, &table, 4000));
    // Which share of the table is at most so long: linear between two quantiles.
    let cdf = |seconds: f64| {
        let index = table.ns.partition_point(|&ns| number(ns) <= seconds);
        let Some(step) = index.checked_sub(1).filter(|&step| step < QUANTILE_STEPS) else {
            return if index == 0 { 0.0 } else { 1.0 };
        };
        let (low, high) = (number(table.ns[step]), number(table.ns[step + 1]));
        let steps = f64::from(u32::try_from(QUANTILE_STEPS).unwrap());
        (f64::from(u32::try_from(step).unwrap()) + (seconds - low) / (high - low)) / steps
    };
    assert_distributed("measured", &samples, cdf);
}

#[test]
fn a_correlated_delay_repeats_as_often_as_asked() {
    let rule = Rule {
        fault: FAULT_DELAY,
        delay_ns: 50 * MS,
        jitter_ns: 20 * MS,
        repeat_ppm: 250_000,
        ..loss()
    };
    let samples = apart(|| holds(&rule, &measured(), 4000));
    let repeated = samples.windows(2).filter(|pair| pair[0] == pair[1]).count();
    // n = 3999, p = 0.25: one standard error is 27.4, the bound is three of them.
    assert!((918..=1082).contains(&repeated), "{repeated}, seed {SEED}");
}
