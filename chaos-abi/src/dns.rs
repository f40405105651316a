//! Questions to DNS: which of them a rule answers, and what it says.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most types of records that one rule asks about.
pub const MAX_TYPES: usize = 16;
/// Longest name on the wire without the root at its end: of each label its length and its letters.
pub const LONGEST_NAME: usize = 254;

/// Bit of [`DnsAnswer::flags`]: the name must be among the rule's.
pub const HAS_NAMES: u32 = 1;
/// Bit of [`DnsAnswer::flags`]: there is no answer.
pub const SILENT: u32 = 1 << 1;
/// Bit of [`DnsAnswer::flags`]: [`DnsAnswer::v4`] is the answer.
pub const HAS_V4: u32 = 1 << 2;
/// Bit of [`DnsAnswer::flags`]: [`DnsAnswer::v6`] is the answer.
pub const HAS_V6: u32 = 1 << 3;

/// Type of a record with an IPv4 address.
pub const TYPE_A: u16 = 1;
/// Type of a record with an IPv6 address.
pub const TYPE_AAAA: u16 = 28;

/// What a rule answers, and to questions about what.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct DnsAnswer {
    /// Bits: see above.
    pub flags: u32,
    /// Response code.
    pub rcode: u32,
    /// How long the answer may be kept, in seconds.
    pub ttl_s: u32,
    /// How many of `types` are in use; 0 means any type.
    pub type_count: u32,
    /// Types of the records that are asked for.
    pub types: [u16; MAX_TYPES],
    /// Address in network order.
    pub v4: u32,
    /// Address in network order.
    pub v6: [u32; 4],
}

/// Key of the trie of names behind its prefix length: rule slot, then the name from its end, without capital letters, a
/// dot in front of each label (`moc.elpmaxe.`). A name as a whole ends with a 0 where there is room for it; a name below
/// which all names are meant does not.
///
/// Letters that no name of a rule has, among them dots in labels, are [`OTHER`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DnsName {
    /// Slot of the rule.
    pub slot: u16,
    /// The name.
    pub name: [u8; LONGEST_NAME],
}

/// Bits of [`DnsName`] in front of the name.
pub const NAME_SLOT_BITS: u32 = 16;
/// In a [`DnsName`]: what is in no name of a rule.
pub const OTHER: u8 = 0xff;

/// Value in the trie of names: all that matches is meant. Other values are lengths: a name that is not longer is itself
/// what all meant names are below, and is not meant.
pub const WHOLE: u32 = 0;
