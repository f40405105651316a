//! A rule as the kernel sees it: filter and fault. When it acts, and what it remembers from packet to packet, live
//! in maps of their own.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most port ranges that one rule holds.
pub const MAX_PORT_RANGES: usize = 8;

/// Bit of [`Rule::directions`]: packets that leave the target.
pub const EGRESS: u32 = 1;
/// Bit of [`Rule::directions`]: packets that arrive at the target.
pub const INGRESS: u32 = 2;

/// Bit of [`Rule::directions`]: packets that arrive at the node, at XDP; the rule then leaves them alone further up.
pub const ARRIVAL: u32 = 4;

/// Bit of [`Rule::directions`]: packets that arrive at a socket of the node, of a rule for a cgroup.
pub const SOCKET: u32 = 8;

/// Value of [`Rule::protocol`]: any protocol. Other values are IP protocol numbers; `ICMPv6` counts as
/// [`PROTOCOL_ICMP`].
pub const PROTOCOL_ANY: u32 = 0;
/// ICMP and `ICMPv6`.
pub const PROTOCOL_ICMP: u32 = 1;
/// TCP.
pub const PROTOCOL_TCP: u32 = 6;
/// UDP.
pub const PROTOCOL_UDP: u32 = 17;

/// Value of [`Rule::fault`]: hold the packet.
pub const FAULT_DELAY: u32 = 1;
/// Value of [`Rule::fault`]: drop the packet.
pub const FAULT_LOSS: u32 = 2;
/// Value of [`Rule::fault`]: send the packet twice.
pub const FAULT_DUPLICATE: u32 = 3;
/// Value of [`Rule::fault`]: flip a bit of the packet's payload.
pub const FAULT_CORRUPT: u32 = 4;
/// Value of [`Rule::fault`]: hold the packet until the bandwidth has room for it.
pub const FAULT_RATE: u32 = 5;
/// Value of [`Rule::fault`]: drop the packet, and tell its sender so.
pub const FAULT_REJECT: u32 = 6;
/// Value of [`Rule::fault`]: end the packet's connection, on both sides.
pub const FAULT_RESET: u32 = 7;
/// Value of [`Rule::fault`]: write into the packet.
pub const FAULT_REWRITE: u32 = 8;
/// Value of [`Rule::fault`]: answer the question that the packet asks of DNS.
pub const FAULT_DNS: u32 = 9;

/// Bit of [`Rule::flags`]: the other side's address must be among the rule's peers.
pub const HAS_PEERS: u32 = 1;
/// Bit of [`Rule::flags`]: the other side's address must not be among the rule's exceptions.
pub const HAS_EXCEPTIONS: u32 = 1 << 1;
/// Bit of [`Rule::flags`]: only TCP packets that open a connection.
pub const SYN_ONLY: u32 = 1 << 2;
/// Bit of [`Rule::flags`]: only TCP connections that were opened while the rule acted.
pub const NEW_CONNECTIONS: u32 = 1 << 3;
/// Bit of [`Rule::flags`]: only TCP connections that were not.
pub const OLD_CONNECTIONS: u32 = 1 << 4;
/// Bit of [`Rule::flags`]: the packet's DSCP must be [`Rule::dscp`].
pub const HAS_DSCP: u32 = 1 << 5;
/// Bit of [`Rule::flags`]: a held packet may leave before its predecessor.
pub const REORDERS: u32 = 1 << 6;
/// Bit of [`Rule::flags`]: each flow has the bandwidth for itself.
pub const PER_FLOW: u32 = 1 << 7;

/// Bit of [`Rule::flags`]: the rule came after one that held packets for different times, which they must not overtake.
pub const FOLLOWS: u32 = 1 << 8;

/// Bit of [`Rule::flags`]: packets between a port of the target and some addresses are left alone; see [`spared_set`].
pub const SPARES: u32 = 1 << 9;

/// Value of [`Rule::choice`]: each packet by itself, or after its predecessor where there is correlation.
pub const CHOICE_RANDOM: u32 = 0;
/// Value of [`Rule::choice`]: the Gilbert-Elliott model.
pub const CHOICE_GILBERT_ELLIOTT: u32 = 1;
/// Value of [`Rule::choice`]: the four-state Markov model.
pub const CHOICE_FOUR_STATES: u32 = 2;
/// Value of [`Rule::choice`]: every so-manieth packet.
pub const CHOICE_EVERY: u32 = 3;
/// Value of [`Rule::choice`]: the first packets of each flow.
pub const CHOICE_FIRST: u32 = 4;

/// Value of [`Rule::ramps`]: nothing changes.
pub const RAMPS_NOTHING: u32 = 0;
/// Value of [`Rule::ramps`]: the middle of the delay changes, in nanoseconds.
pub const RAMPS_DELAY: u32 = 1;
/// Value of [`Rule::ramps`]: the share of the packets changes, in parts per million.
pub const RAMPS_SHARE: u32 = 2;
/// Value of [`Rule::ramps`]: the bandwidth changes, in bytes per second.
pub const RAMPS_RATE: u32 = 3;
/// Value of [`Rule::ramps`]: the share of the connections changes, in parts per million.
pub const RAMPS_CONNECTIONS: u32 = 4;

/// Bit of [`PortRange::side`]: either port of the packet.
pub const PORT_OF_EITHER: u16 = 1;
/// Bit of [`PortRange::side`]: the port on the target's side.
pub const PORT_OF_TARGET: u16 = 2;
/// Bit of [`PortRange::side`]: the port on the other side.
pub const PORT_OF_PEER: u16 = 4;

/// Ports from first to last, both included, in host order.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct PortRange {
    /// Lowest port.
    pub first: u16,
    /// Highest port.
    pub last: u16,
    /// Whose: one of the bits above.
    pub side: u16,
    /// Keeps the layout free of padding.
    pub reserved: u16,
}

/// Which packets of which target, and what happens to them.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Rule {
    /// Seed of the per-packet decisions.
    pub seed: u64,
    /// Middle of the delay, in nanoseconds.
    pub delay_ns: u64,
    /// The delay is uniform in `delay_ns - jitter_ns ..= delay_ns + jitter_ns`. At most `delay_ns`.
    pub jitter_ns: u64,
    /// Time over which what `ramps` says goes from `ramp_from` to what the rule has; 0: at once.
    pub ramp_ns: u64,
    /// What it is at the beginning, in the unit that it has.
    pub ramp_from: u64,
    /// The rule acts for so long at the beginning of each period, in nanoseconds.
    pub pulse_on_ns: u64,
    /// Length of a period; 0: it acts all the time.
    pub pulse_period_ns: u64,
    /// Bandwidth in wire bytes per second.
    pub rate_bytes_per_s: u64,
    /// How far the bandwidth may be used in advance, as the time that this takes.
    pub burst_ns: u64,
    /// A packet that would have to wait for longer is dropped.
    pub queue_ns: u64,
    /// Of a bandwidth that changes: how far it may be used in advance at least, in bytes.
    pub burst_bytes: u64,
    /// Of a bandwidth that changes: how much may wait at least, in bytes.
    pub queue_bytes: u64,
    /// A connection lives for so long after its first packet that matched, in nanoseconds.
    pub after_ns: u64,
    /// A connection lives until it has carried so many bytes, both directions together.
    pub after_bytes: u64,
    /// Tells it from every other rule, also from those that used its slot before. A rule that is changed keeps it, and with
    /// it what is remembered of flows.
    pub identity: u64,
    /// Nothing that the rule holds leaves before, in `CLOCK_MONOTONIC` nanoseconds: until then, packets leave that were
    /// held longer by the rule that was here before.
    pub not_before_ns: u64,
    /// The cgroup whose sockets' packets it takes; 0: any.
    pub cgroup_id: u64,
    /// The target whose packets this rule may touch. A stale reference from another target is thereby void.
    pub target: u32,
    /// [`EGRESS`], [`INGRESS`] or both; [`ARRIVAL`] or [`SOCKET`] in place of
    /// [`INGRESS`].
    pub directions: u32,
    /// [`PROTOCOL_ANY`] or what it must be.
    pub protocol: u32,
    /// Bits: see above.
    pub flags: u32,
    /// What happens.
    pub fault: u32,
    /// How the packets that it happens to are chosen among those that match.
    pub choice: u32,
    /// Share of the packets that are chosen, in parts per million.
    pub share_ppm: u32,
    /// How much a decision repeats the one before, in parts per million.
    pub correlation_ppm: u32,
    /// Probabilities of the models, in parts per million: p, r, loss in the bad state, loss in the good one; or p13, p31,
    /// p32, p23, p14. Of a reset, the first is the share of the connections that end.
    pub model_ppm: [u32; 5],
    /// Of [`CHOICE_EVERY`] and [`CHOICE_FIRST`]. For the others, at least so many packets lie between two that are chosen.
    pub count: u32,
    /// One more than the number of the table of quantiles that the delay is drawn from; 0: it has none.
    pub table: u32,
    /// Value of the six bits.
    pub dscp: u32,
    /// Share of the flows whose packets match, in parts per million.
    pub flows_ppm: u32,
    /// Smallest packet that matches, as the length of its Ethernet frame.
    pub least_len: u32,
    /// Largest packet that matches.
    pub most_len: u32,
    /// How many of `ports` are in use; 0 means any port.
    pub port_count: u32,
    /// Sides of those in use: for each, a port of the packet must be in one of its ranges.
    pub port_sides: u32,
    /// How much a delay repeats the one before, in parts per million.
    pub repeat_ppm: u32,
    /// How deep that cgroup is below the root.
    pub cgroup_level: u32,
    /// What changes over time: see above.
    pub ramps: u32,
    /// Number of the set that has its peers and exceptions. Rules may share one.
    pub peers: u32,
    /// Keeps the layout free of padding.
    pub reserved: u32,
    /// See [`PortRange::side`].
    pub ports: [PortRange; MAX_PORT_RANGES],
}

impl Rule {
    /// Whether packets that it delays are held for different times.
    #[inline]
    pub const fn varies(&self) -> bool {
        self.jitter_ns | self.ramp_ns != 0 || self.table != 0 || self.flags & FOLLOWS != 0
    }

    /// Whether it answers in the name of whoever a packet was for.
    #[inline]
    pub const fn answers(&self) -> bool {
        matches!(self.fault, FAULT_REJECT | FAULT_RESET | FAULT_DNS)
    }

    /// Whether it is a matter of less than a tick of the kernel's clock when a packet comes.
    #[inline]
    pub const fn needs_exact_time(&self) -> bool {
        self.pulse_period_ns | self.after_ns | self.ramp_ns != 0
            || self.fault == FAULT_DELAY
            || self.fault == FAULT_RATE
    }
}

/// When a rule acts, in `CLOCK_MONOTONIC` nanoseconds. It is disarmed while the deadline is 0. The start is written
/// first, so that arming is one aligned 64-bit write.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Window {
    /// From here on pulses and ramps count.
    pub start_ns: u64,
    /// From here on it does not act.
    pub deadline_ns: u64,
}

/// What a rule remembers from packet to packet. CPUs that carry packets of one rule at the same moment may each see
/// what was before the other.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Memory {
    /// Matched packets so far that something was left to chance for: the position in the rule's random sequence.
    pub position: u64,
    /// When the bandwidth has room for the next packet, of those that leave and of those that arrive.
    pub room_ns: [u64; 2],
    /// The random number that the last delay was made of.
    pub last_random: u64,
    /// State of the model; or 1 when the last packet was chosen.
    pub state: u32,
    /// Packets since the last one that was chosen.
    pub since_chosen: u32,
}

/// Bits of [`PeerKey`] in front of the address.
pub const PEER_SET_BITS: u32 = 32;

/// Value in the peers trie: the rule takes packets of this peer.
pub const PEER: u32 = 1;
/// Value in the peers trie: it does not.
pub const EXCEPTION: u32 = 2;

/// Key of the peers trie behind its prefix length: number of the set, then an IPv6 or IPv4-mapped address.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct PeerKey {
    /// [`Rule::peers`].
    pub set: u32,
    /// Address in network order.
    pub address: [u32; 4],
}

/// Set of the peers trie whose addresses the rule in this slot leaves alone when they talk to this port of the target. No
/// other set has such a number.
#[inline]
pub const fn spared_set(slot: u32, own_port: u16) -> u32 {
    1 << 31 | slot << 16 | own_port as u32
}

/// Steps of a table of quantiles.
pub const QUANTILE_STEPS: usize = 1024;

/// A distribution of delays: what share `i / QUANTILE_STEPS` of the packets is held for at most, in nanoseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Quantiles {
    /// In rising order.
    pub ns: [u64; QUANTILE_STEPS + 1],
}

/// Key of what is remembered of a flow for a rule.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct FlowKey {
    /// Hash of the flow, the same for both directions.
    pub hash: u64,
    /// [`Rule::identity`].
    pub rule: u64,
}

/// What is remembered of a flow for a rule.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct FlowMemory {
    /// 1 when it was opened while the rule acted.
    pub is_new: u64,
    /// Matched packets so far.
    pub packets: u64,
    /// When the bandwidth has room for the next packet, of those that leave and of those that arrive.
    pub room_ns: [u64; 2],
    /// When the first packet matched.
    pub since_ns: u64,
    /// Bytes that it carried so far, without headers.
    pub bytes: u64,
}
