//! Drops of what arrives at the node, at XDP: the same decisions as the classifiers', and each packet once.

use std::net::Ipv4Addr;

use chaos_abi::rule::{ARRIVAL, EGRESS, INGRESS, PROTOCOL_UDP, Rule};
use chaos_daemon::attach::Object;
use chaos_ebpf::{chance, flow::Flow};
use chaos_tests::packet::{Frame, tcp_flags};

use crate::classifier::{Classifier, DROPPED, PASSED, loss};

/// The kernel's `XDP_DROP` and `XDP_PASS`.
const AT_XDP: [u32; 2] = [1, 2];

fn dropped(classifier: &mut Classifier, frame: &[u8]) -> bool {
    let [drop, pass] = AT_XDP;
    let run = classifier.arrival(frame);
    assert_eq!(run.frame, frame, "the packet was changed");
    assert!([drop, pass].contains(&run.verdict), "{run:?}");
    run.verdict == drop
}

fn at_xdp() -> Rule {
    Rule {
        directions: EGRESS | ARRIVAL,
        ..loss()
    }
}

fn v4() -> Frame {
    Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2))
}

/// Programs that few ask for are loaded when somebody does: that the kernel would take them must be known before.
#[test]
fn the_kernel_takes_every_program() {
    Object::load().unwrap().load_rest().unwrap();
}

#[test]
fn a_rule_acts_at_xdp_or_further_up_but_not_at_both() {
    let frame = v4().udp(1, 2, b"hello");
    let mut classifier = Classifier::new(&[at_xdp()]);
    assert!(dropped(&mut classifier, &frame));
    assert_eq!(classifier.ingress(&frame).verdict, PASSED);
    assert_eq!(classifier.egress(&frame).verdict, DROPPED);
    let counters = classifier.counters(0);
    assert_eq!((counters.matched_packets, counters.dropped_packets), (2, 2));
    assert_eq!(counters.dropped_bytes, 2 * frame.len() as u64);
    let rule = Rule {
        directions: INGRESS,
        ..loss()
    };
    let mut classifier = Classifier::new(&[rule]);
    assert!(!dropped(&mut classifier, &frame));
    assert_eq!(classifier.ingress(&frame).verdict, DROPPED);
}

#[test]
fn filters_see_the_packet_from_the_other_side() {
    let rule = Rule {
        protocol: PROTOCOL_UDP,
        ..at_xdp()
    };
    let mut classifier = Classifier::new(&[rule]);
    assert!(dropped(&mut classifier, &v4().udp(1, 2, b"x")));
    assert!(!dropped(
        &mut classifier,
        &v4().tcp(1, 2, tcp_flags::SYN, b"x")
    ));
    let rule = Rule {
        flags: chaos_abi::rule::HAS_PEERS,
        ..at_xdp()
    };
    let mut classifier = Classifier::new(&[rule]);
    let source = [0, 0, 0xffff_u32.to_be(), u32::from_ne_bytes([10, 0, 0, 1])];
    classifier.peer(0, 128, source);
    assert!(dropped(&mut classifier, &v4().udp(1, 2, b"x")));
    let back = Frame::v4(Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 1));
    assert!(!dropped(&mut classifier, &back.udp(2, 1, b"x")));
}

#[test]
fn without_a_rule_an_agent_or_the_interface_all_passes() {
    let frame = v4().udp(1, 2, b"x");
    assert!(!dropped(&mut Classifier::new(&[]), &frame));
    assert!(!dropped(
        &mut Classifier::without_agent(&[at_xdp()]),
        &frame
    ));
    // The loopback, which test runs come from, is number 1.
    let mut another = Classifier::new(&[at_xdp()]).interface(1025);
    assert!(!dropped(&mut another, &frame));
}

#[test]
fn whatever_comes_is_read_as_on_the_host() {
    let mut classifier = Classifier::new(&[at_xdp()]);
    let v6 = Frame::v6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
    let frames = [
        v4().udp(1, 2, b"payload"),
        v4().vlan(3).udp(1, 2, b"payload"),
        v6.clone()
            .extension(0, &[0; 14])
            .extension(60, &[0; 6])
            .udp(1, 2, b"payload"),
        v6.echo_request(1, 2, b"payload"),
    ];
    for frame in &frames {
        for length in 14..=frame.len() {
            let frame = &frame[..length];
            let expected = Flow::parse(frame).is_some();
            assert_eq!(dropped(&mut classifier, frame), expected, "{frame:02x?}");
        }
    }
    let mut position = 0;
    let mut random = || {
        position += 1;
        chance::at(20_261_121, position)
    };
    for round in 0..2000 {
        let length = 14 + usize::try_from(random() % 200).unwrap();
        let mut frame: Vec<u8> = (0..length).map(|_| random().to_le_bytes()[0]).collect();
        let ethertype: u16 = [0x0800, 0x86dd, 0x8100, 0x0806][round % 4];
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        if let Some(first) = frame.get_mut(14) {
            match ethertype {
                0x0800 => *first = 0x40 | (*first & 0x0f),
                0x86dd => *first = 0x60 | (*first & 0x0f),
                _ => {}
            }
        }
        let expected = Flow::parse(frame.as_slice()).is_some();
        assert_eq!(dropped(&mut classifier, &frame), expected, "{frame:02x?}");
    }
}
