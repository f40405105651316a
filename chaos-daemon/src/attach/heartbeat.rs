//! The liveness stamp: what lets the programs notice that the agent hangs or is gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aya::maps::{Array, MapData, MapError};
use chaos_abi::maps::LIVENESS_LIMIT_NS;

use super::clock::monotonic_ns;

/// What the data plane has done so far, target by target: a job of many targets may take longer than the programs wait
/// for a sign of life, and whoever gets on with it is alive.
#[derive(Debug, Clone, Default)]
pub struct Steps(Arc<AtomicU64>);

impl Steps {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more.
    pub(super) fn done(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

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
