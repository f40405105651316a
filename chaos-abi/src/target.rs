//! A target as the kernel sees it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most rules that act on one target at a time.
pub const MAX_RULES_PER_TARGET: usize = 16;

/// Position in [`Target::lines`] of the line for leaving packets.
pub const EGRESS_LINE: usize = 0;
/// Position in [`Target::lines`] of the line for arriving packets.
pub const INGRESS_LINE: usize = 1;

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
    /// Slots of the rules.
    pub rules: [u32; MAX_RULES_PER_TARGET],
}
