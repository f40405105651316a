//! Connections that are sent elsewhere, and what comes back from there.

use std::net::{IpAddr, Ipv4Addr};

use chaos_abi::rewrite::{Rewrite, WRITES_ADDRESS_V4, WRITES_ADDRESS_V6, WRITES_PORT};
use chaos_tests::{lab::Family, packet::Frame};

use crate::{
    classifier::{Classifier, DROPPED},
    rewrites::{ACK, PEER_PORT, PORT, SYN, Seen, addresses, frame, rewriting, seen},
};

/// Sends what goes to this peer's port 80 to port 8080 of the third host.
fn steering() -> Classifier {
    let [_, _, elsewhere] = addresses(Family::V4);
    let IpAddr::V4(elsewhere) = elsewhere else {
        panic!("no IPv4")
    };
    rewriting(Rewrite {
        what: WRITES_ADDRESS_V4 | WRITES_PORT,
        address: [
            0,
            0,
            0xffff_u32.to_be(),
            u32::from_ne_bytes(elsewhere.octets()),
        ],
        port: 8080,
        ..Rewrite::default()
    })
}

#[test]
fn what_goes_there_by_itself_gets_answers_of_its_own() {
    let classifier = steering();
    let [target, _, elsewhere] = addresses(Family::V4);
    let back = Frame::ip(elsewhere, target).unwrap();
    let answer = back.tcp(8080, PORT, SYN | ACK, b"");
    classifier.egress(&frame(Family::V4).tcp(PORT, PEER_PORT, SYN, b""));
    assert_ne!(
        classifier.ingress(&answer).frame,
        answer,
        "it is translated"
    );
    // To the same place from the same port: it is that of the connection that is opened last.
    let direct = Frame::ip(target, elsewhere).unwrap();
    classifier.egress(&direct.tcp(PORT, 8080, SYN, b""));
    assert_eq!(classifier.ingress(&answer).frame, answer);
}

#[test]
fn an_answer_comes_from_where_the_last_question_went() {
    let classifier = steering();
    let [target, peer, elsewhere] = addresses(Family::V4);
    let other: IpAddr = Ipv4Addr::new(10, 0, 0, 9).into();
    let back = Frame::ip(elsewhere, target).unwrap();
    for asked in [peer, other, peer] {
        let question = Frame::ip(target, asked).unwrap();
        classifier.egress(&question.udp(PORT, PEER_PORT, b"who is there"));
        let run = classifier.ingress(&back.udp(8080, PORT, b"me"));
        assert_eq!(seen(&run.frame).ends, (asked, target));
    }
}

#[test]
fn new_connections_go_elsewhere_and_their_answers_look_as_if_not() {
    for family in Family::BOTH {
        let [target, peer, elsewhere] = addresses(family);
        let (octets, written) = match elsewhere {
            IpAddr::V4(address) => (address.to_ipv6_mapped().octets(), WRITES_ADDRESS_V4),
            IpAddr::V6(address) => (address.octets(), WRITES_ADDRESS_V6),
        };
        let classifier = rewriting(Rewrite {
            what: WRITES_PORT | written,
            address: std::array::from_fn(|word| {
                u32::from_ne_bytes(octets[word * 4..][..4].try_into().unwrap())
            }),
            port: 8080,
            ..Rewrite::default()
        });
        let there = frame(family);
        let back = Frame::ip(elsewhere, target).unwrap();
        let old = there.tcp(PORT, PEER_PORT, ACK, b"open before");
        assert_eq!(classifier.egress(&old).frame, old);
        let stranger = back.tcp(8080, PORT, ACK, b"nobody asked");
        assert_eq!(classifier.ingress(&stranger).frame, stranger);

        let opening = there.tcp(PORT, PEER_PORT, SYN, b"");
        let data = there.tcp(PORT, PEER_PORT, ACK, b"data");
        let question = there.udp(PORT, PEER_PORT, b"a question");
        for sent in [&opening, &data, &question] {
            let run = classifier.egress(sent);
            assert_eq!(run.verdict, DROPPED, "it is sent on by a redirect");
            let expected = Seen {
                ends: (target, elsewhere),
                ports: (PORT, 8080),
                ..seen(sent)
            };
            assert_eq!(seen(&run.frame), expected);
        }
        for answer in [
            back.tcp(8080, PORT, SYN | ACK, b""),
            back.udp(8080, PORT, b"an answer"),
        ] {
            let expected = Seen {
                ends: (peer, target),
                ports: (PEER_PORT, PORT),
                ..seen(&answer)
            };
            assert_eq!(seen(&classifier.ingress(&answer).frame), expected);
        }
    }
}
