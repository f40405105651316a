//! Headers of packets that are sent in the name of whoever a packet was for.

use chaos_abi::rule::{PROTOCOL_ICMP, PROTOCOL_TCP};

use crate::flow::{ACK, FIN, Flow, IPV6_LEN, NEXT_ICMPV6, RST, SYN};

/// Length of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// Length of a TCP header without options.
pub const TCP_LEN: usize = 20;
/// Length of the header of an ICMP error.
pub const ICMP_LEN: usize = 8;
/// As much of what IP carries is quoted by an ICMP error.
pub const QUOTED: usize = 8;

/// Where the checksum is in a TCP header.
pub const TCP_CHECKSUM: usize = 16;
/// Where it is in a UDP header.
pub const UDP_CHECKSUM: usize = 6;

const TIME_TO_LIVE: u8 = 64;
/// Header of five words.
const TCP_WORDS: u8 = 5 << 4;

/// "Destination unreachable: port", in both versions.
const UNREACHABLE_V4: [u8; 2] = [3, 3];
const UNREACHABLE_V6: [u8; 2] = [1, 4];

/// A sum as the Internet's checksum takes it, not yet folded to 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(pub u64);

impl Sum {
    /// With one more number of 16 bits.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, number: u16) -> Self {
        Self(self.0 + number as u64)
    }

    /// With four more bytes, as they stand.
    #[inline(always)]
    #[must_use]
    pub const fn and_word(self, word: u32) -> Self {
        let word = u32::from_be(word) as u64;
        Self(self.0 + (word >> 16) + (word & 0xffff))
    }

    /// In 16 bits.
    #[inline(always)]
    pub const fn folded(self) -> u16 {
        let mut sum = self.0;
        let mut times = 0;
        while times < 4 {
            sum = (sum & 0xffff) + (sum >> 16);
            times += 1;
        }
        sum as u16
    }

    /// The checksum that makes it right.
    #[inline(always)]
    pub const fn checksum(self) -> u16 {
        !self.folded()
    }

    #[inline(always)]
    pub(crate) const fn and_bytes<const N: usize>(self, bytes: &[u8; N]) -> Self {
        let mut sum = self;
        let mut at = 0;
        while at + 1 < N {
            sum = sum.and(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            at += 2;
        }
        sum
    }
}

/// Who sends to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    source: [u32; 4],
    destination: [u32; 4],
    source_port: u16,
    destination_port: u16,
}

impl Ends {
    /// As the packet does.
    #[inline(always)]
    pub const fn of(flow: &Flow) -> Self {
        Self {
            source: flow.source,
            destination: flow.destination,
            source_port: flow.source_port,
            destination_port: flow.destination_port,
        }
    }

    /// The other way.
    #[inline(always)]
    #[must_use]
    pub const fn back(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
        }
    }

    /// What a checksum above IP also covers. An address of IPv4 counts the same when it is mapped: a word of ones
    /// changes no such sum.
    #[inline(always)]
    pub const fn sum(&self, protocol: u8, length: usize) -> Sum {
        let mut sum = Sum(length as u64 + protocol as u64);
        let mut index = 0;
        while index < 4 {
            sum = sum
                .and_word(self.source[index])
                .and_word(self.destination[index]);
            index += 1;
        }
        sum
    }

    /// Header of IPv4 in front of so many bytes.
    #[inline(always)]
    pub const fn ipv4(&self, protocol: u32, length: usize) -> [u8; IPV4_LEN] {
        let mut header = [0; IPV4_LEN];
        header[0] = 0x45;
        [header[2], header[3]] = ((IPV4_LEN + length) as u16).to_be_bytes();
        header[8] = TIME_TO_LIVE;
        header[9] = protocol as u8;
        [header[12], header[13], header[14], header[15]] = self.source[3].to_ne_bytes();
        [header[16], header[17], header[18], header[19]] = self.destination[3].to_ne_bytes();
        [header[10], header[11]] = Sum(0).and_bytes(&header).checksum().to_be_bytes();
        header
    }

    /// Header of IPv6 in front of so many bytes.
    #[inline(always)]
    pub const fn ipv6(&self, protocol: u32, length: usize) -> [u8; IPV6_LEN] {
        let mut header = [0; IPV6_LEN];
        header[0] = 0x60;
        [header[4], header[5]] = (length as u16).to_be_bytes();
        header[6] = if protocol == PROTOCOL_ICMP {
            NEXT_ICMPV6
        } else {
            protocol as u8
        };
        header[7] = TIME_TO_LIVE;
        let mut index = 0;
        while index < 4 {
            let (from, to) = (8 + index * 4, 24 + index * 4);
            [
                header[from],
                header[from + 1],
                header[from + 2],
                header[from + 3],
            ] = self.source[index].to_ne_bytes();
            [header[to], header[to + 1], header[to + 2], header[to + 3]] =
                self.destination[index].to_ne_bytes();
            index += 1;
        }
        header
    }
}

/// What an answer to a TCP segment depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Number of its first byte.
    pub sequence: u32,
    /// Number of the byte that its sender expects next.
    pub acknowledged: u32,
    /// TCP's flags.
    pub flags: u16,
    /// How many bytes it carries.
    pub length: u32,
}

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    sequence: u32,
    acknowledged: u32,
    flags: u8,
}

impl Reset {
    /// What the segment's sender gets, as RFC 9293 has it (3.10.7.1): it comes from where the segment went to.
    #[inline(always)]
    pub const fn to_sender(segment: &Segment) -> Self {
        if segment.flags & ACK != 0 {
            return Self {
                sequence: segment.acknowledged,
                acknowledged: 0,
                flags: RST as u8,
            };
        }
        let controls = (segment.flags & SYN != 0) as u32 + (segment.flags & FIN != 0) as u32;
        Self {
            sequence: 0,
            acknowledged: segment
                .sequence
                .wrapping_add(segment.length)
                .wrapping_add(controls),
            flags: (RST | ACK) as u8,
        }
    }

    /// What its receiver gets instead of it: it is accepted where the segment was the next one.
    #[inline(always)]
    pub const fn to_receiver(segment: &Segment) -> Self {
        Self {
            sequence: segment.sequence,
            acknowledged: segment.acknowledged,
            flags: (RST | ACK) as u8,
        }
    }

    /// The header. Of a packet whose checksum is left to a network card, the field has what the card begins with.
    #[inline(always)]
    pub const fn header(&self, ends: &Ends, left_to_card: bool) -> [u8; TCP_LEN] {
        let mut header = [0; TCP_LEN];
        [header[0], header[1]] = ends.source_port.to_be_bytes();
        [header[2], header[3]] = ends.destination_port.to_be_bytes();
        [header[4], header[5], header[6], header[7]] = self.sequence.to_be_bytes();
        [header[8], header[9], header[10], header[11]] = self.acknowledged.to_be_bytes();
        header[12] = TCP_WORDS;
        header[13] = self.flags;
        let addresses = ends.sum(PROTOCOL_TCP as u8, TCP_LEN);
        let checksum = if left_to_card {
            addresses.folded()
        } else {
            addresses.and_bytes(&header).checksum()
        };
        [header[TCP_CHECKSUM], header[TCP_CHECKSUM + 1]] = checksum.to_be_bytes();
        header
    }
}

/// An ICMP error about a packet: that nobody listens there. `quoted` is the sum of the so many bytes behind the header.
#[inline(always)]
pub const fn unreachable(ends: &Ends, is_ipv6: bool, quoted: Sum, length: usize) -> [u8; ICMP_LEN] {
    let [kind, code] = if is_ipv6 {
        UNREACHABLE_V6
    } else {
        UNREACHABLE_V4
    };
    let mut sum = quoted.and(u16::from_be_bytes([kind, code]));
    if is_ipv6 {
        sum = Sum(sum.0 + ends.sum(NEXT_ICMPV6, ICMP_LEN + length).0);
    }
    let [high, low] = sum.checksum().to_be_bytes();
    [kind, code, high, low, 0, 0, 0, 0]
}

/// Whether nobody may answer: an error about an error would go round for ever.
#[inline(always)]
pub const fn is_error(is_ipv6: bool, kind: u8) -> bool {
    if is_ipv6 {
        kind < 128
    } else {
        matches!(kind, 3 | 4 | 5 | 11 | 12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: Ends = Ends {
        source: [0, 0, 0xffff_u32.to_be(), 0x0a00_0001_u32.to_be()],
        destination: [0, 0, 0xffff_u32.to_be(), 0x0a00_0002_u32.to_be()],
        source_port: 40_000,
        destination_port: 80,
    };

    #[test]
    fn sums_are_those_of_rfc_1071() {
        // Its example: 0001 f203 f4f5 f6f7 adds up to ddf2.
        let sum = Sum(0).and_bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.folded(), 0xddf2);
        let words = Sum(0)
            .and_word(0x0001_f203_u32.to_be())
            .and_word(0xf4f5_f6f7_u32.to_be());
        assert_eq!(words, sum);
        assert_eq!(sum.checksum(), !0xddf2);
    }

    #[test]
    fn headers_add_up_to_nothing() {
        let ip = V4.ipv4(PROTOCOL_TCP, TCP_LEN);
        assert_eq!(Sum(0).and_bytes(&ip).checksum(), 0);
        let reset = Reset {
            sequence: 7,
            acknowledged: 8,
            flags: 4,
        };
        let whole = reset.header(&V4, false);
        assert_eq!(V4.sum(6, TCP_LEN).and_bytes(&whole).checksum(), 0);
        // A card adds up what is there from the TCP header on, the field included.
        let mut begun = reset.header(&V4, true);
        let checksum = Sum(0).and_bytes(&begun).checksum();
        [begun[16], begun[17]] = checksum.to_be_bytes();
        assert_eq!(begun, whole);
    }

    #[test]
    fn resets_are_numbered_as_their_receivers_expect() {
        let segment = Segment {
            sequence: u32::MAX,
            acknowledged: 9,
            flags: ACK,
            length: 10,
        };
        let sender = Reset::to_sender(&segment);
        assert_eq!((sender.sequence, sender.flags), (9, 0x04));
        let receiver = Reset::to_receiver(&segment);
        assert_eq!((receiver.sequence, receiver.flags), (u32::MAX, 0x14));
        let opening = Segment {
            flags: SYN,
            length: 0,
            ..segment
        };
        let refused = Reset::to_sender(&opening);
        assert_eq!((refused.acknowledged, refused.flags), (0, 0x14));
    }

    #[test]
    fn errors_are_not_answered() {
        assert!(is_error(false, 3) && is_error(true, 1));
        assert!(!is_error(false, 8) && !is_error(true, 128));
    }
}
