//! Rules in words: the fault, the packets that it is for, and when it acts.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Connections, Direction, Filter, Protocol, Pulse, Rule};

use super::{fault, service};
use crate::quantity::{
    dscp_in_words, from_wire, length_in_words, ports_in_words, share_in_words, time_in_words,
};

/// A rule as a sentence's middle: `delay 100 ms: TCP packets that leave the target, port 80 (source or destination)`.
pub fn rule(rule: &Rule) -> String {
    let none = Filter::default();
    let filter = rule.filter.as_ref().unwrap_or(&none);
    let taken = match &rule.fault {
        Some(Fault::Http(http)) => service::requests(filter, http.door.as_ref()),
        Some(Fault::Grpc(grpc)) => service::requests(filter, grpc.door.as_ref()),
        Some(_) | None => packets(filter),
    };
    let mut text = format!("{}: {taken}", fault(rule));
    if let Some(pulse) = &rule.pulse {
        text.push_str("; ");
        text.push_str(&self::pulse(pulse));
    }
    text
}

/// When a rule acts: `2 s on and 8 s off by turns`.
pub fn pulse(pulse: &Pulse) -> String {
    format!(
        "{} on and {} off by turns",
        time_in_words(from_wire(pulse.on.as_ref())),
        time_in_words(from_wire(pulse.off.as_ref()))
    )
}

fn packets(filter: &Filter) -> String {
    let kind = match filter.protocol() {
        Protocol::Unspecified => "all",
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Icmp => "ICMP",
    };
    let (way, towards) = match filter.direction() {
        Direction::Unspecified | Direction::Egress => ("that leave the target", "to"),
        Direction::Ingress => ("that arrive at the target", "from"),
        Direction::Both => ("that leave the target or arrive at it", "to or from"),
    };
    let mut parts = vec![format!("{kind} packets {way}")];
    let lists = [
        ("source or destination", &filter.ports),
        ("target's", &filter.target_ports),
        ("peer's", &filter.peer_ports),
    ];
    for (whose, ports) in lists {
        if !ports.is_empty() {
            parts.push(format!("{whose} {}", ports_in_words(ports)));
        }
    }
    parts.extend(peers_in_words(towards, filter));
    if let Some(share) = filter.flows_ppm {
        parts.push(format!("of {} of the connections", share_in_words(share)));
    }
    match filter.connections() {
        Connections::Unspecified => {}
        Connections::New => parts.push("of connections opened meanwhile".to_owned()),
        Connections::Established => parts.push("of connections opened before".to_owned()),
    }
    if filter.syn_only {
        parts.push("that open a connection".to_owned());
    }
    if let Some(point) = filter.dscp {
        parts.push(format!("DSCP {}", dscp_in_words(point)));
    }
    if let Some(length) = filter.length {
        parts.push(length_in_words(length));
    }
    parts.join(", ")
}

/// The other side, where not all are meant.
pub(super) fn peers_in_words(towards: &str, filter: &Filter) -> Option<String> {
    match (&filter.peers[..], &filter.except_peers[..]) {
        ([], []) => None,
        (some, []) => Some(format!("{towards} {}", peers(some))),
        ([], not) => Some(format!("{towards} all but {}", peers(not))),
        (some, not) => Some(format!("{towards} {} but not {}", peers(some), peers(not))),
    }
}

fn peers(peers: &[String]) -> String {
    const SHOWN: usize = 4;
    match peers.len() {
        0..=SHOWN => peers.join(", "),
        more => format!("{} and {} more", peers[..SHOWN].join(", "), more - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::{LengthRange, PortRange};

    use super::*;

    #[test]
    fn everything_that_narrows_is_said() {
        let port = |port| {
            vec![PortRange {
                first: port,
                last: port,
            }]
        };
        let filter = Filter {
            direction: Direction::Both.into(),
            protocol: Protocol::Tcp.into(),
            ports: port(80),
            target_ports: port(3000),
            peer_ports: port(5432),
            peers: vec!["10.0.0.0/8".to_owned()],
            except_peers: vec!["10.1.0.0/16".to_owned()],
            flows_ppm: Some(100_000),
            connections: Connections::New.into(),
            syn_only: true,
            dscp: Some(46),
            length: Some(LengthRange {
                least: 100,
                most: 0,
            }),
        };
        assert_eq!(
            packets(&filter),
            "TCP packets that leave the target or arrive at it, source or destination port 80, target's port 3000, \
             peer's port 5432, to or from 10.0.0.0/8 but not 10.1.0.0/16, of 10 % of the connections, \
             of connections opened meanwhile, that open a connection, DSCP 46 (ef), at least 100 bytes"
        );
        let except = Filter {
            except_peers: vec!["10.0.0.7".to_owned()],
            connections: Connections::Established.into(),
            ..Filter::default()
        };
        assert_eq!(
            packets(&except),
            "all packets that leave the target, to all but 10.0.0.7, of connections opened before"
        );
    }
}
