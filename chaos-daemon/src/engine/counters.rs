//! What rules did.

use super::service::Requests;

/// What one rule did to packets.
pub type PacketCounters = chaos_abi::counters::Counters;

/// What one rule did on one target; see `chaos.v1.Counters`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// To packets; nothing, where it hits requests.
    pub packets: PacketCounters,
    /// To requests, where it hits those.
    pub requests: Option<Requests>,
}

impl From<PacketCounters> for Counters {
    fn from(packets: PacketCounters) -> Self {
        Self {
            packets,
            requests: None,
        }
    }
}

impl From<Requests> for Counters {
    fn from(requests: Requests) -> Self {
        Self {
            packets: PacketCounters::default(),
            requests: Some(requests),
        }
    }
}
