//! Models of loss by what they promise: how much is lost, and in bursts of which length.

use std::net::Ipv4Addr;

use chaos_abi::rule::{
    CHOICE_EVERY, CHOICE_FOUR_STATES, CHOICE_GILBERT_ELLIOTT, CHOICE_RANDOM, Memory, Rule,
};
use chaos_ebpf::{chance, choice};
use chaos_tests::{packet::Frame, requires::is_emulated, stats::Sample};

use crate::classifier::{Classifier, DROPPED, loss};

const SEED: u64 = 20_261_121;
/// Decisions that are judged.
const N: u32 = 200_000;
/// Of so many that follow each other, the share of one is nearly independent of that of the next.
const BATCH: usize = 1000;

/// A loss model as a Markov chain, from which its promises follow.
struct Chain {
    /// From each state to each.
    moves: Vec<Vec<f64>>,
    /// Probability that a packet in that state is lost.
    lost: Vec<f64>,
}

impl Chain {
    /// Share that is lost, and mean length of a run of lost packets.
    fn promises(&self) -> (f64, f64) {
        let states = self.lost.len();
        // Halfway between the old and the new, so that a chain that goes round in circles settles too.
        let mut stays = vec![1.0; states];
        for _ in 0..100_000 {
            let sum: f64 = stays.iter().sum();
            stays = (0..states)
                .map(|to| {
                    let arrives: f64 = (0..states)
                        .map(|from| stays[from] * self.moves[from][to])
                        .sum();
                    f64::midpoint(arrives, stays[to]) / sum
                })
                .collect();
        }
        let (mut share, mut twice) = (0.0, 0.0);
        for ((stays, lost), moves) in stays.iter().zip(&self.lost).zip(&self.moves) {
            share += stays * lost;
            let next = moves
                .iter()
                .zip(&self.lost)
                .map(|(moves, lost)| moves * lost);
            twice += stays * lost * next.sum::<f64>();
        }
        // As many runs begin as packets are lost that none was lost before.
        (share, share / (share - twice))
    }
}

/// What a model promises, as the chain of docs/faults.md.
fn models() -> [(&'static str, Rule, Chain); 6] {
    let rule = |choice, model_ppm| Rule {
        choice,
        model_ppm,
        seed: SEED,
        ..loss()
    };
    let share = |share_ppm, correlation_ppm| Rule {
        share_ppm,
        correlation_ppm,
        ..rule(CHOICE_RANDOM, [0; 5])
    };
    let every = Rule {
        count: 4,
        ..rule(CHOICE_EVERY, [0; 5])
    };
    let elliott = [20_000, 250_000, 800_000, 5_000, 0];
    let four = [30_000, 300_000, 200_000, 400_000, 10_000];
    [
        (
            "random",
            share(300_000, 0),
            Chain {
                moves: vec![vec![1.0]],
                lost: vec![0.3],
            },
        ),
        (
            "correlated",
            share(100_000, 500_000),
            Chain {
                // Passed, lost.
                moves: vec![vec![0.95, 0.05], vec![0.45, 0.55]],
                lost: vec![0.0, 1.0],
            },
        ),
        (
            "Gilbert",
            rule(CHOICE_GILBERT_ELLIOTT, [10_000, 100_000, 1_000_000, 0, 0]),
            Chain {
                moves: vec![vec![0.99, 0.01], vec![0.1, 0.9]],
                lost: vec![0.0, 1.0],
            },
        ),
        (
            "Gilbert-Elliott",
            rule(CHOICE_GILBERT_ELLIOTT, elliott),
            Chain {
                moves: vec![vec![0.98, 0.02], vec![0.25, 0.75]],
                lost: vec![0.005, 0.8],
            },
        ),
        (
            "four states",
            rule(CHOICE_FOUR_STATES, four),
            Chain {
                // Received in a gap, lost in a burst, received in a burst, lost alone.
                moves: vec![
                    vec![0.96, 0.03, 0.0, 0.01],
                    vec![0.3, 0.5, 0.2, 0.0],
                    vec![0.0, 0.4, 0.6, 0.0],
                    vec![1.0, 0.0, 0.0, 0.0],
                ],
                lost: vec![0.0, 1.0, 0.0, 1.0],
            },
        ),
        (
            "every fourth",
            every,
            Chain {
                moves: (0..4)
                    .map(|from| (0..4).map(|to| f64::from(to == (from + 1) % 4)).collect())
                    .collect(),
                lost: vec![0.0, 0.0, 0.0, 1.0],
            },
        ),
    ]
}

/// Asserts that decisions keep a model's promises within 3 standard errors.
fn assert_kept(name: &str, chain: &Chain, lost: &[bool]) {
    let (share, run) = chain.promises();
    let shares = lost
        .chunks_exact(BATCH)
        .map(|batch| count(batch.iter().filter(|lost| **lost)) / count(batch.iter()));
    let runs = lost
        .chunk_by(|one, next| one == next)
        .filter(|chunk| chunk[0]);
    let runs = runs.map(|run| count(run.iter()));
    for (what, promised, measured) in [
        ("share", share, Sample::of(shares)),
        ("mean run", run, Sample::of(runs)),
    ] {
        let error = measured.standard_error();
        // What is not random has no error; the runs at both ends may be cut.
        assert!(
            (measured.mean - promised).abs() <= 3.0 * error + 1e-9,
            "{name}: {what} {}, promised {promised} with a standard error of {error}, n = {}, seed {SEED}",
            measured.mean,
            lost.len(),
        );
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> f64 {
    of.fold(0.0, |count, _| count + 1.0)
}

#[test]
fn losses_are_as_many_and_in_such_bursts_as_promised() {
    for (name, rule, chain) in models() {
        let lost = decisions(&rule);
        assert_kept(name, &chain, &lost);
    }
}

#[test]
fn the_kernel_decides_the_same_for_all_of_them() {
    let frame = Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)).udp(1, 2, b"x");
    // One by one for the first, where an emulated machine takes its time; then all that are left in one go.
    let first = if is_emulated() { 1000 } else { 10_000 };
    for (name, rule, _) in models() {
        let lost = decisions(&rule);
        let count = lost.iter().filter(|lost| **lost).count();
        // With the same seed, the same packets meet the same decisions once more.
        for time in 1..=2 {
            let classifier = Classifier::new(&[rule]);
            for (position, lost) in lost[..first].iter().enumerate() {
                let verdict = classifier.egress(&frame).verdict;
                assert_eq!(
                    verdict == DROPPED,
                    *lost,
                    "{name}, packet {position}, seed {SEED}"
                );
            }
            classifier.egress_times(&frame, N - u32::try_from(first).unwrap());
            let dropped = classifier.counters(0).dropped_packets;
            assert_eq!(dropped, count as u64, "{name}, time {time}, seed {SEED}");
        }
    }
}

/// What becomes of [`N`] packets.
fn decisions(rule: &Rule) -> Vec<bool> {
    let mut memory = Memory::default();
    let decide = |at| choice::chooses(rule, rule.share_ppm, &mut memory, chance::at(SEED, at), 0);
    (0..u64::from(N)).map(decide).collect()
}
