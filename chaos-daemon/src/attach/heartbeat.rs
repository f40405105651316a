//! The liveness stamp: what lets the programs notice that the agent hangs or is gone.

use std::time::Duration;

use aya::maps::{Array, MapData, MapError};
use chaos_abi::maps::LIVENESS_LIMIT_NS;

use super::clock::monotonic_ns;

/// The liveness word.
pub struct Heartbeat {
    word: Array<MapData, u64>,
    last_ns: u64,
}

impl Heartbeat {
    /// How often to renew the stamp.
    pub const INTERVAL: Duration = Duration::from_secs(1);

    /// Takes over the word and stamps it.
    pub(super) fn start(word: Array<MapData, u64>) -> Result<Self, MapError> {
        let mut heartbeat = Self {
            word,
            last_ns: monotonic_ns(),
        };
        heartbeat.word.set(0, heartbeat.last_ns, 0)?;
        Ok(heartbeat)
    }

    /// For how long the agent did not run, if that was long enough for the programs to have given up on it.
    /// Experiments must end before the next [`Heartbeat::beat`], or their faults would come back.
    pub fn stalled(&self) -> Option<Duration> {
        let gap = monotonic_ns().saturating_sub(self.last_ns);
        (gap > LIVENESS_LIMIT_NS).then(|| Duration::from_nanos(gap))
    }

    /// Renews the stamp.
    pub fn beat(&mut self) -> Result<(), MapError> {
        self.last_ns = monotonic_ns();
        self.word.set(0, self.last_ns, 0)
    }
}
