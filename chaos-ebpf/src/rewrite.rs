//! What changes in a packet, and what that means for its checksums.

use chaos_abi::{
    rewrite::{Rewrite, SteeredKey, WRITES_ADDRESS_V4, WRITES_ADDRESS_V6},
    rule::{PROTOCOL_TCP, PROTOCOL_UDP},
};

use crate::{answer::Sum, flow::Flow};

/// Congestion experienced: both bits. Neither: the ends of the connection do not understand it.
const CE: u8 = 0b11;

/// An even number of bytes as one number of a checksum; `at` is how far they are from where it begins to count.
#[inline(always)]
pub const fn sum_of<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    placed(Sum(0).and_bytes(bytes), at)
}

/// The same of words as they stand.
#[inline(always)]
pub const fn sum_of_words<const N: usize>(words: &[u32; N], at: usize) -> u16 {
    let mut sum = Sum(0);
    let mut index = 0;
    while index < words.len() {
        sum = sum.and_word(words[index]);
        index += 1;
    }
    placed(sum, at)
}

/// Bytes that each begin in the other half of a word add up to the same, with its halves swapped.
#[inline(always)]
const fn placed(sum: Sum, at: usize) -> u16 {
    if at.is_multiple_of(2) {
        sum.folded()
    } else {
        sum.folded().swap_bytes()
    }
}

/// A traffic class with another DSCP, or with "congestion experienced" where that may be said.
#[inline(always)]
pub const fn traffic_class(before: u8, dscp: Option<u8>, congested: bool) -> u8 {
    let after = match dscp {
        Some(dscp) => dscp << 2 | before & CE,
        None => before,
    };
    if congested && before & CE != 0 {
        after | CE
    } else {
        after
    }
}

/// The connection's key, as the answers to it have it once it goes to `address` and `port`.
#[inline(always)]
pub const fn answers(flow: &Flow, target: u32, address: [u32; 4], port: u16) -> SteeredKey {
    SteeredKey {
        source: address,
        destination: flow.source,
        target,
        protocol: flow.protocol,
        source_port: port as u32,
        destination_port: flow.source_port as u32,
    }
}

/// The key of a packet that may be an answer.
#[inline(always)]
pub const fn as_answer(flow: &Flow, target: u32) -> SteeredKey {
    SteeredKey {
        source: flow.source,
        destination: flow.destination,
        target,
        protocol: flow.protocol,
        source_port: flow.source_port as u32,
        destination_port: flow.destination_port as u32,
    }
}

/// Whether a connection like this can be sent elsewhere at all: it must be whole and have ports.
#[inline(always)]
pub const fn can_steer(rewrite: &Rewrite, flow: &Flow, is_ipv6: bool) -> bool {
    let addresses = rewrite.what & (WRITES_ADDRESS_V4 | WRITES_ADDRESS_V6);
    let of_family = if is_ipv6 {
        WRITES_ADDRESS_V6
    } else {
        WRITES_ADDRESS_V4
    };
    (flow.protocol == PROTOCOL_TCP || flow.protocol == PROTOCOL_UDP)
        && flow.fragment == 0
        && (addresses == 0 || addresses & of_family != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_by_their_place() {
        assert_eq!(sum_of(&[1, 2, 3, 4], 0), 0x0406);
        assert_eq!(sum_of(&[1, 2, 3, 4], 5), 0x0604);
        assert_eq!(sum_of(&[1, 0], 7), 0x0001);
        let words = [u32::from_ne_bytes([1, 2, 3, 4]), 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(sum_of_words(&words, 0), 0x0406);
        assert_eq!(sum_of_words(&words, 5), 0x0604);
    }

    #[test]
    fn congestion_is_told_only_to_those_who_asked() {
        assert_eq!(traffic_class(0b1010_0000, None, true), 0b1010_0000);
        assert_eq!(traffic_class(0b1010_0010, None, true), 0b1010_0011);
        assert_eq!(traffic_class(0b1010_0001, Some(46), false), 46 << 2 | 1);
        assert_eq!(traffic_class(0b0000_0001, Some(46), true), 46 << 2 | 3);
    }
}
