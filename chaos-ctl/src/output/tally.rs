//! Sums of counters.

use chaos_proto::v1::{Counters, Experiment, Requests, Target};

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

/// Of several.
pub fn sum<'a>(counters: impl IntoIterator<Item = &'a Counters>) -> Counters {
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
            requests: match (sum.requests, one.requests) {
                (Some(sum), Some(one)) => Some(of_requests(&sum, &one)),
                (sum, one) => sum.or(one),
            },
        })
}

fn of_requests(sum: &Requests, one: &Requests) -> Requests {
    Requests {
        seen: sum.seen.saturating_add(one.seen),
        excluded: sum.excluded.saturating_add(one.excluded),
        unmatched: sum.unmatched.saturating_add(one.unmatched),
        delayed: sum.delayed.saturating_add(one.delayed),
        errors: sum.errors.saturating_add(one.errors),
        aborted: sum.aborted.saturating_add(one.aborted),
        throttled: sum.throttled.saturating_add(one.throttled),
        truncated: sum.truncated.saturating_add(one.truncated),
        headers_changed: sum.headers_changed.saturating_add(one.headers_changed),
        passed: sum.passed.saturating_add(one.passed),
        upstream_failed: sum.upstream_failed.saturating_add(one.upstream_failed),
        connections: sum.connections.saturating_add(one.connections),
        open_connections: sum.open_connections.saturating_add(one.open_connections),
        closed_existing: sum.closed_existing.saturating_add(one.closed_existing),
        encrypted_connections: sum
            .encrypted_connections
            .saturating_add(one.encrypted_connections),
        other_connections: sum.other_connections.saturating_add(one.other_connections),
        unframed: sum.unframed.saturating_add(one.unframed),
        spared: sum.spared.saturating_add(one.spared),
    }
}
