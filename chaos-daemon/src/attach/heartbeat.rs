//! The liveness stamp: what lets the programs notice that the agent hangs or is gone.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
    pub fn done(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Liveness words that come and go with copies of programs; clones are the same.
#[derive(Clone, Default)]
pub struct Words(Arc<Mutex<BTreeMap<u64, Array<MapData, u64>>>>);

impl Words {
    /// One more to renew, until what this returns is dropped.
    pub(super) fn add(&self, word: Array<MapData, u64>) -> Word {
        let mut words = self.lock();
        let number = words.last_key_value().map_or(0, |(last, _)| last + 1);
        words.insert(number, word);
        Word {
            number,
            words: self.clone(),
        }
    }

    /// Stamps all of them.
    pub fn renew(&self, now_ns: u64) -> Result<(), MapError> {
        let mut result = Ok(());
        for word in self.lock().values_mut() {
            result = result.and(word.set(0, now_ns, 0));
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Array<MapData, u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A word that is renewed with the others.
pub(super) struct Word {
    number: u64,
    words: Words,
}

impl Drop for Word {
    fn drop(&mut self) {
        self.words.lock().remove(&self.number);
    }
}

/// The liveness words.
pub struct Heartbeat {
    word: Array<MapData, u64>,
    others: Words,
    last_ns: u64,
}

impl Heartbeat {
    /// How often to renew the stamp.
    pub const INTERVAL: Duration = Duration::from_secs(1);

    /// Takes over the word and stamps it.
    pub(super) fn start(word: Array<MapData, u64>) -> Result<Self, MapError> {
        let mut heartbeat = Self {
            word,
            others: Words::default(),
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

    /// The words of programs that are loaded later.
    pub fn words(&self) -> Words {
        self.others.clone()
    }

    /// Renews the stamps.
    pub fn beat(&mut self) -> Result<(), MapError> {
        self.last_ns = monotonic_ns();
        let others = self.others.renew(self.last_ns);
        self.word.set(0, self.last_ns, 0).and(others)
    }
}
