//! What a rule writes into packets.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most bytes of a payload that one rule writes.
pub const MAX_PATCH: usize = 32;
/// The same in words, as they stand; what is not in use is 0.
pub type Patch = [u32; MAX_PATCH / 4];
/// How far a rule looks for what it replaces, at most.
pub const MAX_WITHIN: u32 = 1500;

/// Bit of [`Rewrite::what`]: the six upper bits of the traffic class.
pub const WRITES_DSCP: u32 = 1;
/// Bit of [`Rewrite::what`]: "congestion experienced", where the packet may say so.
pub const WRITES_CE: u32 = 1 << 1;
/// Bit of [`Rewrite::what`]: time to live, or hop limit.
pub const WRITES_TTL: u32 = 1 << 2;
/// Bit of [`Rewrite::what`]: the maximum segment size that is announced, where it is larger.
pub const WRITES_MSS: u32 = 1 << 3;
/// Bit of [`Rewrite::what`]: TCP's flags.
pub const WRITES_FLAGS: u32 = 1 << 4;
/// Bit of [`Rewrite::what`]: bytes at a place of the payload.
pub const WRITES_PAYLOAD: u32 = 1 << 5;
/// Bit of [`Rewrite::what`]: bytes wherever they are in the payload.
pub const REPLACES: u32 = 1 << 6;
/// Bit of [`Rewrite::what`]: destination port.
pub const WRITES_PORT: u32 = 1 << 7;
/// Bit of [`Rewrite::what`]: destination address of an IPv4 packet.
pub const WRITES_ADDRESS_V4: u32 = 1 << 8;
/// Bit of [`Rewrite::what`]: destination address of an IPv6 packet.
pub const WRITES_ADDRESS_V6: u32 = 1 << 9;
/// Bits of what sends connections elsewhere, so that answers have to be translated back.
pub const STEERS: u32 = WRITES_PORT | WRITES_ADDRESS_V4 | WRITES_ADDRESS_V6;

/// What a rule writes, by its slot.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Rewrite {
    /// Bits: see above.
    pub what: u32,
    /// Value of the six bits.
    pub dscp: u8,
    /// Time to live.
    pub ttl: u8,
    /// TCP flags to set.
    pub set_flags: u8,
    /// TCP flags to clear.
    pub clear_flags: u8,
    /// Maximum segment size.
    pub mss: u16,
    /// Destination port, host order.
    pub port: u16,
    /// Where in the payload `patch` goes.
    pub offset: u32,
    /// How many bytes of `patch` are in use.
    pub patch_len: u32,
    /// How many bytes of `old` and `new` are.
    pub old_len: u32,
    /// So many bytes of the payload are looked through.
    pub within: u32,
    /// Destination address, IPv4 mapped.
    pub address: [u32; 4],
    /// What is written.
    pub patch: Patch,
    /// What is replaced.
    pub old: Patch,
    /// By what.
    pub new: Patch,
}

/// Key of a connection that was sent elsewhere, as its answers have it.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct SteeredKey {
    /// Where answers come from.
    pub source: [u32; 4],
    /// Where they go.
    pub destination: [u32; 4],
    /// The target's number.
    pub target: u32,
    /// IP protocol number.
    pub protocol: u32,
    /// Host order.
    pub source_port: u32,
    /// Host order.
    pub destination_port: u32,
}

/// Where it would have gone.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Steered {
    /// Address.
    pub address: [u32; 4],
    /// [`crate::rule::Rule::identity`].
    pub rule: u64,
    /// Port, host order.
    pub port: u32,
    /// Keeps the layout free of padding.
    pub reserved: u32,
}
