//! What rewritten packets look like: read by a library that knows nothing of this project, with checksums that are
//! checked anew.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chaos_abi::{
    rewrite::{
        MAX_PATCH, Patch, REPLACES, Rewrite, WRITES_CE, WRITES_DSCP, WRITES_FLAGS, WRITES_MSS,
        WRITES_PAYLOAD, WRITES_TTL,
    },
    rule::{EGRESS, FAULT_REWRITE, Rule},
};
use chaos_tests::{lab::Family, packet::Frame};
use etherparse::{
    IpDscp, IpEcn, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6Header,
    NetSlice, PacketBuilder, SlicedPacket, TransportSlice,
};

use crate::classifier::{Classifier, PASSED, loss};

pub(crate) const PORT: u16 = 40_000;
pub(crate) const PEER_PORT: u16 = 80;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;

pub(crate) fn addresses(family: Family) -> [IpAddr; 3] {
    match family {
        Family::V4 => [1, 2, 3].map(|last| Ipv4Addr::new(10, 0, 0, last).into()),
        Family::V6 => [1, 2, 3].map(|last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into()),
    }
}

/// From the target to its peer.
pub(crate) fn frame(family: Family) -> Frame {
    let [target, peer, _] = addresses(family);
    Frame::ip(target, peer).unwrap()
}

pub(crate) fn rewriting(rewrite: Rewrite) -> Classifier {
    let rule = Rule {
        fault: FAULT_REWRITE,
        identity: 5,
        directions: EGRESS,
        ..loss()
    };
    Classifier::new(&[rule]).rewrite(0, rewrite)
}

/// What a packet says, after a look at all its checksums.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) class: u8,
    pub(crate) ttl: u8,
    pub(crate) ends: (IpAddr, IpAddr),
    pub(crate) ports: (u16, u16),
    /// Of TCP: flags and options.
    pub(crate) tcp: Option<(u8, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn seen(frame: &[u8]) -> Seen {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let transport = packet.transport.as_ref().unwrap();
    let (class, ttl, ends): (u8, u8, (IpAddr, IpAddr)) = match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            check(
                transport,
                &|tcp, payload| tcp.calc_checksum_ipv4(&header, payload).unwrap(),
                &|udp, payload| udp.calc_checksum_ipv4(&header, payload).unwrap(),
            );
            (
                header.dscp.value() << 2 | header.ecn.value(),
                header.time_to_live,
                (
                    Ipv4Addr::from(header.source).into(),
                    Ipv4Addr::from(header.destination).into(),
                ),
            )
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header().to_header();
            check(
                transport,
                &|tcp, payload| tcp.calc_checksum_ipv6(&header, payload).unwrap(),
                &|udp, payload| udp.calc_checksum_ipv6(&header, payload).unwrap(),
            );
            (
                header.traffic_class,
                header.hop_limit,
                (
                    Ipv6Addr::from(header.source).into(),
                    Ipv6Addr::from(header.destination).into(),
                ),
            )
        }
        NetSlice::Arp(_) => panic!("no IP"),
    };
    match transport {
        TransportSlice::Tcp(tcp) => Seen {
            class,
            ttl,
            ends,
            ports: (tcp.source_port(), tcp.destination_port()),
            tcp: Some((tcp.slice()[13], tcp.options().to_vec())),
            payload: tcp.payload().to_vec(),
        },
        TransportSlice::Udp(udp) => Seen {
            class,
            ttl,
            ends,
            ports: (udp.source_port(), udp.destination_port()),
            tcp: None,
            payload: udp.payload().to_vec(),
        },
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => {
            panic!("neither TCP nor UDP")
        }
    }
}

fn check(
    transport: &TransportSlice<'_>,
    of_tcp: &dyn Fn(&etherparse::TcpHeader, &[u8]) -> u16,
    of_udp: &dyn Fn(&etherparse::UdpHeader, &[u8]) -> u16,
) {
    if let TransportSlice::Tcp(tcp) = transport {
        assert_eq!(tcp.checksum(), of_tcp(&tcp.to_header(), tcp.payload()));
    } else if let TransportSlice::Udp(udp) = transport {
        assert_eq!(udp.checksum(), of_udp(&udp.to_header(), udp.payload()));
    }
}

/// Both protocols in both versions.
fn all(payload: &[u8]) -> Vec<Vec<u8>> {
    let frames = Family::BOTH.map(|family| {
        [
            frame(family).tcp(PORT, PEER_PORT, ACK, payload),
            frame(family).udp(PORT, PEER_PORT, payload),
        ]
    });
    frames.into_iter().flatten().collect()
}

fn patch(bytes: &[u8]) -> Patch {
    let mut padded = [0; MAX_PATCH];
    padded[..bytes.len()].copy_from_slice(bytes);
    let (words, _) = padded.as_chunks();
    std::array::from_fn(|word| u32::from_ne_bytes(words[word]))
}

#[test]
fn headers_say_what_they_are_told_to() {
    let classifier = rewriting(Rewrite {
        what: WRITES_DSCP | WRITES_TTL,
        dscp: 46,
        ttl: 3,
        ..Rewrite::default()
    });
    for sent in all(b"some payload") {
        let run = classifier.egress(&sent);
        assert_eq!(run.verdict, PASSED);
        let expected = Seen {
            class: 46 << 2,
            ttl: 3,
            ..seen(&sent)
        };
        assert_eq!(seen(&run.frame), expected);
    }
    assert_eq!(classifier.counters(0).rewritten_packets, 4);
}

#[test]
fn congestion_is_marked_for_those_who_understand_it() {
    let classifier = rewriting(Rewrite {
        what: WRITES_CE,
        ..Rewrite::default()
    });
    for family in Family::BOTH {
        for (before, after) in [(0, 0), (1, 3), (2, 3), (3, 3)] {
            let sent = opening(family, before, &[]);
            let run = classifier.egress(&sent);
            let expected = Seen {
                class: after,
                ..seen(&sent)
            };
            assert_eq!(seen(&run.frame), expected);
        }
    }
    // Both of each family that could be marked, and were not yet.
    assert_eq!(classifier.counters(0).rewritten_packets, 4);
}

#[test]
fn tcp_announces_less_and_has_other_flags() {
    let classifier = rewriting(Rewrite {
        what: WRITES_MSS | WRITES_FLAGS,
        mss: 536,
        set_flags: 0x40,
        clear_flags: 0x08,
        ..Rewrite::default()
    });
    let mss = |size: u16| [&[2, 4][..], &size.to_be_bytes()].concat();
    for family in Family::BOTH {
        for (before, after) in [(1460, 536), (400, 400)] {
            for (options, at) in [
                ([mss(before), vec![1, 1, 4, 2]].concat(), 2),
                // Not on an even place.
                (
                    [vec![1, 3, 3, 7], vec![1], mss(before), vec![0, 0, 0]].concat(),
                    7,
                ),
            ] {
                let sent = opening(family, 0, &options);
                let run = classifier.egress(&sent);
                let (flags, written) = seen(&run.frame).tcp.unwrap();
                assert_eq!(flags, SYN | 0x40);
                assert_eq!(written[at..at + 2], u16::to_be_bytes(after), "{options:?}");
            }
        }
    }
}

/// A packet that opens a connection, with these options and this traffic class.
fn opening(family: Family, class: u8, options: &[u8]) -> Vec<u8> {
    let [target, peer, _] = addresses(family);
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let ip = match (target, peer) {
        (IpAddr::V4(target), IpAddr::V4(peer)) => {
            let mut header =
                Ipv4Header::new(0, 64, IpNumber::TCP, target.octets(), peer.octets()).unwrap();
            header.dscp = IpDscp::try_new(class >> 2).unwrap();
            header.ecn = IpEcn::try_new(class & 3).unwrap();
            ethernet.ip(IpHeaders::Ipv4(header, Ipv4Extensions::default()))
        }
        (IpAddr::V6(target), IpAddr::V6(peer)) => {
            let header = Ipv6Header {
                traffic_class: class,
                source: target.octets(),
                destination: peer.octets(),
                hop_limit: 64,
                next_header: IpNumber::TCP,
                ..Ipv6Header::default()
            };
            ethernet.ip(IpHeaders::Ipv6(header, Ipv6Extensions::default()))
        }
        _ => panic!("of two families"),
    };
    let tcp = ip.tcp(PORT, PEER_PORT, 1, 100).syn().psh();
    let mut frame = Vec::new();
    tcp.options_raw(options)
        .unwrap()
        .write(&mut frame, &[])
        .unwrap();
    frame
}

#[test]
fn payloads_are_written_at_a_place_and_by_what_they_are() {
    let bytes: Vec<u8> = (1..=32).collect();
    for length in [1, 2, 3, 5, 31, 32] {
        for offset in [0, 1, 7] {
            let classifier = rewriting(Rewrite {
                what: WRITES_PAYLOAD,
                offset: u32::try_from(offset).unwrap(),
                patch_len: u32::try_from(length).unwrap(),
                patch: patch(&bytes[..length]),
                ..Rewrite::default()
            });
            for sent in all(&[0xee; 40]) {
                let mut expected = seen(&sent);
                if offset + length <= 40 {
                    expected.payload[offset..offset + length].copy_from_slice(&bytes[..length]);
                }
                assert_eq!(seen(&classifier.egress(&sent).frame), expected);
            }
        }
    }
}

#[test]
fn what_is_found_in_a_payload_is_replaced() {
    let classifier = rewriting(Rewrite {
        what: REPLACES,
        old_len: 3,
        within: 20,
        old: patch(b"two"),
        new: patch(b"TEN"),
        ..Rewrite::default()
    });
    for sent in all(b"one two twotwo two the two") {
        let written = seen(&classifier.egress(&sent).frame);
        assert_eq!(written.payload, b"one TEN TENTEN TEN the two");
        assert_eq!(
            written,
            Seen {
                payload: written.payload.clone(),
                ..seen(&sent)
            }
        );
    }
    for sent in all(b"tw") {
        assert_eq!(classifier.egress(&sent).frame, sent, "it is shorter");
    }
}

#[test]
fn of_later_fragments_and_of_padding_only_the_header_is_written() {
    let classifier = rewriting(Rewrite {
        what: WRITES_TTL | WRITES_PAYLOAD | REPLACES | WRITES_FLAGS,
        ttl: 3,
        patch_len: 4,
        patch: patch(b"XXXX"),
        set_flags: 0x20,
        old_len: 1,
        within: 100,
        old: patch(b"a"),
        new: patch(b"b"),
        ..Rewrite::default()
    });
    let mut later = frame(Family::V4).udp(PORT, PEER_PORT, b"banana republic");
    // Its place in the datagram; the checksum of the header follows.
    later[21] = 4;
    later[24..26].copy_from_slice(&[0, 0]);
    let sum = chaos_tests::packet::checksum(&later[14..34]).to_be_bytes();
    later[24..26].copy_from_slice(&sum);
    let run = classifier.egress(&later);
    assert_eq!(run.frame[22], 3);
    assert_eq!(run.frame[34..], later[34..]);

    let mut padded = frame(Family::V4).udp(PORT, PEER_PORT, b"ba");
    padded.extend_from_slice(b"aaaaaaaaaa");
    let written = seen(&classifier.egress(&padded).frame);
    assert_eq!(written.payload, b"bb");
    assert!(classifier.egress(&padded).frame.ends_with(b"aaaaaaaaaa"));
}
