//! How a fault changes over time.

use chaos_abi::rule::{RAMPS_CONNECTIONS, RAMPS_DELAY, RAMPS_RATE, RAMPS_SHARE, Rule, Window};

/// Whether a rule acts at `now_ns`: it is armed, its deadline has not come, and its pulse is on.
#[inline(always)]
pub const fn acts(rule: &Rule, window: &Window, now_ns: u64) -> bool {
    if now_ns >= window.deadline_ns {
        return false;
    }
    rule.pulse_period_ns == 0
        || now_ns.wrapping_sub(window.start_ns) % rule.pulse_period_ns < rule.pulse_on_ns
}

/// Middle of the delay at `now_ns`.
#[inline(always)]
pub const fn delay_ns(rule: &Rule, window: &Window, now_ns: u64) -> u64 {
    if rule.ramps != RAMPS_DELAY {
        return rule.delay_ns;
    }
    ramped(rule, window, now_ns, rule.delay_ns)
}

/// Share of the packets at `now_ns`, in parts per million.
#[inline(always)]
pub const fn share_ppm(rule: &Rule, window: &Window, now_ns: u64) -> u32 {
    if rule.ramps != RAMPS_SHARE {
        return rule.share_ppm;
    }
    ramped(rule, window, now_ns, rule.share_ppm as u64) as u32
}

/// Share of the connections at `now_ns`, in parts per million.
#[inline(always)]
pub const fn connections_ppm(rule: &Rule, window: &Window, now_ns: u64) -> u32 {
    let ends = rule.model_ppm[0];
    if rule.ramps != RAMPS_CONNECTIONS {
        return ends;
    }
    ramped(rule, window, now_ns, ends as u64) as u32
}

/// Bandwidth at `now_ns`, in bytes per second.
#[inline(always)]
pub const fn bytes_per_s(rule: &Rule, window: &Window, now_ns: u64) -> u64 {
    if rule.ramps != RAMPS_RATE {
        return rule.rate_bytes_per_s;
    }
    ramped(rule, window, now_ns, rule.rate_bytes_per_s)
}

/// Bits of the share of a ramp that has passed.
const PASSED_BITS: u32 = 20;

/// What goes from `rule.ramp_from` to `to` is at `now_ns`: it grows, or shrinks, evenly until the ramp is over.
#[inline(always)]
const fn ramped(rule: &Rule, window: &Window, now_ns: u64, to: u64) -> u64 {
    // The clock may not have come to the start yet, where it ticks.
    let passed_ns = now_ns.saturating_sub(window.start_ns);
    if passed_ns >= rule.ramp_ns {
        return to;
    }
    // Ramps are at most 24 h (47 bits). The divisor loses its last bits, so that of a short one the share may come out above
    // the whole.
    let share = (passed_ns << 10) / (rule.ramp_ns >> 10 | 1);
    let share = if share < 1 << PASSED_BITS {
        share
    } else {
        1 << PASSED_BITS
    };
    // Bandwidths are at most 1 Tbit/s (37 bits), delays 60 s (36 bits).
    let from = rule.ramp_from;
    if to >= from {
        from + (((to - from) * share) >> PASSED_BITS)
    } else {
        from - (((from - to) * share) >> PASSED_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance;

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
            ramps: RAMPS_DELAY,
            delay_ns: 200_000_000,
            ramp_ns: 30 * SECOND,
            ..Rule::default()
        };
        let down = Rule {
            delay_ns: 0,
            ramp_from: 200_000_000,
            ..up
        };
        for tenth in 0..=10 {
            let now = WINDOW.start_ns + tenth * 3 * SECOND;
            let expected = tenth * 20_000_000;
            assert!(delay_ns(&up, &WINDOW, now).abs_diff(expected) < 1000);
            assert!(delay_ns(&down, &WINDOW, now).abs_diff(200_000_000 - expected) < 1000);
        }
        let long_after = WINDOW.start_ns + 100 * SECOND;
        assert_eq!(delay_ns(&up, &WINDOW, long_after), 200_000_000);
    }

    #[test]
    fn before_the_start_it_is_as_at_the_start() {
        let rule = Rule {
            ramps: RAMPS_SHARE,
            share_ppm: 1_000_000,
            ramp_from: 7,
            ramp_ns: SECOND,
            ..Rule::default()
        };
        assert_eq!(share_ppm(&rule, &WINDOW, WINDOW.start_ns - 1), 7);
        assert_eq!(share_ppm(&rule, &WINDOW, WINDOW.start_ns), 7);
        assert_eq!(
            share_ppm(&rule, &WINDOW, WINDOW.start_ns + SECOND),
            1_000_000
        );
    }

    #[test]
    fn a_rule_without_a_ramp_stays_as_it_is() {
        let rule = Rule {
            delay_ns: 1,
            share_ppm: 2,
            rate_bytes_per_s: 3,
            model_ppm: [4, 0, 0, 0, 0],
            ramp_from: 9,
            ramp_ns: SECOND,
            ..Rule::default()
        };
        let now = WINDOW.start_ns;
        let all = |rule: &Rule| {
            (
                delay_ns(rule, &WINDOW, now),
                share_ppm(rule, &WINDOW, now),
                bytes_per_s(rule, &WINDOW, now),
                connections_ppm(rule, &WINDOW, now),
            )
        };
        assert_eq!(all(&rule), (1, 2, 3, 4));
        for (ramps, expected) in [
            (RAMPS_DELAY, (9, 2, 3, 4)),
            (RAMPS_SHARE, (1, 9, 3, 4)),
            (RAMPS_RATE, (1, 2, 9, 4)),
            (RAMPS_CONNECTIONS, (1, 2, 3, 9)),
        ] {
            assert_eq!(all(&Rule { ramps, ..rule }), expected);
        }
    }

    /// As the sentence in the documents has it, in numbers without an end.
    #[expect(clippy::cast_precision_loss, reason = "a model to compare with")]
    fn plainly(from: u64, to: u64, passed_ns: u64, ramp_ns: u64) -> f64 {
        let part = (passed_ns as f64 / ramp_ns as f64).min(1.0);
        from as f64 + (to as f64 - from as f64) * part
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a model to compare with")]
    fn any_ramp_is_as_its_plain_model_and_between_its_ends() {
        const MILLISECOND: u64 = SECOND / 1000;
        const LARGEST: u64 = 125_000_000_000;
        for case in 0..200_000 {
            let random = |which: u64, most: u64| {
                // Small ones as often as large ones.
                let bits = chance::at(case * 8 + which + 4, 20_261_121) % 64;
                (chance::at(case * 8 + which, 20_261_121) >> bits) % (most + 1)
            };
            let rule = Rule {
                ramps: RAMPS_RATE,
                ramp_ns: MILLISECOND + random(0, 86_400 * SECOND - MILLISECOND),
                ramp_from: random(1, LARGEST),
                rate_bytes_per_s: random(2, LARGEST),
                ..Rule::default()
            };
            let (from, to) = (rule.ramp_from, rule.rate_bytes_per_s);
            let passed_ns = random(3, rule.ramp_ns + rule.ramp_ns / 8);
            let now = bytes_per_s(&rule, &WINDOW, WINDOW.start_ns + passed_ns);
            assert!(
                (from.min(to)..=from.max(to)).contains(&now),
                "{now} after {passed_ns} ns of {rule:?}"
            );
            let expected = plainly(from, to, passed_ns, rule.ramp_ns);
            // 20 bits of the way, and of a ramp of a millisecond ten.
            let fine = 2.0 / f64::from(1 << 20) + 1100.0 / rule.ramp_ns as f64;
            let bound = fine * from.abs_diff(to) as f64 + 1.0;
            assert!(
                (now as f64 - expected).abs() <= bound,
                "{now}, not {expected}, after {passed_ns} ns of {rule:?}"
            );
        }
    }

    #[test]
    fn short_ramps_do_not_overshoot() {
        // Of 1,001,471 ns the last ten bits are lost, which are 0.1 % of it.
        let rule = Rule {
            ramps: RAMPS_SHARE,
            ramp_ns: 1_001_471,
            ramp_from: 1_000_000,
            ..Rule::default()
        };
        let up = Rule {
            share_ppm: 1_000_000,
            ramp_from: 0,
            ..rule
        };
        let last = WINDOW.start_ns + rule.ramp_ns - 1;
        assert_eq!(share_ppm(&rule, &WINDOW, last), 0);
        assert_eq!(share_ppm(&up, &WINDOW, last), 1_000_000);
    }
}
