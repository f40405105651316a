//! A target as the kernel sees it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::rule::{
    ARRIVAL, EGRESS, INGRESS, PORT_OF_PEER, PORT_OF_TARGET, PROTOCOL_ANY, PROTOCOL_TCP,
    PROTOCOL_UDP, PortRange, Rule, SOCKET,
};

/// Most rules that act on one target at a time.
pub const MAX_RULES_PER_TARGET: usize = 16;

/// Position in [`Target::lines`] of the line for leaving packets.
pub const EGRESS_LINE: usize = 0;
/// Position in [`Target::lines`] of the line for arriving packets.
pub const INGRESS_LINE: usize = 1;

/// How many directions packets have: position in [`Target::wanted`].
pub const DIRECTIONS: usize = 4;
/// Position in [`Target::wanted`] of what is taken at XDP.
pub const ARRIVAL_PLACE: usize = 2;
/// Position in [`Target::wanted`] of what is taken at sockets.
pub const SOCKET_PLACE: usize = 3;

/// One interface in one network namespace.
///
/// Interface numbers repeat across namespaces, so a target has a number of its own: the entry program
/// of each attachment carries it as a constant.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Target {
    /// The target's interface, in its own namespace.
    pub ifindex: u32,
    /// How many of `rules` are in use.
    pub rule_count: u32,
    /// Interface numbers of the delay lines' near ends, one for each direction; 0 where there is none.
    pub lines: [u32; 2],
    /// What no rule touches here: bits, see below.
    pub protects: u32,
    /// 1 when a rule sends connections elsewhere, so that answers are translated.
    pub steers: u32,
    /// Slots of the rules.
    pub rules: [u32; MAX_RULES_PER_TARGET],
    /// What the rules together may take of the packets that leave, of those that arrive,
    /// of those at XDP, and of those at sockets.
    pub wanted: [Wanted; DIRECTIONS],
}

/// Bit of [`Target::protects`]: packets of peers that the trie has.
pub const PROTECTS_PEERS: u32 = 1;
/// Bit of [`Target::protects`]: packets of ports of peers.
pub const PROTECTS_PEER_PORTS: u32 = 2;
/// Bit of [`Target::protects`]: packets of ports of the target itself.
pub const PROTECTS_OWN_PORTS: u32 = 4;

/// Bit of [`Target::protects`]: ports of peers that only the node's own interfaces protect, beside the others.
pub const PROTECTS_FOR_NODE: u32 = 8;

/// A port that no rule touches.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct ProtectedPort {
    /// Address of the peer in network order, IPv4 mapped into IPv6; zeros where it is the target's own port.
    pub address: [u32; 4],
    /// In host order.
    pub port: u16,
    /// [`PORT_OF_TARGET`] or [`PORT_OF_PEER`].
    pub side: u16,
}

impl ProtectedPort {
    /// Of a peer.
    #[inline]
    pub const fn of_peer(address: [u32; 4], port: u16) -> Self {
        Self {
            address,
            port,
            side: PORT_OF_PEER,
        }
    }

    /// Of a peer, on targets with these bits of [`Target::protects`].
    #[inline]
    pub const fn of_peer_seen_by(protects: u32, address: [u32; 4], port: u16) -> Self {
        Self {
            address,
            port,
            side: PORT_OF_PEER + (protects & PROTECTS_FOR_NODE) as u16,
        }
    }

    /// Of the target.
    #[inline]
    pub const fn own(port: u16) -> Self {
        Self {
            address: [0; 4],
            port,
            side: PORT_OF_TARGET,
        }
    }
}

/// Bit of [`Wanted::protocols`].
pub const WANTS_TCP: u32 = 1;
/// Bit of [`Wanted::protocols`].
pub const WANTS_UDP: u32 = 2;

/// What no rule can take passes without a look at the rules. This says no to much of it, and never to what one takes.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Wanted {
    /// Bits: see above.
    pub protocols: u32,
    /// Keeps the layout free of padding.
    pub reserved: u32,
    /// Bit n: some rule takes a port that is n modulo 64. All, where a rule takes any port.
    pub ports: u64,
}

impl Wanted {
    /// Bit of [`Wanted::ports`].
    #[inline]
    pub const fn port(port: u16) -> u64 {
        1 << (port % 64)
    }

    /// What one more rule takes of packets of each direction.
    pub fn add(all: &mut [Self; DIRECTIONS], rule: &Rule) {
        let protocols = match rule.protocol {
            PROTOCOL_ANY => WANTS_TCP | WANTS_UDP,
            PROTOCOL_TCP => WANTS_TCP,
            PROTOCOL_UDP => WANTS_UDP,
            // Of others, every packet gets the whole look.
            _ => 0,
        };
        let used = rule.ports.iter().take(rule.port_count as usize);
        let ports = if rule.port_count == 0 {
            u64::MAX
        } else {
            used.fold(0, |ports, &PortRange { first, last, .. }| {
                // 64 ports in a row are all there are modulo 64.
                let last = last.min(first.saturating_add(63));
                (first..=last).fold(ports, |ports, port| ports | Self::port(port))
            })
        };
        for (wanted, direction) in all.iter_mut().zip([EGRESS, INGRESS, ARRIVAL, SOCKET]) {
            if rule.directions & direction != 0 {
                wanted.protocols |= protocols;
                wanted.ports |= ports;
            }
        }
    }
}
