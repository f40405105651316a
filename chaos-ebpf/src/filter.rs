//! Whether a rule's filter takes a packet; the peers are looked up by the caller.

use chaos_abi::rule::{
    ARRIVAL, EGRESS, HAS_DSCP, INGRESS, MAX_PORT_RANGES, PORT_OF_PEER, PORT_OF_TARGET,
    PROTOCOL_ANY, PortRange, Rule, SOCKET, SYN_ONLY,
};

use crate::{
    chance::{self, MILLION},
    flow::Flow,
};

/// Which way a packet goes, seen from the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Leaving.
    Egress,
    /// Arriving.
    Ingress,
    /// Arriving, at XDP.
    Arrival,
    /// Arriving, at a socket.
    Socket,
}

impl Direction {
    /// Bit of [`Rule::directions`].
    #[inline(always)]
    pub const fn bit(self) -> u32 {
        match self {
            Self::Egress => EGRESS,
            Self::Ingress => INGRESS,
            Self::Arrival => ARRIVAL,
            Self::Socket => SOCKET,
        }
    }

    /// Address of the other side.
    #[inline(always)]
    pub const fn peer(self, flow: &Flow) -> [u32; 4] {
        match self {
            Self::Egress => flow.destination,
            Self::Ingress | Self::Arrival | Self::Socket => flow.source,
        }
    }

    /// The target's own port, and that of the other side, where the packet has them.
    #[inline(always)]
    pub const fn ports(self, flow: &Flow) -> Option<(u16, u16)> {
        match (flow.ports(), self) {
            (None, _) => None,
            (Some((source, destination)), Self::Egress) => Some((source, destination)),
            (Some((source, destination)), Self::Ingress | Self::Arrival | Self::Socket) => {
                Some((destination, source))
            }
        }
    }
}

/// Whether `rule`, found in the list of `target`, takes this packet; peers and connections are looked up by the caller.
#[inline(always)]
pub fn takes(rule: &Rule, target: u32, direction: Direction, flow: &Flow) -> bool {
    rule.target == target
        && rule.directions & direction.bit() != 0
        && (rule.protocol == PROTOCOL_ANY || rule.protocol == flow.protocol)
        && (rule.flags & HAS_DSCP == 0 || rule.dscp == flow.dscp())
        && (rule.flags & SYN_ONLY == 0 || flow.opens_connection())
        && (rule.port_count == 0 || ports_match(rule, direction, flow))
        && (rule.flows_ppm == MILLION || chance::hit(flow.connection(rule.seed), rule.flows_ppm))
}

#[inline(always)]
fn ports_match(rule: &Rule, direction: Direction, flow: &Flow) -> bool {
    let Some((target, peer)) = direction.ports(flow) else {
        return false;
    };
    let mut matched = 0;
    let mut index = 0;
    while index < MAX_PORT_RANGES && index < rule.port_count as usize {
        let PortRange {
            first, last, side, ..
        } = rule.ports[index];
        let has_target = first <= target && target <= last && side & PORT_OF_PEER == 0;
        let has_peer = first <= peer && peer <= last && side & PORT_OF_TARGET == 0;
        if has_target || has_peer {
            matched |= side;
        }
        index += 1;
    }
    u32::from(matched) == rule.port_sides
}

/// Whether a packet of so many bytes, as an Ethernet frame, is one that `rule` takes.
#[inline(always)]
pub const fn takes_length(rule: &Rule, length: u64) -> bool {
    rule.least_len as u64 <= length && length <= rule.most_len as u64
}

#[cfg(test)]
mod tests {
    use chaos_abi::rule::{PORT_OF_EITHER, PROTOCOL_TCP, PROTOCOL_UDP};

    use super::*;

    fn flow() -> Flow {
        Flow {
            source: [0, 0, 0xffff_u32.to_be(), 1],
            destination: [0, 0, 0xffff_u32.to_be(), 2],
            protocol: PROTOCOL_TCP,
            has_ports: 1,
            source_port: 40_000,
            destination_port: 3000,
            ..Flow::default()
        }
    }

    fn rule() -> Rule {
        Rule {
            target: 4,
            directions: EGRESS,
            flows_ppm: MILLION,
            ..Rule::default()
        }
    }

    fn ports(rule: &mut Rule, ranges: &[(u16, u16, u16)]) {
        for (to, &(first, last, side)) in rule.ports.iter_mut().zip(ranges) {
            *to = PortRange {
                first,
                last,
                side,
                reserved: 0,
            };
            rule.port_sides |= u32::from(side);
        }
        rule.port_count = ranges.len() as u32;
    }

    #[test]
    fn empty_filter_takes_its_direction_only() {
        assert!(takes(&rule(), 4, Direction::Egress, &flow()));
        assert!(!takes(&rule(), 4, Direction::Ingress, &flow()));
        let both = Rule {
            directions: EGRESS | INGRESS,
            ..rule()
        };
        assert!(takes(&both, 4, Direction::Ingress, &flow()));
    }

    #[test]
    fn rule_of_another_target_is_void() {
        assert!(!takes(&rule(), 5, Direction::Egress, &flow()));
    }

    #[test]
    fn protocol_must_be_equal() {
        assert!(takes(
            &Rule {
                protocol: PROTOCOL_TCP,
                ..rule()
            },
            4,
            Direction::Egress,
            &flow()
        ));
        assert!(!takes(
            &Rule {
                protocol: PROTOCOL_UDP,
                ..rule()
            },
            4,
            Direction::Egress,
            &flow()
        ));
    }

    #[test]
    fn either_port_in_any_range() {
        let with = |ranges: &[(u16, u16, u16)]| {
            let mut rule = rule();
            ports(&mut rule, ranges);
            takes(&rule, 4, Direction::Egress, &flow())
        };
        assert!(with(&[
            (80, 80, PORT_OF_EITHER),
            (2999, 3000, PORT_OF_EITHER)
        ]));
        assert!(with(&[
            (80, 80, PORT_OF_EITHER),
            (40_000, 40_000, PORT_OF_EITHER)
        ]));
        assert!(!with(&[(80, 80, PORT_OF_EITHER)]));
    }

    #[test]
    fn ports_of_each_side_that_is_named() {
        let with = |ranges: &[(u16, u16, u16)], direction| {
            let mut rule = Rule {
                directions: EGRESS | INGRESS,
                ..rule()
            };
            ports(&mut rule, ranges);
            takes(&rule, 4, direction, &flow())
        };
        let (egress, ingress) = (Direction::Egress, Direction::Ingress);
        assert!(with(&[(3000, 3000, PORT_OF_PEER)], egress));
        assert!(!with(&[(3000, 3000, PORT_OF_TARGET)], egress));
        assert!(with(&[(3000, 3000, PORT_OF_TARGET)], ingress));
        let both = [(3000, 3000, PORT_OF_PEER), (1, 39_999, PORT_OF_TARGET)];
        assert!(!with(&both, egress));
        let both = [(3000, 3000, PORT_OF_PEER), (1, 40_000, PORT_OF_TARGET)];
        assert!(with(&both, egress));
    }

    #[test]
    fn packet_without_ports_matches_no_port() {
        let mut rule = rule();
        ports(&mut rule, &[(0, u16::MAX, PORT_OF_EITHER)]);
        let no_ports = Flow {
            has_ports: 0,
            ..flow()
        };
        assert!(!takes(&rule, 4, Direction::Egress, &no_ports));
    }

    #[test]
    fn traffic_class_and_syn() {
        let expedited = Flow {
            traffic_class: 0xb9,
            tcp_flags: 0x02,
            ..flow()
        };
        let dscp = |dscp| Rule {
            flags: HAS_DSCP,
            dscp,
            ..rule()
        };
        assert!(takes(&dscp(46), 4, Direction::Egress, &expedited));
        assert!(!takes(&dscp(0), 4, Direction::Egress, &expedited));
        let syn = Rule {
            flags: SYN_ONLY,
            ..rule()
        };
        assert!(takes(&syn, 4, Direction::Egress, &expedited));
        let answer = Flow {
            tcp_flags: 0x12,
            ..flow()
        };
        assert!(!takes(&syn, 4, Direction::Egress, &answer));
    }

    #[test]
    fn share_of_flows_takes_both_directions_of_one_or_neither() {
        let rule = Rule {
            directions: EGRESS | INGRESS,
            flows_ppm: 300_000,
            seed: 3,
            ..rule()
        };
        let mut taken = 0;
        for source_port in 1..=u16::MAX {
            let there = Flow {
                source_port,
                ..flow()
            };
            let back = Flow {
                source: there.destination,
                destination: there.source,
                source_port: there.destination_port,
                destination_port: source_port,
                ..there
            };
            let takes_there = takes(&rule, 4, Direction::Egress, &there);
            assert_eq!(takes_there, takes(&rule, 4, Direction::Ingress, &back));
            taken += u32::from(takes_there);
        }
        // n = 65,535, p = 0.3: one standard error is 117, the bound is three of them.
        assert!((19_309..=20_012).contains(&taken), "{taken}");
    }

    #[test]
    fn length_in_bounds() {
        let rule = Rule {
            least_len: 100,
            most_len: 200,
            ..rule()
        };
        let bounds = [99, 100, 200, 201].map(|length| takes_length(&rule, length));
        assert_eq!(bounds, [false, true, true, false]);
    }

    #[test]
    fn peer_is_the_other_side() {
        assert_eq!(Direction::Egress.peer(&flow()), flow().destination);
        assert_eq!(Direction::Ingress.peer(&flow()), flow().source);
    }
}
