//! Which connections are ended, and when.

use chaos_abi::rule::{FlowMemory, Rule};

use crate::{
    chance,
    flow::{Flow, RST},
};

/// Whether the packet's connection is one of those that end. What ends one itself passes, and a fragment does not say
/// enough.
#[inline(always)]
pub fn may_end(rule: &Rule, flow: &Flow) -> bool {
    flow.fragment == 0
        && flow.tcp_flags & RST == 0
        // Another number than that of the filter.
        && chance::hit(flow.connection(!rule.seed), rule.model_ppm[0])
}

/// Whether connections live for a while.
#[inline(always)]
pub const fn waits(rule: &Rule) -> bool {
    rule.after_ns | rule.after_bytes != 0
}

/// A connection that is opened begins anew, whoever had its ports before.
#[inline(always)]
pub const fn begin(known: &mut FlowMemory) {
    known.since_ns = 0;
    known.bytes = 0;
}

/// Whether the time of a connection has come, with one more packet of it that carries so many bytes.
#[inline(always)]
pub const fn is_due(rule: &Rule, known: &mut FlowMemory, now_ns: u64, carried: u64) -> bool {
    if known.since_ns == 0 {
        known.since_ns = now_ns;
    }
    known.bytes += carried;
    now_ns.saturating_sub(known.since_ns) >= rule.after_ns && known.bytes >= rule.after_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_lives_as_long_as_it_may() {
        let rule = Rule {
            after_ns: 100,
            ..Rule::default()
        };
        let mut known = FlowMemory::default();
        let due = [1000, 1099, 1100].map(|now_ns| is_due(&rule, &mut known, now_ns, 0));
        assert_eq!(due, [false, false, true]);
        begin(&mut known);
        assert!(!is_due(&rule, &mut known, 1200, 0), "another one");
    }

    #[test]
    fn a_connection_carries_as_much_as_it_may() {
        let rule = Rule {
            after_bytes: 1000,
            ..Rule::default()
        };
        let mut known = FlowMemory::default();
        let due = [0, 999, 0, 1].map(|carried| is_due(&rule, &mut known, 5, carried));
        assert_eq!(due, [false, false, false, true]);
    }

    #[test]
    fn a_share_of_the_connections_ends() {
        let rule = Rule {
            model_ppm: [500_000, 0, 0, 0, 0],
            ..Rule::default()
        };
        let flow = |port| Flow {
            source_port: port,
            ..Flow::default()
        };
        let ending = (0..1000)
            .filter(|&port| may_end(&rule, &flow(port)))
            .count();
        // n = 1000, p = 0.5: three standard errors are 47.
        assert!((453..=547).contains(&ending), "{ending}");
        let reset = Flow {
            tcp_flags: RST,
            ..flow(1)
        };
        let whole = Rule {
            model_ppm: [1_000_000, 0, 0, 0, 0],
            ..rule
        };
        assert!(may_end(&whole, &flow(1)) && !may_end(&whole, &reset));
    }
}
