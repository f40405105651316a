//! Each way of choosing against what its model says in closed form.

use super::*;
use crate::chance;

const N: u32 = 200_000;
const SEED: u64 = 11;

/// Share that is chosen, and mean length of a run of chosen packets.
fn run(rule: &Rule) -> (f64, f64) {
    let mut memory = Memory::default();
    let (mut chosen, mut runs, mut before) = (0_u32, 0_u32, false);
    for position in 0..u64::from(N) {
        let now = chooses(
            rule,
            rule.share_ppm,
            &mut memory,
            chance::at(SEED, position),
            0,
        );
        chosen += u32::from(now);
        runs += u32::from(now && !before);
        before = now;
    }
    let mean_run = f64::from(chosen) / f64::from(runs.max(1));
    (f64::from(chosen) / f64::from(N), mean_run)
}

fn assert_share(rule: &Rule, p: f64, standard_errors: f64) -> f64 {
    let (share, mean_run) = run(rule);
    let error = (p * (1.0 - p) / f64::from(N)).sqrt();
    assert!(
        (share - p).abs() <= standard_errors * error,
        "share {share}, expected {p} with n = {N}, seed {SEED}"
    );
    mean_run
}

#[test]
fn share_without_correlation() {
    let rule = Rule {
        share_ppm: 300_000,
        ..Rule::default()
    };
    let mean_run = assert_share(&rule, 0.3, 3.0);
    assert!((mean_run - 1.0 / 0.7).abs() < 0.02, "{mean_run}");
}

#[test]
fn correlation_keeps_the_share_and_lengthens_the_runs() {
    let rule = Rule {
        share_ppm: 100_000,
        correlation_ppm: 500_000,
        ..Rule::default()
    };
    // Neighbours correlate by c = 0.5: the variance of the share grows by (1 + c) / (1 - c) = 3.
    let mean_run = assert_share(&rule, 0.1, 3.0 * 3.0_f64.sqrt());
    // 1 / (1 - (p + c(1 - p))) = 1 / 0.45.
    assert!((mean_run - 1.0 / 0.45).abs() < 0.05, "{mean_run}");
}

#[test]
fn full_correlation_does_not_leave_its_bounds() {
    let rule = Rule {
        share_ppm: MILLION,
        correlation_ppm: MILLION,
        ..Rule::default()
    };
    assert!((run(&rule).0 - 1.0).abs() < 1e-9);
}

#[test]
fn gilbert_elliott_loses_its_stationary_share_in_its_bursts() {
    // p = 1 %, r = 10 %, all lost in the bad state: p / (p + r) lost, in bursts of 1 / r.
    let rule = Rule {
        choice: CHOICE_GILBERT_ELLIOTT,
        model_ppm: [10_000, 100_000, MILLION, 0, 0],
        ..Rule::default()
    };
    // Neighbours correlate by 1 - p - r = 0.89: the variance grows by 1.89 / 0.11.
    let mean_run = assert_share(&rule, 1.0 / 11.0, 3.0 * (1.89_f64 / 0.11).sqrt());
    // Runs are geometric; their mean over about 1800 runs has a standard error of 0.22.
    assert!((mean_run - 10.0).abs() < 0.67, "{mean_run}");
}

#[test]
fn gilbert_elliott_loses_in_the_good_state_too() {
    let rule = Rule {
        choice: CHOICE_GILBERT_ELLIOTT,
        model_ppm: [0, MILLION, MILLION, 20_000, 0],
        ..Rule::default()
    };
    assert_share(&rule, 0.02, 3.0);
}

#[test]
fn four_states_lose_alone_and_in_bursts() {
    // Only p14: lost alone with probability 5 % after each packet that was received.
    let alone = Rule {
        choice: CHOICE_FOUR_STATES,
        model_ppm: [0, MILLION, 0, 0, 50_000],
        ..Rule::default()
    };
    let (share, mean_run) = run(&alone);
    assert!((share - 0.05 / 1.05).abs() < 0.0015, "{share}");
    assert!((mean_run - 1.0).abs() < 1e-9, "{mean_run}");
    // p13 and p31 alone are the simple Gilbert model: p13 / (p13 + p31) lost, in bursts of 1 / p31.
    let bursts = Rule {
        choice: CHOICE_FOUR_STATES,
        model_ppm: [20_000, 200_000, 0, 0, 0],
        ..Rule::default()
    };
    let mean_run = assert_share(&bursts, 1.0 / 11.0, 3.0 * (1.78_f64 / 0.22).sqrt());
    assert!((mean_run - 5.0).abs() < 0.25, "{mean_run}");
}

#[test]
fn every_third() {
    let rule = Rule {
        choice: CHOICE_EVERY,
        count: 3,
        ..Rule::default()
    };
    let mut memory = Memory::default();
    let chosen: [bool; 7] =
        core::array::from_fn(|_| chooses(&rule, rule.share_ppm, &mut memory, 0, 0));
    assert_eq!(chosen, [false, false, true, false, false, true, false]);
}

#[test]
fn first_two_of_a_flow() {
    let rule = Rule {
        choice: CHOICE_FIRST,
        count: 2,
        ..Rule::default()
    };
    let mut memory = Memory::default();
    let chosen: [bool; 4] = core::array::from_fn(|of_flow| {
        chooses(&rule, rule.share_ppm, &mut memory, 0, of_flow as u64)
    });
    assert_eq!(chosen, [true, true, false, false]);
}

#[test]
fn gap_lies_between_two() {
    let rule = Rule {
        share_ppm: MILLION,
        count: 4,
        ..Rule::default()
    };
    let mut memory = Memory::default();
    let chosen: [bool; 10] =
        core::array::from_fn(|_| chooses(&rule, rule.share_ppm, &mut memory, 0, 0));
    let places = [4, 9];
    assert!(
        chosen
            .iter()
            .enumerate()
            .all(|(at, chosen)| *chosen == places.contains(&at))
    );
}
