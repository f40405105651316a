//! Random choices of tests that can be made again: every generator tells its seed.

use std::{
    env,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Environment variable that fixes the seed, to repeat a run.
pub const SEED: &str = "CHAOS_TEST_SEED";

/// `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[derive(Debug, Clone)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// A generator from `$CHAOS_TEST_SEED`, or from the clock. Tests print [`Random::seed`].
    pub fn new() -> Self {
        let fixed = env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = fixed.unwrap_or_else(|| {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            u64::from(now.subsec_nanos()) ^ now.as_secs().rotate_left(32)
        });
        Self { seed, state: seed }
    }

    /// What to set `CHAOS_TEST_SEED` to for the same choices.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A time below `end`, in whole microseconds; zero when `end` is.
    pub fn below(&mut self, end: Duration) -> Duration {
        let end = u64::try_from(end.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.next_u64() % end)
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
