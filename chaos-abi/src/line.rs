//! How a packet carries its departure time through a delay line.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::maps::MAX_TARGETS;

/// Value of the line-engine map: the departure time travels as the packet's timestamp.
pub const ENGINE_FQ: u32 = 1;
/// Value of the line-engine map: the departure time travels in a [`Label`] in front of the frame.
pub const ENGINE_TAP: u32 = 2;

/// The `tc_index` of a packet that has been through a line of this target: its classifiers let it pass. Another
/// target that it comes to on the same node does not take it for its own.
#[inline]
pub const fn returned(target: u32) -> u32 {
    0xc000 | target
}

/// The kernel keeps 16 bits of it, and small numbers are what other software uses.
const _: () = assert!(MAX_TARGETS <= 0x4000);

/// [`Label::ethertype`], in network order: IEEE 802's "local experimental" type 0x88b5.
pub const LABEL_ETHERTYPE: u16 = 0x88b5_u16.to_be();

/// Stands in front of a frame on its way into a TAP line, shaped like an Ethernet header.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Label {
    /// Departure time in `CLOCK_MONOTONIC` nanoseconds, as native-endian bytes.
    pub departure_ns: [u8; 8],
    /// Zero.
    pub reserved: [u8; 4],
    /// [`LABEL_ETHERTYPE`].
    pub ethertype: u16,
}

/// Length of a [`Label`]: that of an Ethernet header.
pub const LABEL_LEN: usize = size_of::<Label>();
