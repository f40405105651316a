//! Questions to DNS: which the kernel takes for a rule's, and what it makes of them. Answers are read by libraries that
//! know nothing of this project.

mod names;
mod questions;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use chaos_abi::rule::{FAULT_DNS, Rule};
use chaos_daemon::engine::{Dns, Reply, Share};
use chaos_tests::{lab::Family, packet::Frame, progrun::Run, stats::Binomial};
use etherparse::{NetSlice, SlicedPacket, TransportSlice, UdpHeader};
use hickory_proto::{
    op::{Message, MessageType, ResponseCode},
    rr::RecordType,
};

use crate::{
    answers::{ends, frame},
    classifier::{Classifier, DROPPED, PASSED, loss},
};

const PORT: u16 = 40_000;
const A: u16 = 1;
const MX: u16 = 15;
const AAAA: u16 = 28;

fn rule() -> Rule {
    Rule {
        fault: FAULT_DNS,
        ..loss()
    }
}

/// A rule's part of names; all types, all questions.
fn dns(reply: Reply, names: &[&str]) -> Dns {
    Dns {
        reply,
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        types: Vec::new(),
        ttl: Duration::from_secs(5),
        share: Share::ALL,
    }
}

fn classifier(dns: &Dns) -> Classifier {
    let mut classifier = Classifier::new(&[rule()]);
    classifier.dns(0, dns);
    classifier
}

/// The name on the wire.
fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut wire: Vec<u8> = labels
        .flat_map(|label| {
            let mut wire = vec![u8::try_from(label.len()).unwrap()];
            wire.extend(label.bytes());
            wire
        })
        .collect();
    wire.push(0);
    wire
}

/// A question with recursion desired, and nothing else.
fn asking(name: &[u8], kind: u16) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(name);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The same with an OPT record and a cookie, as `dig` sends it.
fn with_edns(mut message: Vec<u8>) -> Vec<u8> {
    message[11] = 1;
    message.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8]);
    message.extend([7; 8]);
    message
}

fn sent(family: Family, message: &[u8]) -> Vec<u8> {
    frame(family).udp(PORT, 53, message)
}

/// Whether a question is answered; otherwise the packet must be what it was.
fn is_taken(classifier: &Classifier, message: &[u8]) -> bool {
    let sent = sent(Family::V4, message);
    let run = classifier.egress(&sent);
    if run.verdict == PASSED {
        assert_eq!(run.frame, sent, "it passes, changed");
        return false;
    }
    assert_eq!(run.verdict, DROPPED);
    true
}

/// The answer, after a look at everything below it: it goes back to where `sent` came from, and all lengths and checksums
/// are right.
fn answer(sent: &[u8], run: &Run) -> Message {
    assert_eq!(run.verdict, DROPPED, "it is sent on by a redirect");
    assert_eq!(
        (&run.frame[..6], &run.frame[6..12]),
        (&sent[6..12], &sent[..6])
    );
    let (before, answer) = (
        SlicedPacket::from_ethernet(sent).unwrap(),
        SlicedPacket::from_ethernet(&run.frame).unwrap(),
    );
    assert_eq!(answer.vlan_ids(), before.vlan_ids(), "its tags stay");
    let (source, destination) = ends(&before);
    assert_eq!(ends(&answer), (destination, source));
    let (Some(TransportSlice::Udp(asked)), Some(TransportSlice::Udp(udp))) =
        (&before.transport, &answer.transport)
    else {
        panic!("no UDP: {:x?}", run.frame)
    };
    assert_eq!(
        (udp.source_port(), udp.destination_port()),
        (asked.destination_port(), asked.source_port())
    );
    let header = UdpHeader {
        checksum: 0,
        ..udp.to_header()
    };
    let (carried, checksum) = match answer.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => (
            usize::from(ip.header().payload_len().unwrap()),
            header.calc_checksum_ipv4(&ip.header().to_header(), udp.payload()),
        ),
        NetSlice::Ipv6(ip) => (
            ip.payload().payload.len(),
            header.calc_checksum_ipv6(&ip.header().to_header(), udp.payload()),
        ),
        NetSlice::Arp(_) => panic!("an answer by ARP"),
    };
    assert_eq!(usize::from(udp.length()), carried);
    assert!(run.frame.ends_with(udp.payload()), "nothing is behind it");
    // The library writes no zero either.
    assert_eq!(udp.checksum(), checksum.unwrap());
    assert_ne!(udp.checksum(), 0);
    Message::from_vec(udp.payload()).unwrap()
}

#[test]
fn an_answer_is_what_a_resolver_expects() {
    let both = Reply::Addresses {
        v4: Some(Ipv4Addr::new(10, 0, 0, 9)),
        v6: Some("fd00::9".parse().unwrap()),
    };
    for (reply, code) in [
        (Reply::NoSuchName, ResponseCode::NXDomain),
        (Reply::Failure, ResponseCode::ServFail),
        (Reply::Refused, ResponseCode::Refused),
        (both, ResponseCode::NoError),
    ] {
        let classifier = classifier(&dns(reply, &["*.example.com"]));
        let mut asked = 0;
        for family in Family::BOTH {
            for frame in [
                frame(family),
                frame(family).vlan(7),
                frame(family).service_vlan(8).vlan(7),
                frame(family).extension(60, &[0; 6]),
            ] {
                for (name, kind) in [
                    ("api.example.com", A),
                    ("aPi.Example.COM", AAAA),
                    ("a.b.c.d.example.com", MX),
                ] {
                    let plain = asking(&wire(name), kind);
                    for message in [plain.clone(), with_edns(plain)] {
                        let sent = frame.udp(PORT, 53, &message);
                        let answer = answer(&sent, &classifier.egress(&sent));
                        asked += 1;
                        let flags = &answer.metadata;
                        assert_eq!(flags.id, 0x1234);
                        assert_eq!(flags.message_type, MessageType::Response);
                        assert_eq!(flags.response_code, code);
                        assert!(flags.recursion_desired && flags.recursion_available);
                        assert!(!flags.authoritative && !flags.truncation);
                        assert_eq!(answer.queries.len(), 1);
                        assert_eq!(answer.queries[0].name().to_string(), format!("{name}."));
                        assert_eq!(u16::from(answer.queries[0].query_type()), kind);
                        assert!(answer.edns.is_none() && answer.authorities.is_empty());
                        let asked_name = answer.queries[0].name();
                        let given: Vec<_> = answer
                            .answers
                            .iter()
                            .map(|record| {
                                assert_eq!((record.ttl, &record.name), (5, asked_name));
                                record.data.ip_addr().unwrap()
                            })
                            .collect();
                        let expected: Vec<IpAddr> = match (code, kind) {
                            (ResponseCode::NoError, A) => vec![Ipv4Addr::new(10, 0, 0, 9).into()],
                            (ResponseCode::NoError, AAAA) => {
                                vec!["fd00::9".parse::<Ipv6Addr>().unwrap().into()]
                            }
                            _ => Vec::new(),
                        };
                        assert_eq!(given, expected);
                    }
                }
            }
        }
        let counters = classifier.counters(0);
        assert_eq!(
            (counters.matched_packets, counters.answered_packets),
            (asked, asked)
        );
        assert_eq!(counters.dropped_packets, 0);
    }
}

#[test]
fn an_address_is_no_answer_to_other_questions() {
    let v4 = Some(Ipv4Addr::new(10, 0, 0, 9));
    let classifier = classifier(&dns(Reply::Addresses { v4, v6: None }, &[]));
    for (kind, records) in [(A, 1), (AAAA, 0), (MX, 0), (255, 0), (65, 0)] {
        let sent = sent(Family::V6, &asking(&wire("web"), kind));
        let answer = answer(&sent, &classifier.egress(&sent));
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert_eq!(answer.answers.len(), records, "{kind}");
        assert!(
            answer
                .answers
                .iter()
                .all(|it| it.record_type() == RecordType::A)
        );
    }
}

#[test]
fn padding_is_no_part_of_an_answer() {
    let classifier = classifier(&dns(Reply::NoSuchName, &[]));
    let mut sent = sent(Family::V4, &asking(&wire("a"), A));
    sent.resize(120, 7);
    assert!(answer(&sent, &classifier.egress(&sent)).answers.is_empty());
}

#[test]
fn a_checksum_is_never_zero() {
    let classifier = classifier(&dns(Reply::NoSuchName, &[]));
    let mut message = asking(&wire("example.com"), A);
    message[..2].copy_from_slice(&[0, 0]);
    let without = |message: &[u8]| {
        let mut sent = sent(Family::V4, message);
        // "No checksum": the answer has one all the same.
        sent[40..42].copy_from_slice(&[0, 0]);
        let run = classifier.egress(&sent);
        answer(&sent, &run);
        [run.frame[40], run.frame[41]]
    };
    let checksum = without(&message);
    // What is missing to all ones makes the sum all ones, and the checksum zero.
    message[..2].copy_from_slice(&checksum);
    assert_eq!(without(&message), [0xff, 0xff]);
}

#[test]
fn only_the_types_of_a_rule_are_meant() {
    let mut about = dns(Reply::NoSuchName, &["a"]);
    about.types = (1..=16).map(|number| number * 16).collect();
    let classifier = classifier(&about);
    for kind in 1..=300 {
        let taken = is_taken(&classifier, &asking(&wire("a"), kind));
        assert_eq!(taken, about.types.contains(&kind), "{kind}");
    }
    assert_eq!(classifier.counters(0).matched_packets, 16);
}

#[test]
fn silence_is_a_drop() {
    let classifier = classifier(&dns(Reply::Silence, &[]));
    let question = sent(Family::V4, &asking(&wire("a"), A));
    let run = classifier.egress(&question);
    assert_eq!((run.verdict, &run.frame), (DROPPED, &question));
    let counters = classifier.counters(0);
    assert_eq!(
        (counters.dropped_packets, counters.answered_packets),
        (1, 0)
    );
}

#[test]
fn a_share_of_the_questions_is_answered() {
    let some = Rule {
        share_ppm: 300_000,
        ..rule()
    };
    let mut classifier = Classifier::new(&[some]);
    classifier.dns(0, &dns(Reply::NoSuchName, &["a"]));
    let message = asking(&wire("a"), A);
    let taken = (0..1000)
        .filter(|_| is_taken(&classifier, &message))
        .count();
    let expected = Binomial {
        n: 1000,
        p: 0.3,
        z: 4.0,
    };
    assert!(
        expected.contains(taken.try_into().unwrap()),
        "{taken}, expected {expected}"
    );
    assert_eq!(classifier.counters(0).matched_packets, 1000);
}

#[test]
fn each_rule_has_its_own_names() {
    let mut classifier = Classifier::new(&[rule(), rule()]);
    classifier.dns(0, &dns(Reply::NoSuchName, &["a", "*.both"]));
    classifier.dns(1, &dns(Reply::Refused, &["b", "*.both"]));
    for (name, code) in [
        ("a", ResponseCode::NXDomain),
        ("b", ResponseCode::Refused),
        ("x.both", ResponseCode::NXDomain),
    ] {
        let sent = sent(Family::V4, &asking(&wire(name), A));
        let answer = answer(&sent, &classifier.egress(&sent));
        assert_eq!(answer.metadata.response_code, code, "{name}");
    }
    assert!(!is_taken(&classifier, &asking(&wire("both"), A)));
}

#[test]
fn questions_to_a_server_are_answered_too() {
    let classifier = classifier(&dns(Reply::NoSuchName, &[]));
    let strangers = frame(Family::V6).udp(PORT, 53, &asking(&wire("a"), A));
    let run = classifier.ingress(&strangers);
    assert_eq!(run.frame, strangers, "a switch may send it here too");
    // The interface of such a run is the loopback, which has this address.
    let own = frame(Family::V6).ethernet([2; 6], [0; 6]);
    let sent = own.udp(PORT, 53, &asking(&wire("a"), A));
    let answer = answer(&sent, &classifier.ingress(&sent));
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    let to_all = Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::BROADCAST);
    let to_all = to_all.udp(PORT, 53, &asking(&wire("a"), A));
    assert_eq!(classifier.egress(&to_all).frame, to_all);
    assert_eq!(classifier.counters(0).dropped_packets, 1);
}
