//! Which connections are ended, and when.

use chaos_abi::rule::{FlowMemory, Rule};

use crate::{
    chance,
    flow::{Flow, RST},
};

/// Whether the packet's connection is one of those that end, of which there are `share_ppm` at this time. What ends one
/// itself passes, and a fragment does not say enough.
#[inline(always)]
pub fn may_end(rule: &Rule, share_ppm: u32, flow: &Flow) -> bool {
    flow.fragment == 0
        && flow.tcp_flags & RST == 0
        // Another number than that of the filter.
        && chance::hit(flow.connection(!rule.seed), share_ppm)
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
        let rule = Rule::default();
        let flow = |port| Flow {
            source_port: port,
            ..Flow::default()
        };
        let ending = (0..1000)
            .filter(|&port| may_end(&rule, 500_000, &flow(port)))
            .count();
        // n = 1000, p = 0.5: three standard errors are 47.
        assert!((453..=547).contains(&ending), "{ending}");
        let reset = Flow {
            tcp_flags: RST,
            ..flow(1)
        };
        let all = 1_000_000;
        assert!(may_end(&rule, all, &flow(1)) && !may_end(&rule, all, &reset));
    }

    #[test]
    fn a_share_that_grows_takes_more_and_lets_none_go() {
        let rule = Rule::default();
        for port in 0..1000 {
            let flow = Flow {
                source_port: port,
                ..Flow::default()
            };
            let ends = (0..=10).map(|tenth| may_end(&rule, tenth * 100_000, &flow));
            assert!(ends.is_sorted(), "port {port}");
        }
    }
}
