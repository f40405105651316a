//! What happened to requests, counted by rule. Knows no rule.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Requests;

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// One more; the number before.
    pub(super) fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a rule counts.
#[derive(Debug, Default)]
pub struct Tally {
    pub(super) seen: Count,
    pub(super) excluded: Count,
    pub(super) unmatched: Count,
    pub(super) taken: Count,
    pub(super) delayed: Count,
    pub(super) errors: Count,
    pub(super) aborted: Count,
    pub(super) throttled: Count,
    pub(super) truncated: Count,
    pub(super) headers_changed: Count,
    pub(super) passed: Count,
    pub(super) upstream_failed: Count,
    pub(super) connections: Count,
    pub(super) encrypted: Count,
    pub(super) other: Count,
    pub(super) unframed: Count,
}

impl Tally {
    /// What has been counted, with the connections that are open on the rule's port.
    pub fn read(&self, open_connections: u32) -> Requests {
        // Parts before the whole, so that no moment shows more parts than whole.
        let (excluded, unmatched) = (self.excluded.read(), self.unmatched.read());
        Requests {
            excluded,
            unmatched,
            delayed: self.delayed.read(),
            errors: self.errors.read(),
            aborted: self.aborted.read(),
            throttled: self.throttled.read(),
            truncated: self.truncated.read(),
            headers_changed: self.headers_changed.read(),
            passed: self.passed.read(),
            seen: self.seen.read(),
            upstream_failed: self.upstream_failed.read(),
            connections: self.connections.read(),
            open_connections,
            encrypted_connections: self.encrypted.read(),
            other_connections: self.other.read(),
            unframed: self.unframed.read(),
            // Doors know of these.
            closed_existing: 0,
            spared: 0,
        }
    }
}
