//! What rules did, in the schema of `-o json`.

use chaos_proto::v1 as wire;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Counters {
    matched_packets: u64,
    matched_bytes: u64,
    delayed_packets: u64,
    delayed_bytes: u64,
    dropped_packets: u64,
    dropped_bytes: u64,
    undelayed_packets: u64,
    duplicated_packets: u64,
    corrupted_packets: u64,
    answered_packets: u64,
    rewritten_packets: u64,
    /// Where rules hit requests.
    requests: Option<Requests>,
}

#[derive(Debug, Serialize)]
struct Requests {
    seen: u64,
    excluded: u64,
    unmatched: u64,
    delayed: u64,
    errors: u64,
    aborted: u64,
    throttled: u64,
    truncated: u64,
    headers_changed: u64,
    passed: u64,
    upstream_failed: u64,
    connections: u64,
    open_connections: u32,
    closed_existing: u64,
    encrypted_connections: u64,
    other_connections: u64,
    unframed: u64,
    spared: u64,
}

impl From<&wire::Counters> for Counters {
    fn from(counters: &wire::Counters) -> Self {
        Self {
            matched_packets: counters.matched_packets,
            matched_bytes: counters.matched_bytes,
            delayed_packets: counters.delayed_packets,
            delayed_bytes: counters.delayed_bytes,
            dropped_packets: counters.dropped_packets,
            dropped_bytes: counters.dropped_bytes,
            undelayed_packets: counters.undelayed_packets,
            duplicated_packets: counters.duplicated_packets,
            corrupted_packets: counters.corrupted_packets,
            answered_packets: counters.answered_packets,
            rewritten_packets: counters.rewritten_packets,
            requests: counters.requests.as_ref().map(Requests::from),
        }
    }
}

impl From<&wire::Requests> for Requests {
    fn from(requests: &wire::Requests) -> Self {
        Self {
            seen: requests.seen,
            excluded: requests.excluded,
            unmatched: requests.unmatched,
            delayed: requests.delayed,
            errors: requests.errors,
            aborted: requests.aborted,
            throttled: requests.throttled,
            truncated: requests.truncated,
            headers_changed: requests.headers_changed,
            passed: requests.passed,
            upstream_failed: requests.upstream_failed,
            connections: requests.connections,
            open_connections: requests.open_connections,
            closed_existing: requests.closed_existing,
            encrypted_connections: requests.encrypted_connections,
            other_connections: requests.other_connections,
            unframed: requests.unframed,
            spared: requests.spared,
        }
    }
}
