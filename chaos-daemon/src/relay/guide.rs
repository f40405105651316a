//! What a connection asks on its way: the rules of its port, whether it is to end, and where to count.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    counters::{Count, Tally},
    port::Port,
    rules::Seen,
};

/// The guide of one connection.
#[derive(Clone, Debug)]
pub(super) struct Guide {
    port: Arc<Port>,
    client: SocketAddr,
    pub(super) seen: Seen,
}

impl Guide {
    pub(super) fn new(port: Arc<Port>, client: SocketAddr) -> Self {
        Self {
            port,
            client,
            seen: Seen::nothing(),
        }
    }

    /// Brings the rules up to date; false if there are none.
    pub(super) fn look(&mut self) -> bool {
        let client = (self.client.ip(), self.client.port());
        self.port.rules.look(&mut self.seen, client);
        !self.seen.rules.is_empty()
    }

    /// Whether no more requests are to follow.
    pub(super) fn is_draining(&self) -> bool {
        self.port.is_draining()
    }

    /// Holds a message for as long as each of these rules wishes, one after the other; none for longer than it applies.
    pub(super) async fn hold(&self, delays: &[(usize, Duration)]) {
        for &(rule, delay) in delays {
            // Large, and most are not held.
            let _ended_early = Box::pin(timeout(delay, self.without(rule))).await;
        }
    }

    /// Waits until this rule applies no more.
    pub(super) async fn without(&self, rule: usize) {
        self.port.without(&self.seen, rule).await;
    }

    /// A connection came.
    pub(super) fn connected(&self) {
        self.count(|tally| &tally.connections);
    }

    /// It speaks TLS.
    pub(super) fn encrypted(&self) {
        self.count(|tally| &tally.encrypted);
    }

    /// It does not speak HTTP.
    pub(super) fn other(&self) {
        self.count(|tally| &tally.other);
    }

    /// It cannot be framed any more.
    pub(super) fn unframed(&self) {
        self.count(|tally| &tally.unframed);
    }

    /// The application could not be reached, or ended early.
    pub(super) fn upstream_failed(&self) {
        self.count(|tally| &tally.upstream_failed);
    }

    fn count(&self, which: fn(&Tally) -> &Count) {
        for rule in &*self.port.rules.current() {
            which(&rule.tally).add();
        }
    }
}
