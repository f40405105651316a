//! Sums of counters.

use chaos_proto::v1::{Counters, Experiment, Target};

/// What all rules did on one target. A packet that two rules matched counts twice.
pub fn of_target(target: &Target) -> Counters {
    sum(&target.counters)
}

/// What all rules did on all targets.
pub fn of_experiment(experiment: &Experiment) -> Counters {
    sum(experiment
        .targets
        .iter()
        .flat_map(|target| &target.counters))
}

pub(super) fn sum<'a>(counters: impl IntoIterator<Item = &'a Counters>) -> Counters {
    counters
        .into_iter()
        .fold(Counters::default(), |sum, one| Counters {
            matched_packets: sum.matched_packets.saturating_add(one.matched_packets),
            matched_bytes: sum.matched_bytes.saturating_add(one.matched_bytes),
            delayed_packets: sum.delayed_packets.saturating_add(one.delayed_packets),
            delayed_bytes: sum.delayed_bytes.saturating_add(one.delayed_bytes),
            dropped_packets: sum.dropped_packets.saturating_add(one.dropped_packets),
            dropped_bytes: sum.dropped_bytes.saturating_add(one.dropped_bytes),
            undelayed_packets: sum.undelayed_packets.saturating_add(one.undelayed_packets),
            duplicated_packets: sum
                .duplicated_packets
                .saturating_add(one.duplicated_packets),
            corrupted_packets: sum.corrupted_packets.saturating_add(one.corrupted_packets),
            rewritten_packets: sum.rewritten_packets.saturating_add(one.rewritten_packets),
            answered_packets: sum.answered_packets.saturating_add(one.answered_packets),
        })
}
