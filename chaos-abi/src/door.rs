//! A door as the kernel sees it: what leads new connections for one port of a network namespace to the agent.
//!
//! Every namespace with doors has a copy of the program and of these maps.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Doors by port, in host order: `HashMap<u32, Door>`.
pub const DOORS: &str = "DOORS";
/// Listeners by [`Door::place`]: `SockMap`.
pub const SOCKETS: &str = "SOCKETS";
/// Connections that no door takes: `HashMap<Passed, u32>`, see [`PASSED_OWN`] and [`PASSED_SPARED`].
pub const PASSED: &str = "PASSED";
/// Peers that no door takes: `LpmTrie<[u32; 4], u32>`, addresses in network order, IPv4 mapped into IPv6.
pub const SPARED_PEERS: &str = "SPARED_PEERS";
/// Who was taken by doors that remember, see [`REMEMBERS`]: `HashMap<Passed, u32>`.
pub const TAKEN: &str = "TAKEN";
/// What doors did, by [`Door::place`]: `PerCpuArray<DoorCounters>`.
pub const DOOR_COUNTERS: &str = "DOOR_COUNTERS";
/// The program at the sockets' look-up.
pub const PROGRAM_DOOR: &str = "chaos_door";

/// Most doors of a namespace at a time, those that are closing with them.
pub const MAX_DOORS: u32 = 64;
/// Most entries of [`PASSED`]: connections that are about to be made, and what is spared.
pub const MAX_PASSED: u32 = 1 << 14;
/// Most entries of [`TAKEN`].
pub const MAX_TAKEN: u32 = 1 << 14;
/// Most entries of [`SPARED_PEERS`].
pub const MAX_SPARED_PEERS: u32 = 1 << 12;

/// Bit of [`Door::flags`]: takes connections from within the namespace too.
pub const TAKES_LOOPBACK: u32 = 1;
/// Bit of [`Door::flags`]: writes down whom it takes, so that they can be told from those who were there before.
pub const REMEMBERS: u32 = 2;

/// Value in [`PASSED`]: the agent's own connection to the application.
pub const PASSED_OWN: u32 = 1;
/// Value in [`PASSED`]: left alone, and counted.
pub const PASSED_SPARED: u32 = 2;

/// A door.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Door {
    /// It acts until then, in `CLOCK_MONOTONIC` nanoseconds; 0 until it is armed.
    pub deadline_ns: u64,
    /// Where its listener and counters are.
    pub place: u32,
    /// Bits, see above.
    pub flags: u32,
}

/// Who connects to which port, either of which may be any.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Passed {
    /// Address of the peer in network order, IPv4 mapped into IPv6.
    pub address: [u32; 4],
    /// The peer's port in host order; 0 for any.
    pub peer_port: u32,
    /// Port of the namespace in host order; 0 for any.
    pub own_port: u32,
}

impl Passed {
    /// From this port of this peer.
    #[inline]
    pub const fn from_port(address: [u32; 4], peer_port: u16) -> Self {
        Self {
            address,
            peer_port: peer_port as u32,
            own_port: 0,
        }
    }

    /// From this peer to this port.
    #[inline]
    pub const fn to_port(address: [u32; 4], own_port: u16) -> Self {
        Self {
            address,
            peer_port: 0,
            own_port: own_port as u32,
        }
    }
}

/// What a door did. Connections are counted when they are asked for: one whose first packet is lost is counted again.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct DoorCounters {
    /// Led to the agent.
    pub taken: u64,
    /// Left alone because their peer is spared.
    pub spared: u64,
}
