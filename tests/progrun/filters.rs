//! Filters, deadlines and liveness, as the kernel applies them.

use std::net::{Ipv4Addr, Ipv6Addr};

use chaos_abi::rule::{
    EGRESS, EXCEPTION, HAS_DSCP, HAS_EXCEPTIONS, HAS_PEERS, INGRESS, NEW_CONNECTIONS,
    OLD_CONNECTIONS, PEER, PORT_OF_EITHER, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, PortRange,
    Rule, SYN_ONLY,
};
use chaos_tests::packet::{Frame, tcp_flags};

use crate::classifier::{Classifier, DROPPED, PASSED, TARGET, loss};

fn v4() -> Frame {
    Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2))
}

fn v6() -> Frame {
    Frame::v6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap())
}

pub(crate) fn mapped(a: u8, b: u8, c: u8, d: u8) -> [u32; 4] {
    [
        0,
        0,
        u32::from_ne_bytes([0, 0, 255, 255]),
        u32::from_ne_bytes([a, b, c, d]),
    ]
}

#[test]
fn target_without_rules_passes_everything() {
    let classifier = Classifier::new(&[]);
    assert_eq!(classifier.egress(&v4().udp(1, 2, b"x")).verdict, PASSED);
}

#[test]
fn matched_packet_is_dropped_and_counted() {
    let classifier = Classifier::new(&[loss()]);
    let frame = v4().udp(1, 2, b"hello");
    assert_eq!(classifier.egress(&frame).verdict, DROPPED);
    let counters = classifier.counters(0);
    assert_eq!((counters.matched_packets, counters.dropped_packets), (1, 1));
    assert_eq!(counters.dropped_bytes, frame.len() as u64);
}

#[test]
fn packet_of_another_target_passes() {
    let classifier = Classifier::new(&[loss()]);
    assert_eq!(
        classifier
            .egress_of(TARGET + 1, &v4().udp(1, 2, b"x"))
            .verdict,
        PASSED
    );
    assert_eq!(
        classifier
            .egress_of(u32::MAX, &v4().udp(1, 2, b"x"))
            .verdict,
        PASSED
    );
}

#[test]
fn rule_that_names_another_target_is_void() {
    let classifier = Classifier::new(&[Rule {
        target: TARGET + 1,
        ..loss()
    }]);
    assert_eq!(classifier.egress(&v4().udp(1, 2, b"x")).verdict, PASSED);
}

#[test]
fn deadline_in_the_past_and_disarmed_pass_uncounted() {
    let mut classifier = Classifier::new(&[loss()]);
    for deadline in [0, 1] {
        classifier.deadline(0, deadline);
        assert_eq!(classifier.egress(&v4().udp(1, 2, b"x")).verdict, PASSED);
    }
    assert_eq!(classifier.counters(0).matched_packets, 0);
}

#[test]
fn nothing_acts_without_a_living_agent() {
    let classifier = Classifier::without_agent(&[loss()]);
    assert_eq!(classifier.egress(&v4().udp(1, 2, b"x")).verdict, PASSED);
    assert_eq!(classifier.counters(0).matched_packets, 0);
}

#[test]
fn direction_is_that_of_the_hook() {
    let out = Classifier::new(&[Rule {
        directions: EGRESS,
        ..loss()
    }]);
    let frame = v4().udp(1, 2, b"x");
    assert_eq!(
        (out.egress(&frame).verdict, out.ingress(&frame).verdict),
        (DROPPED, PASSED)
    );
    let arriving = Classifier::new(&[Rule {
        directions: INGRESS,
        ..loss()
    }]);
    assert_eq!(
        (
            arriving.egress(&frame).verdict,
            arriving.ingress(&frame).verdict
        ),
        (PASSED, DROPPED)
    );
}

#[test]
fn protocol_in_both_versions() {
    for frame in [v4(), v6()] {
        let udp = frame.udp(1000, 53, b"x");
        let tcp = frame.tcp(1000, 80, tcp_flags::SYN, b"");
        let echo = frame.echo_request(1, 1, b"x");
        for (protocol, verdicts) in [
            (PROTOCOL_UDP, [DROPPED, PASSED, PASSED]),
            (PROTOCOL_TCP, [PASSED, DROPPED, PASSED]),
            (PROTOCOL_ICMP, [PASSED, PASSED, DROPPED]),
        ] {
            let classifier = Classifier::new(&[Rule { protocol, ..loss() }]);
            let seen = [&udp, &tcp, &echo].map(|packet| classifier.egress(packet).verdict);
            assert_eq!(seen, verdicts, "protocol {protocol}");
        }
    }
}

#[test]
fn port_behind_tags_and_extension_headers() {
    let mut rule = loss();
    rule.port_count = 1;
    rule.port_sides = PORT_OF_EITHER.into();
    rule.ports[0] = PortRange {
        first: 53,
        last: 53,
        side: PORT_OF_EITHER,
        reserved: 0,
    };
    let classifier = Classifier::new(&[rule]);
    let shapes = [
        v4(),
        v6(),
        v4().vlan(7),
        v6().vlan(7),
        v4().service_vlan(8).vlan(7),
        v6().extension(60, &[0; 6]),
    ];
    for shape in shapes {
        assert_eq!(
            classifier.egress(&shape.udp(1000, 53, b"x")).verdict,
            DROPPED,
            "{shape:?}"
        );
        assert_eq!(
            classifier.egress(&shape.udp(53, 1000, b"x")).verdict,
            DROPPED,
            "{shape:?}"
        );
        assert_eq!(
            classifier.egress(&shape.udp(1000, 54, b"x")).verdict,
            PASSED,
            "{shape:?}"
        );
    }
}

#[test]
fn peer_is_the_far_address_and_the_longest_prefix_counts_for_its_own_rule_only() {
    let rule = Rule {
        flags: HAS_PEERS,
        ..loss()
    };
    let mut classifier = Classifier::new(&[rule]);
    classifier.peer(0, 96 + 24, mapped(10, 0, 0, 0));
    classifier.peer(1, 128, mapped(10, 9, 9, 9));
    let to = |last: [u8; 4]| {
        Frame::v4(Ipv4Addr::new(192, 168, 0, 1), Ipv4Addr::from(last)).udp(1, 2, b"x")
    };
    assert_eq!(classifier.egress(&to([10, 0, 0, 200])).verdict, DROPPED);
    assert_eq!(classifier.egress(&to([10, 0, 1, 1])).verdict, PASSED);
    assert_eq!(classifier.egress(&to([10, 9, 9, 9])).verdict, PASSED);
    // Arriving, the same packet's far address is its source.
    assert_eq!(classifier.ingress(&to([10, 0, 0, 200])).verdict, PASSED);
    let mut other = Classifier::new(&[Rule { peers: 1, ..rule }]);
    other.peer(0, 96 + 24, mapped(10, 0, 0, 0));
    other.peer(1, 128, mapped(10, 9, 9, 9));
    assert_eq!(other.egress(&to([10, 0, 0, 200])).verdict, PASSED);
    assert_eq!(other.egress(&to([10, 9, 9, 9])).verdict, DROPPED);
}

#[test]
fn ipv6_peer() {
    let mut classifier = Classifier::new(&[Rule {
        flags: HAS_PEERS,
        ..loss()
    }]);
    let octets = "fd00::".parse::<Ipv6Addr>().unwrap().octets();
    let word = u32::from_ne_bytes([octets[0], octets[1], octets[2], octets[3]]);
    classifier.peer(0, 64, [word, 0, 0, 0]);
    assert_eq!(classifier.egress(&v6().udp(1, 2, b"x")).verdict, DROPPED);
    let elsewhere = Frame::v6("fd00::1".parse().unwrap(), "fd01::2".parse().unwrap());
    assert_eq!(
        classifier.egress(&elsewhere.udp(1, 2, b"x")).verdict,
        PASSED
    );
}

#[test]
fn sixteen_rules_all_count() {
    let delay = crate::classifier::delay();
    let classifier = Classifier::new(&[delay; 16]);
    assert_eq!(classifier.egress(&v4().udp(1, 2, b"x")).verdict, PASSED);
    for slot in 0..16 {
        assert_eq!(
            classifier.counters(slot).undelayed_packets,
            1,
            "rule {slot}"
        );
    }
}

#[test]
fn longest_prefix_decides_between_peers_and_exceptions() {
    let to = |last: [u8; 4]| {
        Frame::v4(Ipv4Addr::new(192, 168, 0, 1), Ipv4Addr::from(last)).udp(1, 2, b"x")
    };
    let mut both = Classifier::new(&[Rule {
        flags: HAS_PEERS | HAS_EXCEPTIONS,
        ..loss()
    }]);
    both.peer(0, 96 + 8, mapped(10, 0, 0, 0));
    both.peer_or_exception(0, 96 + 16, mapped(10, 1, 0, 0), EXCEPTION);
    both.peer_or_exception(0, 128, mapped(10, 1, 2, 3), PEER);
    for (address, verdict) in [
        ([10, 2, 0, 1], DROPPED),
        ([10, 1, 0, 1], PASSED),
        ([10, 1, 2, 3], DROPPED),
        ([11, 0, 0, 1], PASSED),
    ] {
        assert_eq!(both.egress(&to(address)).verdict, verdict, "{address:?}");
    }
    let mut exceptions = Classifier::new(&[Rule {
        flags: HAS_EXCEPTIONS,
        ..loss()
    }]);
    exceptions.peer_or_exception(0, 128, mapped(10, 0, 0, 9), EXCEPTION);
    assert_eq!(exceptions.egress(&to([10, 0, 0, 9])).verdict, PASSED);
    assert_eq!(exceptions.egress(&to([10, 0, 0, 8])).verdict, DROPPED);
}

#[test]
fn connections_by_when_they_were_opened() {
    let rule = |flags| Rule {
        flags,
        protocol: PROTOCOL_TCP,
        ..loss()
    };
    let (syn, data) = (tcp_flags::SYN, tcp_flags::ACK);
    let answer = Frame::v4(Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 1));
    for shape in [v4(), v6()] {
        let new = Classifier::new(&[rule(NEW_CONNECTIONS)]);
        assert_eq!(new.egress(&shape.tcp(7, 80, data, b"x")).verdict, PASSED);
        assert_eq!(new.egress(&shape.tcp(8, 80, syn, b"")).verdict, DROPPED);
        assert_eq!(new.egress(&shape.tcp(8, 80, data, b"x")).verdict, DROPPED);
        assert_eq!(new.egress(&shape.tcp(7, 80, data, b"x")).verdict, PASSED);
        let old = Classifier::new(&[rule(OLD_CONNECTIONS)]);
        assert_eq!(old.egress(&shape.tcp(7, 80, data, b"x")).verdict, DROPPED);
        assert_eq!(old.egress(&shape.tcp(8, 80, syn, b"")).verdict, PASSED);
        assert_eq!(old.egress(&shape.tcp(8, 80, data, b"x")).verdict, PASSED);
    }
    let new = Classifier::new(&[rule(NEW_CONNECTIONS)]);
    new.egress(&v4().tcp(8, 80, syn, b""));
    let other_way = answer.tcp(80, 8, data, b"x");
    assert_eq!(new.ingress(&other_way).verdict, DROPPED);
}

#[test]
fn only_the_packet_that_opens_a_connection() {
    let classifier = Classifier::new(&[Rule {
        flags: SYN_ONLY,
        ..loss()
    }]);
    let flags = [
        tcp_flags::SYN,
        tcp_flags::SYN | tcp_flags::ACK,
        tcp_flags::ACK,
    ];
    for shape in [v4(), v6(), v6().extension(60, &[0; 6])] {
        let verdicts = flags.map(|flags| classifier.egress(&shape.tcp(1, 2, flags, b"")).verdict);
        assert_eq!(verdicts, [DROPPED, PASSED, PASSED]);
    }
}

#[test]
fn traffic_class_of_both_versions() {
    let classifier = Classifier::new(&[Rule {
        flags: HAS_DSCP,
        dscp: 46,
        ..loss()
    }]);
    let mut v4 = v4().udp(1, 2, b"x");
    let mut v6 = v6().udp(1, 2, b"x");
    assert_eq!(classifier.egress(&v4).verdict, PASSED);
    assert_eq!(classifier.egress(&v6).verdict, PASSED);
    // Behind the Ethernet header: IPv4's second byte; IPv6's, shifted by four bits.
    v4[15] = 46 << 2;
    let class = u16::from(46_u8 << 2) << 4;
    v6[14] |= (class >> 8) as u8;
    v6[15] |= (class & 0xff) as u8;
    assert_eq!(classifier.egress(&v4).verdict, DROPPED);
    assert_eq!(classifier.egress(&v6).verdict, DROPPED);
}

#[test]
fn length_of_a_frame_and_of_one_segment() {
    let frame = v4().udp(1, 2, &[0; 200]);
    let length = u32::try_from(frame.len()).unwrap();
    let of = |least_len, most_len| {
        Classifier::new(&[Rule {
            least_len,
            most_len,
            ..loss()
        }])
    };
    assert_eq!(of(length, length).egress(&frame).verdict, DROPPED);
    assert_eq!(of(length + 1, u32::MAX).egress(&frame).verdict, PASSED);
    assert_eq!(of(0, length - 1).egress(&frame).verdict, PASSED);
    // Ten segments of which each has a tenth of the bytes: 242 + 9 * 54 in all.
    assert_eq!(of(72, 73).egress_segments(&frame, 10).verdict, DROPPED);
}
