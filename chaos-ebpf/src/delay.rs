//! How long a packet is held.

use chaos_abi::rule::{Memory, QUANTILE_STEPS, Quantiles, Rule};

use crate::chance::hit;

/// The random number that a delay is made of. With correlation c, a share c of the packets repeats the one before: that
/// keeps the distribution, and makes neighbours correlate by c.
#[inline(always)]
pub const fn correlated(rule: &Rule, memory: &mut Memory, random: u64, another: u64) -> u64 {
    if rule.repeat_ppm == 0 {
        return random;
    }
    if !hit(another, rule.repeat_ppm) {
        memory.last_random = random;
    }
    memory.last_random
}

/// Uniform in `middle - jitter ..= middle + jitter`; where the middle is smaller, not below 0.
#[inline(always)]
pub const fn uniform(middle_ns: u64, jitter_ns: u64, random: u64) -> u64 {
    if jitter_ns == 0 {
        return middle_ns;
    }
    // The remainder's bias is below 2^-27 for the largest jitter (60 s).
    (middle_ns + random % (2 * jitter_ns + 1)).saturating_sub(jitter_ns)
}

/// From a distribution, between two quantiles evenly.
#[inline(always)]
pub const fn quantile(table: &Quantiles, random: u64) -> u64 {
    let step = (random >> (u64::BITS - QUANTILE_STEPS.ilog2())) as usize & (QUANTILE_STEPS - 1);
    let within = (random >> 38) & 0xffff;
    let (low, high) = (table.ns[step], table.ns[step + 1]);
    low + ((high.saturating_sub(low) * within) >> 16)
}

/// A hold that ends no earlier than a time.
#[inline(always)]
pub const fn at_least(hold_ns: u64, now_ns: u64, not_before_ns: u64) -> u64 {
    if now_ns + hold_ns < not_before_ns {
        not_before_ns - now_ns
    } else {
        hold_ns
    }
}

/// Departure of a packet that must not leave before its predecessor in the same flow.
#[inline(always)]
pub const fn in_order(departure_ns: u64, predecessor_ns: u64) -> u64 {
    if departure_ns > predecessor_ns {
        departure_ns
    } else {
        predecessor_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance;

    #[test]
    fn constant_delay_ignores_chance() {
        assert_eq!(uniform(100, 0, u64::MAX), 100);
    }

    #[test]
    fn nothing_leaves_before_its_time() {
        assert_eq!(at_least(100, 1000, 0), 100);
        assert_eq!(at_least(100, 1000, 1100), 100);
        assert_eq!(at_least(100, 1000, 1250), 250);
    }

    #[test]
    fn jitter_stays_in_bounds_and_reaches_them() {
        let all: [u64; 1000] = core::array::from_fn(|i| uniform(20, 5, chance::at(1, i as u64)));
        assert_eq!(all.iter().min(), Some(&15));
        assert_eq!(all.iter().max(), Some(&25));
    }

    #[test]
    fn jitter_as_large_as_the_delay_reaches_zero() {
        assert_eq!(uniform(10, 10, 0), 0);
        assert_eq!(uniform(10, 10, 20), 20);
        // At the beginning of a ramp the middle is below the jitter.
        assert_eq!(uniform(0, 10, 0), 0);
    }

    #[test]
    fn quantiles_are_met_at_both_ends_and_between() {
        let table = Quantiles {
            ns: core::array::from_fn(|step| step as u64 * 1000),
        };
        assert_eq!(quantile(&table, 0), 0);
        assert_eq!(quantile(&table, 1 << 54), 1000);
        assert_eq!(quantile(&table, 1 << 53), 500);
        let highest = quantile(&table, u64::MAX);
        assert!(highest > 1_023_900 && highest <= 1_024_000, "{highest}");
    }

    #[test]
    fn repeated_as_often_as_asked() {
        let rule = Rule {
            repeat_ppm: 250_000,
            ..Rule::default()
        };
        let mut memory = Memory::default();
        let mut before = 0;
        let mut repeated = 0;
        for i in 0..200_000_u64 {
            let now = correlated(&rule, &mut memory, chance::at(1, i), chance::at(2, i));
            repeated += u32::from(now == before);
            before = now;
        }
        // n = 200,000, p = 0.25: one standard error is 194, the bound is three of them.
        assert!((49_419..=50_581).contains(&repeated), "{repeated}");
    }

    #[test]
    fn nobody_overtakes() {
        assert_eq!(in_order(5, 9), 9);
        assert_eq!(in_order(9, 5), 9);
    }
}
