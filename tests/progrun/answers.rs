//! What packets become that are answered: read by a library that knows nothing of this project.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chaos_abi::rule::{FAULT_REJECT, FAULT_RESET, Rule};
use chaos_tests::{lab::Family, packet::Frame, progrun::Run};
use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, LinkSlice, NetSlice,
    SlicedPacket, TcpHeader, TransportSlice, icmpv4, icmpv6,
};

use crate::classifier::{Classifier, DROPPED, loss};

const TARGET_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const TARGET_PORT: u16 = 40_000;
const PEER_PORT: u16 = 80;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// From the target to its peer.
pub(crate) fn frame(family: Family) -> Frame {
    let frame = match family {
        Family::V4 => Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)),
        Family::V6 => Frame::v6(
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
        ),
    };
    frame.ethernet(TARGET_MAC, PEER_MAC)
}

fn reject() -> Rule {
    Rule {
        fault: FAULT_REJECT,
        ..loss()
    }
}

pub(crate) fn ends(sliced: &SlicedPacket<'_>) -> (IpAddr, IpAddr) {
    match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(slice) => {
            let header = slice.header();
            assert_eq!(
                header.header_checksum(),
                header.to_header().calc_header_checksum()
            );
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        NetSlice::Ipv6(slice) => {
            let header = slice.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        NetSlice::Arp(_) => panic!("an answer by ARP"),
    }
}

/// The header of an answer by TCP, which goes back to where `sent` came from and is right in every checksum.
fn reset(sent: &[u8], run: &Run) -> TcpHeader {
    assert_eq!(run.verdict, DROPPED, "it is sent on by a redirect");
    let (before, answer) = (
        SlicedPacket::from_ethernet(sent).unwrap(),
        SlicedPacket::from_ethernet(&run.frame).unwrap(),
    );
    let Some(LinkSlice::Ethernet2(link)) = &answer.link else {
        panic!("no Ethernet")
    };
    assert_eq!((link.source(), link.destination()), (PEER_MAC, TARGET_MAC));
    assert_eq!(answer.vlan_ids(), before.vlan_ids(), "its tags stay");
    let (source, destination) = ends(&before);
    assert_eq!(ends(&answer), (destination, source));
    let Some(TransportSlice::Tcp(tcp)) = &answer.transport else {
        panic!("no TCP: {:x?}", run.frame)
    };
    let header = tcp.to_header();
    assert_eq!(tcp.payload(), &[] as &[u8]);
    let checksum = match answer.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => header.calc_checksum_ipv4(&ip.header().to_header(), &[]),
        NetSlice::Ipv6(ip) => header.calc_checksum_ipv6(&ip.header().to_header(), &[]),
        NetSlice::Arp(_) => unreachable!("as found above"),
    };
    assert_eq!(header.checksum, checksum.unwrap());
    assert_eq!(
        (header.source_port, header.destination_port),
        (PEER_PORT, TARGET_PORT)
    );
    header
}

/// A segment with these flags, number 1000, next number expected 2000.
fn segment(frame: &Frame, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame.tcp(TARGET_PORT, PEER_PORT, flags, payload);
    let tcp = bytes.len() - payload.len() - 20;
    bytes[tcp + 4..tcp + 8].copy_from_slice(&1000_u32.to_be_bytes());
    bytes[tcp + 8..tcp + 12].copy_from_slice(&2000_u32.to_be_bytes());
    bytes
}

#[test]
fn tcp_is_refused_as_by_a_closed_port() {
    let classifier = Classifier::new(&[reject()]);
    for family in Family::BOTH {
        for frame in [frame(family), frame(family).vlan(7)] {
            let opening = segment(&frame, SYN, b"");
            let answer = reset(&opening, &classifier.egress(&opening));
            assert!(answer.rst && answer.ack && !answer.syn);
            assert_eq!(
                (answer.sequence_number, answer.acknowledgment_number),
                (0, 1001)
            );

            let data = segment(&frame, ACK, b"some data");
            let answer = reset(&data, &classifier.egress(&data));
            assert!(answer.rst && !answer.ack);
            assert_eq!(answer.sequence_number, 2000);

            let end = segment(&frame, FIN, b"12");
            let answer = reset(&end, &classifier.egress(&end));
            assert_eq!(answer.acknowledgment_number, 1003);
        }
    }
    assert_eq!(classifier.counters(0).answered_packets, 12);
    assert_eq!(classifier.counters(0).dropped_packets, 0);
}

#[test]
fn what_is_behind_options_and_extensions_is_refused_too() {
    let classifier = Classifier::new(&[reject()]);
    let frame = frame(Family::V6).extension(60, &[0; 6]);
    let sent = segment(&frame, SYN, b"");
    assert!(reset(&sent, &classifier.egress(&sent)).rst);
    let mut sent = segment(&self::frame(Family::V4), SYN, b"");
    sent.splice(34..34, [1; 8]);
    sent[14] = 0x47;
    sent[17] += 8;
    let run = classifier.egress(&sent);
    let answer = SlicedPacket::from_ethernet(&run.frame).unwrap();
    assert!(matches!(answer.transport, Some(TransportSlice::Tcp(tcp)) if tcp.rst()));
}

/// What an ICMP error quotes, after a look at the error itself.
fn quoted(sent: &[u8], run: &Run) -> Vec<u8> {
    assert_eq!(run.verdict, DROPPED, "it is sent on by a redirect");
    let answer = SlicedPacket::from_ethernet(&run.frame).unwrap();
    let (source, destination) = ends(&SlicedPacket::from_ethernet(sent).unwrap());
    assert_eq!(ends(&answer), (destination, source));
    match answer.transport.as_ref().unwrap() {
        TransportSlice::Icmpv4(icmp) => {
            let port = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port);
            assert_eq!(icmp.icmp_type(), port);
            let header = Icmpv4Header::with_checksum(port, icmp.payload());
            assert_eq!(icmp.checksum(), header.checksum);
            icmp.payload().to_vec()
        }
        TransportSlice::Icmpv6(icmp) => {
            let port = Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port);
            assert_eq!(icmp.icmp_type(), port);
            let (IpAddr::V6(source), IpAddr::V6(destination)) = (destination, source) else {
                panic!("ICMPv6 over IPv4")
            };
            let header = Icmpv6Header::with_checksum(
                port,
                source.octets(),
                destination.octets(),
                icmp.payload(),
            );
            assert_eq!(icmp.checksum(), header.unwrap().checksum);
            icmp.payload().to_vec()
        }
        TransportSlice::Tcp(_) | TransportSlice::Udp(_) | TransportSlice::Igmp(_) => {
            panic!("no ICMP: {:x?}", run.frame)
        }
    }
}

#[test]
fn others_are_told_that_the_port_is_unreachable() {
    let classifier = Classifier::new(&[reject()]);
    for family in Family::BOTH {
        for (frame, ip) in [
            (frame(family), 14),
            (frame(family).vlan(7), 18),
            (frame(family).service_vlan(8).vlan(7), 22),
        ] {
            for sent in [
                frame.udp(TARGET_PORT, 53, b"a question"),
                frame.udp(TARGET_PORT, 53, b""),
                frame.echo_request(1, 2, b"are you there"),
            ] {
                let quoted = quoted(&sent, &classifier.egress(&sent));
                assert_eq!(quoted, sent[ip..ip + quoted.len()], "{family:?}");
                let header = if family == Family::V4 { 20 } else { 40 };
                assert_eq!(quoted.len(), header + 8);
            }
        }
    }
    assert_eq!(classifier.counters(0).answered_packets, 18);
}

#[test]
fn what_nobody_may_answer_is_dropped_in_silence() {
    let classifier = Classifier::new(&[reject()]);
    let v4 = frame(Family::V4);
    let unreachable = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Host);
    let error = Icmpv4Header::with_checksum(unreachable, &[0; 28]).to_bytes();
    let mut fragment = v4.udp(1, 2, b"the rest of it");
    fragment[21] = 9;
    let many = v4.clone().ethernet(TARGET_MAC, [0xff; 6]);
    let silent = [
        segment(&v4, RST, b""),
        v4.protocol(1, &[&error[..], &[0; 28]].concat()),
        fragment,
        many.udp(1, 2, b"to all"),
    ];
    for sent in &silent {
        let run = classifier.egress(sent);
        assert_eq!(run.verdict, DROPPED);
        assert_eq!(&run.frame, sent, "it is as it was");
    }
    let counters = classifier.counters(0);
    assert_eq!(
        (counters.answered_packets, counters.dropped_packets),
        (0, 4)
    );
    // Unlike an error, a question is answered.
    let echo = Icmpv4Header::with_checksum(
        Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 1, seq: 2 }),
        &[],
    );
    quoted(
        &v4.protocol(1, &echo.to_bytes()),
        &classifier.egress(&v4.protocol(1, &echo.to_bytes())),
    );
}

#[test]
fn connections_are_reset_when_their_time_comes() {
    let rule = Rule {
        fault: FAULT_RESET,
        protocol: 6,
        after_bytes: 100,
        model_ppm: [1_000_000, 0, 0, 0, 0],
        ..loss()
    };
    let classifier = Classifier::new(&[rule]);
    let frame = frame(Family::V4);
    let data = segment(&frame, ACK, &[0; 40]);
    for _ in 0..2 {
        assert_eq!(classifier.egress(&data).frame, data);
    }
    let answer = reset(&data, &classifier.egress(&data));
    assert!(answer.rst && answer.sequence_number == 2000);
    let end = segment(&frame, RST, b"");
    assert_eq!(classifier.egress(&end).frame, end, "an end passes");
    let counters = classifier.counters(0);
    assert_eq!(
        (counters.matched_packets, counters.answered_packets),
        (3, 1)
    );
}
