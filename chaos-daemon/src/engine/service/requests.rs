//! What a rule did to requests.

/// What a rule did to requests, since it was armed; see `chaos.v1.Requests`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Read on its ports.
    pub seen: u64,
    /// Of these, excluded.
    pub excluded: u64,
    /// Of these, not meant by it.
    pub unmatched: u64,
    /// Delayed.
    pub delayed: u64,
    /// Answered with the error.
    pub errors: u64,
    /// Closed without an answer.
    pub aborted: u64,
    /// Answered slowly.
    pub throttled: u64,
    /// Answered in part.
    pub truncated: u64,
    /// Edited, or their answer.
    pub headers_changed: u64,
    /// Left as they are.
    pub passed: u64,
    /// Not answered by the application.
    pub upstream_failed: u64,
    /// Connections through its doors.
    pub connections: u64,
    /// Of these, open now.
    pub open_connections: u32,
    /// Connections that were open at the start, and were closed.
    pub closed_existing: u64,
    /// Connections that are encrypted.
    pub encrypted_connections: u64,
    /// Connections that carry something else.
    pub other_connections: u64,
    /// Connections that were passed as they are, from an ambiguous request on.
    pub unframed: u64,
    /// Connections that were spared.
    pub spared: u64,
}

impl Requests {
    /// Requests that the rule took.
    pub const fn taken(&self) -> u64 {
        self.seen
            .saturating_sub(self.excluded)
            .saturating_sub(self.unmatched)
    }
}

impl std::ops::AddAssign<&Self> for Requests {
    fn add_assign(&mut self, other: &Self) {
        self.seen += other.seen;
        self.excluded += other.excluded;
        self.unmatched += other.unmatched;
        self.delayed += other.delayed;
        self.errors += other.errors;
        self.aborted += other.aborted;
        self.throttled += other.throttled;
        self.truncated += other.truncated;
        self.headers_changed += other.headers_changed;
        self.passed += other.passed;
        self.upstream_failed += other.upstream_failed;
        self.connections += other.connections;
        self.open_connections = self.open_connections.saturating_add(other.open_connections);
        self.closed_existing += other.closed_existing;
        self.encrypted_connections += other.encrypted_connections;
        self.other_connections += other.other_connections;
        self.unframed += other.unframed;
        self.spared += other.spared;
    }
}
