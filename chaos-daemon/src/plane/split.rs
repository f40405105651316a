//! One experiment as the two halves see it.

use crate::engine::{Counters, Rule, Spec};

/// The experiment without its rules of requests; nothing, where it has no others.
pub(super) fn of_packets(spec: &Spec) -> Option<Spec> {
    let is_of_packets = |rule: &&Rule| rule.fault.service().is_none();
    let rules: Vec<Rule> = spec.rules.iter().filter(is_of_packets).cloned().collect();
    (!rules.is_empty()).then(|| Spec {
        rules,
        ..spec.clone()
    })
}

/// What the halves did, in the order of the rules.
pub(super) fn in_order(
    of_requests: &[bool],
    packets: Vec<Counters>,
    requests: Vec<Counters>,
) -> Vec<Counters> {
    let (mut packets, mut requests) = (packets.into_iter(), requests.into_iter());
    let of = |is_of_requests: &bool| {
        let half = if *is_of_requests {
            &mut requests
        } else {
            &mut packets
        };
        half.next().unwrap_or_default()
    };
    of_requests.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{PacketCounters, Requests};

    #[test]
    fn counters_come_in_the_order_of_the_rules() {
        let packets = |matched_packets| {
            Counters::from(PacketCounters {
                matched_packets,
                ..PacketCounters::default()
            })
        };
        let requests = |seen| {
            Counters::from(Requests {
                seen,
                ..Requests::default()
            })
        };
        let merged = in_order(
            &[true, false, true, false],
            vec![packets(1), packets(2)],
            vec![requests(3), requests(4)],
        );
        assert_eq!(merged, [requests(3), packets(1), requests(4), packets(2)]);
    }
}
