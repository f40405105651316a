//! What a rule did, kept per CPU.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Counters of one rule on one CPU. Packets are wire packets: a segmentation-offload packet counts
/// as its segments, and its bytes as theirs.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Counters {
    /// Packets that matched while the rule was armed.
    pub matched_packets: u64,
    /// Bytes of these, with Ethernet headers.
    pub matched_bytes: u64,
    /// Matched packets that went into the delay line.
    pub delayed_packets: u64,
    /// Bytes of these.
    pub delayed_bytes: u64,
    /// Matched packets that were dropped.
    pub dropped_packets: u64,
    /// Bytes of these.
    pub dropped_bytes: u64,
    /// Matched packets that the delay line would not take, and that therefore passed at once.
    pub undelayed_packets: u64,
    /// Matched packets that were sent twice.
    pub duplicated_packets: u64,
    /// Matched packets of which a bit was flipped.
    pub corrupted_packets: u64,
    /// Matched packets that were answered in the name of their receiver, and did not get there.
    pub answered_packets: u64,
    /// Matched packets that went on with something else in them.
    pub rewritten_packets: u64,
}

impl core::ops::AddAssign<&Counters> for Counters {
    fn add_assign(&mut self, other: &Counters) {
        self.matched_packets += other.matched_packets;
        self.matched_bytes += other.matched_bytes;
        self.delayed_packets += other.delayed_packets;
        self.delayed_bytes += other.delayed_bytes;
        self.dropped_packets += other.dropped_packets;
        self.dropped_bytes += other.dropped_bytes;
        self.undelayed_packets += other.undelayed_packets;
        self.duplicated_packets += other.duplicated_packets;
        self.corrupted_packets += other.corrupted_packets;
        self.answered_packets += other.answered_packets;
        self.rewritten_packets += other.rewritten_packets;
    }
}

#[cfg(test)]
mod tests {
    use super::Counters;

    #[test]
    fn every_field_is_added() {
        let one = Counters {
            matched_packets: 1,
            matched_bytes: 2,
            delayed_packets: 3,
            delayed_bytes: 4,
            dropped_packets: 5,
            dropped_bytes: 6,
            undelayed_packets: 7,
            duplicated_packets: 8,
            corrupted_packets: 9,
            answered_packets: 10,
            rewritten_packets: 11,
        };
        let mut sum = one;
        sum += &one;
        assert_eq!(
            sum,
            Counters {
                matched_packets: 2,
                matched_bytes: 4,
                delayed_packets: 6,
                delayed_bytes: 8,
                dropped_packets: 10,
                dropped_bytes: 12,
                undelayed_packets: 14,
                duplicated_packets: 16,
                corrupted_packets: 18,
                answered_packets: 20,
                rewritten_packets: 22,
            }
        );
    }
}
