//! Randomness that repeats: the same seed and position give the same number.
//!
//! The generator is `SplitMix64` (Steele, Lea and Flood, 2014), entered at any position: cheaper than
//! `bpf_get_prandom_u32`, and `--seed` comes for free.

/// Parts in a whole: shares are parts per million.
pub const MILLION: u32 = 1_000_000;

/// Number at `position` of the sequence that `seed` starts.
#[inline(always)]
pub const fn at(seed: u64, position: u64) -> u64 {
    let mut z = seed.wrapping_add(position.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether `random` falls into a share of so many parts per million.
#[inline(always)]
pub const fn hit(random: u64, share_ppm: u32) -> bool {
    // Upper half scaled to 0..1000000 without a division.
    ((random >> 32) * MILLION as u64) >> 32 < share_ppm as u64
}

#[cfg(test)]
mod tests {
    use super::{MILLION, at, hit};

    #[test]
    fn sequence_is_splitmix64() {
        // First outputs of SplitMix64 with seed 1234567, as published with its reference implementation.
        assert_eq!(at(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(at(1_234_567, 1), 3_203_168_211_198_807_973);
    }

    #[test]
    fn nothing_and_everything_are_exact() {
        for position in 0..10_000 {
            assert!(!hit(at(7, position), 0));
            assert!(hit(at(7, position), MILLION));
        }
    }

    #[test]
    fn share_is_as_asked() {
        // n = 200,000, p = 0.3: one standard error is 205, the bound is three of them.
        let hits = (0..200_000).filter(|&i| hit(at(42, i), 300_000)).count();
        assert!(
            (59_385..=60_615).contains(&hits),
            "{hits} of 200000, seed 42"
        );
    }
}
