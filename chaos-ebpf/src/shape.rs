//! How a fault changes over time.

use chaos_abi::rule::{Rule, Window};

/// Whether a rule acts at `now_ns`: it is armed, its deadline has not come, and its pulse is on.
#[inline(always)]
pub const fn acts(rule: &Rule, window: &Window, now_ns: u64) -> bool {
    if now_ns >= window.deadline_ns {
        return false;
    }
    rule.pulse_period_ns == 0
        || now_ns.wrapping_sub(window.start_ns) % rule.pulse_period_ns < rule.pulse_on_ns
}

/// Middle of the delay at `now_ns`: it grows, or shrinks, evenly until the ramp is over.
#[inline(always)]
pub const fn ramped(rule: &Rule, window: &Window, now_ns: u64) -> u64 {
    let passed = now_ns.wrapping_sub(window.start_ns);
    if passed >= rule.ramp_ns {
        return rule.delay_ns;
    }
    // Delays are at most 60 s (36 bits); the share of the ramp has 20.
    let share = (passed << 10) / (rule.ramp_ns >> 10 | 1);
    let (from, to) = (rule.ramp_from_ns, rule.delay_ns);
    if to >= from {
        from + (((to - from) * share) >> 20)
    } else {
        from - (((from - to) * share) >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const WINDOW: Window = Window {
        start_ns: 5 * SECOND,
        deadline_ns: 50 * SECOND,
    };

    #[test]
    fn disarmed_and_expired_do_not_act() {
        let rule = Rule::default();
        assert!(acts(&rule, &WINDOW, WINDOW.deadline_ns - 1));
        assert!(!acts(&rule, &WINDOW, WINDOW.deadline_ns));
        assert!(!acts(&rule, &Window::default(), 0));
    }

    #[test]
    fn pulse_is_exact() {
        let rule = Rule {
            pulse_on_ns: 2 * SECOND,
            pulse_period_ns: 10 * SECOND,
            ..Rule::default()
        };
        for (after, on) in [
            (0, true),
            (2 * SECOND - 1, true),
            (2 * SECOND, false),
            (10 * SECOND - 1, false),
            (10 * SECOND, true),
            (12 * SECOND, false),
        ] {
            assert_eq!(acts(&rule, &WINDOW, WINDOW.start_ns + after), on, "{after}");
        }
    }

    #[test]
    fn ramp_goes_evenly_both_ways() {
        let up = Rule {
            delay_ns: 200_000_000,
            ramp_ns: 30 * SECOND,
            ..Rule::default()
        };
        let down = Rule {
            delay_ns: 0,
            ramp_from_ns: 200_000_000,
            ..up
        };
        for tenth in 0..=10 {
            let now = WINDOW.start_ns + tenth * 3 * SECOND;
            let expected = tenth * 20_000_000;
            assert!(ramped(&up, &WINDOW, now).abs_diff(expected) < 1000);
            assert!(ramped(&down, &WINDOW, now).abs_diff(200_000_000 - expected) < 1000);
        }
        let long_after = WINDOW.start_ns + 100 * SECOND;
        assert_eq!(ramped(&up, &WINDOW, long_after), 200_000_000);
    }

    #[test]
    fn longest_ramp_of_the_longest_delay_does_not_overflow() {
        let rule = Rule {
            delay_ns: 60 * SECOND,
            ramp_ns: 86_400 * SECOND,
            ..Rule::default()
        };
        let now = WINDOW.start_ns + 86_399 * SECOND;
        assert!(ramped(&rule, &WINDOW, now) > 59 * SECOND);
    }
}
