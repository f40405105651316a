//! Filters: from messages, and back.

use std::net::IpAddr;

use chaos_proto::v1;
use ipnet::IpNet;

use super::wire::RequestError;
use crate::engine::{Connections, Direction, Filter, PortRange, Ppm, Protocol, Side, SpecError};

/// Largest length that the message says means no bound.
const NO_BOUND: u32 = 0;

pub(super) fn read(filter: &v1::Filter) -> Result<Filter, RequestError> {
    let unknown = |what, value| RequestError::Unknown { what, value };
    let direction = match v1::Direction::try_from(filter.direction) {
        Ok(v1::Direction::Unspecified | v1::Direction::Egress) => Direction::Egress,
        Ok(v1::Direction::Ingress) => Direction::Ingress,
        Ok(v1::Direction::Both) => Direction::Both,
        Err(_) => return Err(unknown("direction", filter.direction)),
    };
    let connections = match v1::Connections::try_from(filter.connections) {
        Ok(v1::Connections::Unspecified) => Connections::All,
        Ok(v1::Connections::New) => Connections::New,
        Ok(v1::Connections::Established) => Connections::Established,
        Err(_) => return Err(unknown("kind of connections", filter.connections)),
    };
    let of_connections = filter.syn_only || connections != Connections::All;
    let protocol = match v1::Protocol::try_from(filter.protocol) {
        // Only TCP opens connections: who asks for them means TCP.
        Ok(v1::Protocol::Unspecified) if of_connections => Some(Protocol::Tcp),
        Ok(v1::Protocol::Unspecified) => None,
        Ok(v1::Protocol::Tcp) => Some(Protocol::Tcp),
        Ok(v1::Protocol::Udp) => Some(Protocol::Udp),
        Ok(v1::Protocol::Icmp) => Some(Protocol::Icmp),
        Err(_) => return Err(unknown("protocol", filter.protocol)),
    };
    let mut all_ports = Vec::new();
    for (side, ranges) in [
        (Side::Either, &filter.ports),
        (Side::Target, &filter.target_ports),
        (Side::Peer, &filter.peer_ports),
    ] {
        for range in ranges {
            all_ports.push((side, ports(*range)?));
        }
    }
    let dscp = |value: u32| u8::try_from(value).map_err(|_| SpecError::Dscp(value));
    Ok(Filter {
        direction,
        protocol,
        ports: all_ports,
        peers: nets(&filter.peers)?,
        exceptions: nets(&filter.except_peers)?,
        flows: filter.flows_ppm.map_or(Ppm::ALL, Ppm),
        connections,
        syn_only: filter.syn_only,
        dscp: filter.dscp.map(dscp).transpose()?,
        length: filter.length.map_or((0, u32::MAX), |length| {
            let most = match length.most {
                NO_BOUND => u32::MAX,
                most => most,
            };
            (length.least, most)
        }),
    })
}

fn ports(v1::PortRange { first, last }: v1::PortRange) -> Result<PortRange, SpecError> {
    match (u16::try_from(first), u16::try_from(last)) {
        (Ok(low), Ok(high)) if 0 < low && low <= high => Ok(PortRange {
            first: low,
            last: high,
        }),
        _ => Err(SpecError::PortRange { first, last }),
    }
}

fn nets(texts: &[String]) -> Result<Vec<IpNet>, RequestError> {
    texts.iter().map(|text| peer(text)).collect()
}

fn peer(text: &str) -> Result<IpNet, RequestError> {
    let host = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| host())
        .map_err(|_| RequestError::Peer(text.to_owned()))
}

pub(super) fn write(filter: &Filter) -> v1::Filter {
    let direction = match filter.direction {
        Direction::Egress => v1::Direction::Egress,
        Direction::Ingress => v1::Direction::Ingress,
        Direction::Both => v1::Direction::Both,
    };
    let protocol = match filter.protocol {
        None => v1::Protocol::Unspecified,
        Some(Protocol::Tcp) => v1::Protocol::Tcp,
        Some(Protocol::Udp) => v1::Protocol::Udp,
        Some(Protocol::Icmp) => v1::Protocol::Icmp,
    };
    let connections = match filter.connections {
        Connections::All => v1::Connections::Unspecified,
        Connections::New => v1::Connections::New,
        Connections::Established => v1::Connections::Established,
    };
    let ports_of = |wanted: Side| {
        let ranges = filter.ports.iter().filter(|(side, _)| *side == wanted);
        let range = |(_, range): &(Side, PortRange)| v1::PortRange {
            first: range.first.into(),
            last: range.last.into(),
        };
        ranges.map(range).collect()
    };
    let texts = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect();
    let (least, most) = filter.length;
    v1::Filter {
        direction: direction.into(),
        protocol: protocol.into(),
        ports: ports_of(Side::Either),
        target_ports: ports_of(Side::Target),
        peer_ports: ports_of(Side::Peer),
        peers: texts(&filter.peers),
        except_peers: texts(&filter.exceptions),
        flows_ppm: (filter.flows != Ppm::ALL).then_some(filter.flows.0),
        connections: connections.into(),
        syn_only: filter.syn_only,
        dscp: filter.dscp.map(u32::from),
        length: (filter.length != (0, u32::MAX)).then_some(v1::LengthRange {
            least,
            most: if most == u32::MAX { NO_BOUND } else { most },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_alone_is_a_host() {
        assert_eq!(peer("10.0.0.1"), Ok("10.0.0.1/32".parse().unwrap()));
        assert_eq!(peer("fd00::1"), Ok("fd00::1/128".parse().unwrap()));
        assert!(peer("10.0.0.1/33").is_err());
        assert!(peer("provider").is_err());
    }

    #[test]
    fn a_range_of_ports_goes_upwards() {
        for (first, last) in [(0, 5), (5, 4), (1, 65_536)] {
            assert!(
                ports(v1::PortRange { first, last }).is_err(),
                "{first}-{last}"
            );
        }
    }

    #[test]
    fn connections_are_those_of_tcp() {
        let new = v1::Filter {
            connections: v1::Connections::New.into(),
            ..v1::Filter::default()
        };
        assert_eq!(read(&new).unwrap().protocol, Some(Protocol::Tcp));
        let all = v1::Filter::default();
        assert_eq!(read(&all).unwrap().protocol, None);
    }

    #[test]
    fn what_is_read_is_written_again() {
        let range = |first, last| vec![v1::PortRange { first, last }];
        let filter = v1::Filter {
            direction: v1::Direction::Both.into(),
            protocol: v1::Protocol::Tcp.into(),
            ports: range(80, 81),
            target_ports: range(1, 2),
            peer_ports: range(3, 4),
            peers: vec!["10.0.0.0/8".into()],
            except_peers: vec!["10.1.0.0/16".into()],
            flows_ppm: Some(100_000),
            connections: v1::Connections::New.into(),
            syn_only: true,
            dscp: Some(46),
            length: Some(v1::LengthRange {
                least: 100,
                most: 0,
            }),
        };
        assert_eq!(write(&read(&filter).unwrap()), filter);
    }
}
