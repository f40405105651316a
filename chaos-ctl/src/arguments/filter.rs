//! Filters: which packets of a target.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use chaos_proto::v1::{Connections, Direction, Filter, LengthRange, PortRange, Protocol};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::text;
use crate::cluster::Names;
use crate::quantity::{
    Peer, PeerName, Peers, Port, Share, dscp, exceptions, length, peers, percent, port_or_name,
    read_ports,
};

/// Which packets of the target; all that is given must match. In a file, the keys of `filter`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[command(next_help_heading = "Filters: which packets (all that is given must match)")]
pub struct FilterArgs {
    /// Direction of the packets, seen from the target [default: egress; of a partition and a reset: both]
    ///
    /// With egress, what the target sends is affected: the answers of a server, the questions of a client. One
    /// direction is enough to make each round trip slower or lossy; with both, it is hit twice.
    #[arg(long, value_enum)]
    pub direction: Option<DirectionArg>,

    /// Transport protocol [default: any]
    ///
    /// icmp means ICMP and ICMPv6, without neighbour discovery.
    #[arg(long, value_enum)]
    pub proto: Option<ProtocolArg>,

    /// Ports and ranges: a packet matches when its source OR its destination port is one of them [default: any]
    ///
    /// From 1 to 65535, such as 80, 80,443 or 8000-8100; at most 8 over all three options for ports; TCP and UDP only.
    /// It is the port that the target itself uses or talks to.
    ///
    /// With --svc in a cluster it is a port of the service, by number or name, and the pods' own port behind it is what
    /// must match: 3001 of a service 3001 → 3000 means port 3000 of its pods. With other selectors of pods a name is that
    /// of a container's port.
    #[arg(
        long = "port",
        value_name = "P[,P|A-B]",
        value_delimiter = ',',
        value_parser = port_or_name,
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "text::named_ports")]
    pub ports: Vec<Port>,

    /// Ports on the target's own side: of a server, the one that it listens on [default: any]
    #[arg(
        long = "target-port",
        value_name = "P[,P|A-B]",
        value_delimiter = ',',
        value_parser = read_ports,
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "text::ports")]
    pub target_ports: Vec<PortRange>,

    /// Ports on the other side: of a client, the one that it talks to [default: any]
    #[arg(
        long = "peer-port",
        value_name = "P[,P|A-B]",
        value_delimiter = ',',
        value_parser = read_ports,
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "text::ports")]
    pub peer_ports: Vec<PortRange>,

    /// The other side: where egress packets go to and ingress packets come from [default: any]
    ///
    /// Addresses and CIDRs, such as 10.0.0.7, 10.0.0.0/8 or fd00::/64; at most 16384, together with those of --except.
    ///
    /// Names stand for all addresses that they have when the fault starts. A host name with a dot (db.example.com) is
    /// looked up where chaosctl runs. In a cluster: svc/NAME or svc/NAME.NAMESPACE (the service's own addresses and
    /// those of its endpoints), pod/NAME or pod/NAME.NAMESPACE, ns/NAME (the pods of a namespace), node/NAME, and pods
    /// by their labels: `-l app=web,tier!=db` or label/app=web, with @NAMESPACE at the end for those of another one.
    /// While chaosctl is attached, those in a cluster follow what changes there.
    #[arg(
        long = "peer",
        value_name = "PEER[,PEER]",
        value_parser = peers,
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "text::peers")]
    pub peers: Vec<Peers>,

    /// The other side of packets that do not match, although --peer has it, or is not given; written as for --peer
    ///
    /// Where both have an address, the longer prefix decides: `--peer 10.0.0.0/8 --except 10.1.0.0/16 --peer 10.1.2.3`
    /// takes 10.1.2.3, and nothing else of 10.1.0.0/16.
    #[arg(
        long = "except",
        visible_alias = "except-peer",
        value_name = "PEER[,PEER]",
        value_parser = exceptions,
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "text::exceptions")]
    pub except: Vec<Peers>,

    /// Share of the connections, all packets of each or none [default: 100%]
    ///
    /// In percent, above 0. It is drawn from addresses and ports, so it is the same connections all the time; of UDP,
    /// pairs of address and port.
    #[arg(long, value_name = "PERCENT", value_parser = percent, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::percent")]
    pub percent_flows: Option<Share>,

    /// TCP connections by when they were opened [default: all]
    ///
    /// new: those whose first packet passed while the fault acted; established: all others.
    #[arg(long, value_enum)]
    pub connections: Option<ConnectionsArg>,

    /// Differentiated services code point: 0 to 63, ef, cs0 to cs7, or af11 to af43 [default: any]
    #[arg(long = "match-dscp", value_name = "DSCP", value_parser = dscp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::dscp")]
    pub dscp: Option<u32>,

    /// Length of the Ethernet frame in bytes, both ends included: A-B, A- or -B [default: any]
    ///
    /// Such as 1000-1514, 1000- or -128; at most 65535. Of a packet that the network card has yet to cut into segments,
    /// the length of one segment.
    #[arg(long, value_name = "A-B", value_parser = length, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::length")]
    pub length: Option<LengthRange>,
}

/// TCP connections by when they were opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionsArg {
    /// Opened while the fault acts
    New,
    /// All others
    Established,
}

/// Direction of a packet, seen from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectionArg {
    /// Packets that leave the target
    Egress,
    /// Packets that arrive at the target
    Ingress,
    /// All of them
    Both,
}

/// Transport protocol of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolArg {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// ICMP and ICMPv6
    Icmp,
}

impl FilterArgs {
    /// What it names.
    pub fn names(&self) -> Names {
        let ports = self.ports.iter().filter_map(|port| match port {
            Port::Range(_) => None,
            Port::Name(name) => Some(name.clone()),
        });
        Names {
            ports: ports.collect(),
            peers: names(&self.peers),
            except: names(&self.except),
        }
    }

    /// As the wire has it, without what it names; the direction unspecified unless it was given.
    pub fn to_wire(&self) -> Filter {
        let direction = match self.direction {
            None => Direction::Unspecified,
            Some(DirectionArg::Egress) => Direction::Egress,
            Some(DirectionArg::Ingress) => Direction::Ingress,
            Some(DirectionArg::Both) => Direction::Both,
        };
        let protocol = match self.proto {
            None => Protocol::Unspecified,
            Some(ProtocolArg::Tcp) => Protocol::Tcp,
            Some(ProtocolArg::Udp) => Protocol::Udp,
            Some(ProtocolArg::Icmp) => Protocol::Icmp,
        };
        let connections = match self.connections {
            None => Connections::Unspecified,
            Some(ConnectionsArg::New) => Connections::New,
            Some(ConnectionsArg::Established) => Connections::Established,
        };
        Filter {
            direction: direction.into(),
            protocol: protocol.into(),
            ports: ranges(&self.ports),
            target_ports: self.target_ports.clone(),
            peer_ports: self.peer_ports.clone(),
            peers: addresses(&self.peers),
            except_peers: addresses(&self.except),
            flows_ppm: self.percent_flows.map(Share::ppm),
            connections: connections.into(),
            syn_only: false,
            dscp: self.dscp,
            length: self.length,
        }
    }
}

fn ranges(ports: &[Port]) -> Vec<PortRange> {
    let numbers = ports.iter().filter_map(|port| match port {
        Port::Range(range) => Some(*range),
        Port::Name(_) => None,
    });
    numbers.collect()
}

fn addresses(peers: &[Peers]) -> Vec<String> {
    let addresses = peers.iter().flatten().filter_map(|peer| match peer {
        Peer::Address(address) => Some(address.clone()),
        Peer::Named(_) => None,
    });
    addresses.collect()
}

fn names(peers: &[Peers]) -> Vec<PeerName> {
    let names = peers.iter().flatten().filter_map(|peer| match peer {
        Peer::Address(_) => None,
        Peer::Named(name) => Some(name.clone()),
    });
    names.collect()
}
