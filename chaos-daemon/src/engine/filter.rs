//! Which packets of a target a rule takes.

use ipnet::IpNet;

use super::{datapath::Way, error::SpecError, fault::Ppm};

/// Most port ranges of a rule.
const MOST_PORT_RANGES: usize = chaos_abi::rule::MAX_PORT_RANGES;
/// Most peers and exceptions of a rule.
const MOST_PEERS: usize = 16_384;
/// Largest value of six bits.
const LARGEST_DSCP: u8 = 63;

/// Which packets: all that is given must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Which way.
    pub direction: Direction,
    /// Which protocol; nothing means any.
    pub protocol: Option<Protocol>,
    /// Ports, by whose they are; a side without any takes all.
    pub ports: Vec<(Side, PortRange)>,
    /// The other side in one of these; empty means any.
    pub peers: Vec<IpNet>,
    /// The other side in none of these.
    pub exceptions: Vec<IpNet>,
    /// Share of the connections.
    pub flows: Ppm,
    /// Which TCP connections.
    pub connections: Connections,
    /// Only packets that open a TCP connection.
    pub syn_only: bool,
    /// Differentiated services code point; nothing means any.
    pub dscp: Option<u8>,
    /// Least and largest length of a frame.
    pub length: (u32, u32),
}

/// Which way packets go, seen from the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Leaving.
    Egress,
    /// Arriving.
    Ingress,
    /// Either.
    Both,
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and `ICMPv6`.
    Icmp,
}

/// Whose port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Either's.
    Either,
    /// The target's own.
    Target,
    /// The other side's.
    Peer,
}

/// Ports from first to last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// Lowest.
    pub first: u16,
    /// Highest.
    pub last: u16,
}

/// Which TCP connections, by when they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// All.
    All,
    /// While the rule acted.
    New,
    /// Before.
    Established,
}

impl Default for Filter {
    /// Everything that leaves.
    fn default() -> Self {
        Self {
            direction: Direction::Egress,
            protocol: None,
            ports: Vec::new(),
            peers: Vec::new(),
            exceptions: Vec::new(),
            flows: Ppm::ALL,
            connections: Connections::All,
            syn_only: false,
            dscp: None,
            length: (0, u32::MAX),
        }
    }
}

impl Filter {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let is_tcp = self.protocol == Some(Protocol::Tcp);
        if self.ports.len() > MOST_PORT_RANGES {
            return Err(SpecError::PortRangeCount {
                count: self.ports.len(),
                most: MOST_PORT_RANGES,
            });
        }
        let peers = self.peers.len() + self.exceptions.len();
        if peers > MOST_PEERS {
            return Err(SpecError::PeerCount {
                count: peers,
                most: MOST_PEERS,
            });
        }
        if let Some(both) = self.exceptions.iter().find(|net| self.peers.contains(net)) {
            return Err(SpecError::PeerAndException(*both));
        }
        if !self.ports.is_empty() && self.protocol == Some(Protocol::Icmp) {
            return Err(SpecError::PortsOfIcmp);
        }
        if (self.syn_only || self.connections != Connections::All) && !is_tcp {
            return Err(SpecError::OnlyTcpConnects);
        }
        if let Some(dscp) = self.dscp.filter(|dscp| *dscp > LARGEST_DSCP) {
            return Err(SpecError::Dscp(dscp.into()));
        }
        if self.length.0 > self.length.1 {
            return Err(SpecError::Length {
                least: self.length.0,
                most: self.length.1,
            });
        }
        self.flows.check("a share of the connections")
    }
}

impl Direction {
    /// The ways it stands for.
    pub const fn ways(self) -> &'static [Way] {
        use Way::{Egress, Ingress};
        match self {
            Self::Egress => &[Egress],
            Self::Ingress => &[Ingress],
            Self::Both => &[Egress, Ingress],
        }
    }
}
