//! Datagrams in fragments: where the first goes, the others go.

use std::net::Ipv4Addr;

use chaos_abi::rule::{PORT_OF_EITHER, PortRange, Rule};
use chaos_tests::packet::Frame;

use crate::classifier::{Classifier, DROPPED, PASSED, loss};

const ETHERNET_LEN: usize = 14;
const NEXT_FRAGMENT: u8 = 44;
/// Where the datagram is cut: a multiple of 8.
const CUT: usize = 16;

/// An IPv4 frame without options in two fragments.
fn cut_v4(frame: &[u8], id: u8) -> [Vec<u8>; 2] {
    let (headers, body) = frame.split_at(ETHERNET_LEN + 20);
    let fragment = |place: [u8; 2], body: &[u8]| {
        let mut headers = headers.to_vec();
        headers[ETHERNET_LEN + 3] = 20 + u8::try_from(body.len()).unwrap();
        headers[ETHERNET_LEN + 5] = id;
        headers[ETHERNET_LEN + 6..ETHERNET_LEN + 8].copy_from_slice(&place);
        [&headers, body].concat()
    };
    let offset = u8::try_from(CUT / 8).unwrap();
    [
        fragment([0x20, 0], &body[..CUT]),
        fragment([0, offset], &body[CUT..]),
    ]
}

/// An IPv6 frame without extension headers in two fragments.
fn cut_v6(frame: &[u8], id: u8) -> [Vec<u8>; 2] {
    let (headers, body) = frame.split_at(ETHERNET_LEN + 40);
    let next = headers[ETHERNET_LEN + 6];
    let fragment = |place: [u8; 2], body: &[u8]| {
        let mut headers = headers.to_vec();
        headers[ETHERNET_LEN + 5] = 8 + u8::try_from(body.len()).unwrap();
        headers[ETHERNET_LEN + 6] = NEXT_FRAGMENT;
        let extension = [next, 0, place[0], place[1], 0, 0, 0, id];
        [&headers, &extension[..], body].concat()
    };
    let offset = u8::try_from(CUT).unwrap();
    [
        fragment([0, 1], &body[..CUT]),
        fragment([0, offset], &body[CUT..]),
    ]
}

/// Drops what has port 3000.
fn one_port() -> Rule {
    let mut rule = Rule {
        port_count: 1,
        port_sides: PORT_OF_EITHER.into(),
        ..loss()
    };
    rule.ports[0] = PortRange {
        first: 3000,
        last: 3000,
        side: PORT_OF_EITHER,
        reserved: 0,
    };
    rule
}

#[test]
fn later_ones_share_the_ports_of_the_first() {
    let v4 = Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let v6 = Frame::v6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
    for (frame, cut) in [
        (&v4, cut_v4 as fn(&[u8], u8) -> [Vec<u8>; 2]),
        (&v6, cut_v6),
    ] {
        let classifier = Classifier::new(&[one_port()]);
        let verdicts = |frames: [Vec<u8>; 2]| frames.map(|frame| classifier.egress(&frame).verdict);
        let to = |port, id| cut(&frame.udp(40_000, port, &[7; 40]), id);
        // Nothing is known of a datagram whose first fragment was not seen.
        let [_, late] = to(3000, 9);
        assert_eq!(classifier.egress(&late).verdict, PASSED);
        assert_eq!(verdicts(to(3000, 1)), [DROPPED; 2]);
        assert_eq!(verdicts(to(3001, 2)), [PASSED; 2]);
        // Another datagram, whatever the one before was.
        let [_, other] = to(3000, 3);
        assert_eq!(classifier.egress(&other).verdict, PASSED);
        assert_eq!(classifier.counters(0).dropped_packets, 2);
    }
}
