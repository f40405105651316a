//! Whether a door takes a new connection.

use chaos_abi::{
    door::{Door, Passed, TAKES_LOOPBACK},
    maps::LIVENESS_LIMIT_NS,
};

/// Number of the loopback in every namespace.
const LOOPBACK_IFINDEX: u32 = 1;

/// A connection that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knock {
    /// Address of who asks, in network order, IPv4 mapped into IPv6.
    pub peer: [u32; 4],
    /// Address that is asked for, the same way.
    pub own: [u32; 4],
    /// Port of who asks, in host order.
    pub peer_port: u16,
    /// Port that is asked for, in host order.
    pub port: u16,
    /// Number of the interface that it came by.
    pub ifindex: u32,
}

impl Knock {
    /// An IPv4 address as the maps have it.
    #[inline(always)]
    pub const fn mapped(address: u32) -> [u32; 4] {
        [0, 0, 0xffff_u32.to_be(), address]
    }

    /// The connection.
    #[inline(always)]
    pub const fn taken(&self) -> Passed {
        Passed {
            address: self.peer,
            peer_port: self.peer_port as u32,
            own_port: self.port as u32,
        }
    }

    /// The entry that stands for the asker's port, and the one that stands for the asker and this port.
    #[inline(always)]
    pub const fn passed(&self) -> [Passed; 2] {
        [
            Passed::from_port(self.peer, self.peer_port),
            Passed::to_port(self.peer, self.port),
        ]
    }
}

/// Whether the door is armed, its deadline has not come, and the agent gave a sign of life not long ago: nothing else ends
/// the steering when the agent hangs.
#[inline(always)]
pub const fn acts(door: &Door, now_ns: u64, alive_ns: u64) -> bool {
    now_ns < door.deadline_ns && now_ns.saturating_sub(alive_ns) <= LIVENESS_LIMIT_NS
}

/// Whether the door takes connections that come this way. From within the namespace come those of the loopback, and those
/// that an address makes to itself: for them the kernel names the interface that has the address.
#[inline(always)]
pub const fn takes_from(door: &Door, knock: &Knock) -> bool {
    door.flags & TAKES_LOOPBACK != 0
        || knock.ifindex != LOOPBACK_IFINDEX && !are_same(knock.peer, knock.own)
}

#[inline(always)]
const fn are_same(a: [u32; 4], b: [u32; 4]) -> bool {
    a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn door(flags: u32) -> Door {
        Door {
            deadline_ns: 100 * SECOND,
            place: 0,
            flags,
        }
    }

    #[test]
    fn acts_until_the_deadline() {
        assert!(acts(&door(0), 99 * SECOND, 99 * SECOND));
        assert!(acts(&door(0), 100 * SECOND - 1, 99 * SECOND));
        assert!(!acts(&door(0), 100 * SECOND, 100 * SECOND));
        assert!(!acts(&Door::default(), SECOND, SECOND), "not armed");
    }

    #[test]
    fn acts_while_the_agent_lives() {
        let last = 50 * SECOND;
        assert!(acts(&door(0), last + LIVENESS_LIMIT_NS, last));
        assert!(!acts(&door(0), last + LIVENESS_LIMIT_NS + 1, last));
        // The stamp may be younger than what this CPU reads.
        assert!(acts(&door(0), last - 1, last));
    }

    #[test]
    fn takes_loopback_only_where_it_is_told() {
        let [near, far] = [1, 2].map(|last| Knock::mapped(u32::from_ne_bytes([10, 0, 0, last])));
        let knock = |peer, ifindex| Knock {
            peer,
            own: near,
            peer_port: 40_000,
            port: 80,
            ifindex,
        };
        for (knock, is_loopback) in [
            (knock(far, 2), false),
            (knock(far, 1), true),
            (knock(near, 1), true),
            (knock(near, 2), true),
        ] {
            assert_eq!(takes_from(&door(0), &knock), !is_loopback, "{knock:?}");
            assert!(takes_from(&door(TAKES_LOOPBACK), &knock));
        }
    }

    #[test]
    fn entries_are_those_that_the_agent_writes() {
        let peer = Knock::mapped(u32::from_ne_bytes([10, 0, 0, 2]));
        let knock = Knock {
            peer,
            own: [0; 4],
            peer_port: 40_000,
            port: 80,
            ifindex: 2,
        };
        assert_eq!(
            knock.passed(),
            [
                Passed {
                    address: peer,
                    peer_port: 40_000,
                    own_port: 0
                },
                Passed {
                    address: peer,
                    peer_port: 0,
                    own_port: 80
                }
            ]
        );
        let bytes: std::vec::Vec<u8> = peer.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let address = core::net::Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped();
        assert_eq!(bytes, address.octets());
    }
}
