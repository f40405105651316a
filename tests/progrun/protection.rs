//! What no rule touches.

use std::net::{Ipv4Addr, Ipv6Addr};

use chaos_abi::{
    maps::PROTECTED_SET,
    rule::{EXCEPTION, Rule, SPARES, spared_set},
    target::{
        PROTECTS_FOR_NODE, PROTECTS_OWN_PORTS, PROTECTS_PEER_PORTS, PROTECTS_PEERS, ProtectedPort,
    },
};
use chaos_tests::packet::Frame;

use crate::{
    classifier::{Classifier, DROPPED, PASSED, loss},
    filters::mapped,
};

const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

/// What becomes of a datagram from the node's port to the peer's, and of the answer.
fn verdicts(classifier: &Classifier, peer: Ipv4Addr, own: u16, port: u16) -> [u32; 2] {
    [
        classifier
            .egress(&Frame::v4(NODE, peer).udp(own, port, b"x"))
            .verdict,
        classifier
            .ingress(&Frame::v4(peer, NODE).udp(port, own, b"x"))
            .verdict,
    ]
}

#[test]
fn peers_are_spared_by_the_longest_prefix_that_has_them() {
    let mut classifier = Classifier::new(&[loss()]).protects(PROTECTS_PEERS);
    classifier.peer_or_exception(PROTECTED_SET, 96 + 16, mapped(10, 1, 0, 0), EXCEPTION);
    assert_eq!(verdicts(&classifier, PEER, 1, 2), [PASSED; 2]);
    let stranger = Ipv4Addr::new(10, 2, 0, 2);
    assert_eq!(verdicts(&classifier, stranger, 1, 2), [DROPPED; 2]);
    // The node's own address is not the peer's.
    let to_node = Frame::v4(PEER, stranger).udp(1, 2, b"x");
    assert_eq!(classifier.egress(&to_node).verdict, DROPPED);
    // What passes was not matched.
    assert_eq!(classifier.counters(0).matched_packets, 3);
}

#[test]
fn ports_are_spared_on_their_own_side_only() {
    let mut classifier =
        Classifier::new(&[loss()]).protects(PROTECTS_PEER_PORTS | PROTECTS_OWN_PORTS);
    classifier.protect(ProtectedPort::of_peer(mapped(10, 1, 0, 2), 6443));
    classifier.protect(ProtectedPort::own(22));
    for (own, port, verdict) in [
        (40_000, 6443, PASSED),
        (22, 40_000, PASSED),
        (6443, 40_000, DROPPED),
        (40_000, 22, DROPPED),
    ] {
        let seen = verdicts(&classifier, PEER, own, port);
        assert_eq!(seen, [verdict; 2], "{own} and {port}");
    }
    let another = Ipv4Addr::new(10, 1, 0, 3);
    assert_eq!(verdicts(&classifier, another, 40_000, 6443), [DROPPED; 2]);
    let echo = Frame::v4(NODE, PEER).echo_request(1, 1, b"x");
    assert_eq!(classifier.egress(&echo).verdict, DROPPED);
}

#[test]
fn ipv6_is_spared_too() {
    let mut classifier = Classifier::new(&[loss()]).protects(PROTECTS_PEERS);
    let [node, peer]: [Ipv6Addr; 2] =
        ["fd00::1", "fd00:1::2"].map(|address| address.parse().unwrap());
    let address = [u32::from_ne_bytes([0xfd, 0, 0, 1]), 0, 0, 0];
    classifier.peer_or_exception(PROTECTED_SET, 32, address, EXCEPTION);
    let there = Frame::v6(node, peer).udp(1, 2, b"x");
    assert_eq!(classifier.egress(&there).verdict, PASSED);
    let back = Frame::v6(node, peer).udp(1, 2, b"x");
    assert_eq!(classifier.ingress(&back).verdict, DROPPED);
}

#[test]
fn what_a_target_does_not_ask_for_is_not_looked_up() {
    let mut classifier = Classifier::new(&[loss()]).protects(PROTECTS_PEER_PORTS);
    classifier.protect(ProtectedPort::own(22));
    classifier.peer_or_exception(PROTECTED_SET, 0, [0; 4], EXCEPTION);
    assert_eq!(verdicts(&classifier, PEER, 22, 2), [DROPPED; 2]);
}

#[test]
fn what_only_the_node_protects_is_another_entry() {
    let mut of_pod = Classifier::new(&[loss()]).protects(PROTECTS_PEER_PORTS);
    let bits = PROTECTS_PEER_PORTS | PROTECTS_FOR_NODE;
    let mut of_node = Classifier::new(&[loss()]).protects(bits);
    let entry = ProtectedPort::of_peer_seen_by(PROTECTS_FOR_NODE, mapped(10, 1, 0, 2), 6443);
    of_pod.protect(entry);
    of_node.protect(entry);
    assert_eq!(verdicts(&of_pod, PEER, 40_000, 6443), [DROPPED; 2]);
    assert_eq!(verdicts(&of_node, PEER, 40_000, 6443), [PASSED; 2]);
}

#[test]
fn a_rule_leaves_alone_what_a_peer_and_an_own_port_say() {
    let spares = Rule {
        flags: SPARES,
        ..loss()
    };
    let mut classifier = Classifier::new(&[spares]);
    let prefix = 96 + 32;
    classifier.peer_or_exception(spared_set(0, 3000), prefix, mapped(10, 1, 0, 2), EXCEPTION);
    let stranger = Ipv4Addr::new(10, 1, 0, 3);
    for (peer, own, port, verdict) in [
        (PEER, 3000, 40_000, PASSED),
        (PEER, 3001, 40_000, DROPPED),
        (PEER, 40_000, 3000, DROPPED),
        (stranger, 3000, 40_000, DROPPED),
    ] {
        let seen = verdicts(&classifier, peer, own, port);
        assert_eq!(seen, [verdict; 2], "{peer}, {own} and {port}");
    }
    assert_eq!(
        classifier.counters(0).matched_packets,
        6,
        "what it spares, it does not match"
    );
    // Of the rule, and of no other.
    let mut another = Classifier::new(&[loss(), spares]);
    another.peer_or_exception(spared_set(1, 3000), prefix, mapped(10, 1, 0, 2), EXCEPTION);
    assert_eq!(verdicts(&another, PEER, 3000, 40_000), [DROPPED; 2]);
    assert_eq!(another.counters(0).dropped_packets, 2);
}
