//! Frames of every length and content: the kernel's verdict is that of the parser on the host, and no byte
//! of a packet changes.

use std::net::Ipv4Addr;

use chaos_ebpf::{chance, flow::Flow};
use chaos_tests::packet::Frame;

use crate::classifier::{Classifier, DROPPED, PASSED, loss};

/// `BPF_PROG_TEST_RUN` takes nothing shorter than an Ethernet header.
const SHORTEST: usize = 14;

/// Nor, on newer kernels, a frame that says IP and is too short for its header.
fn is_taken(frame: &[u8]) -> bool {
    let shortest = match frame[12..14] {
        [0x08, 0x00] => SHORTEST + 20,
        [0x86, 0xdd] => SHORTEST + 40,
        _ => SHORTEST,
    };
    frame.len() >= shortest
}

fn expected(frame: &[u8]) -> u32 {
    if Flow::parse(frame).is_some() {
        DROPPED
    } else {
        PASSED
    }
}

fn check(classifier: &Classifier, frame: &[u8]) {
    if !is_taken(frame) {
        return;
    }
    let run = classifier.egress(frame);
    assert_eq!(run.verdict, expected(frame), "{frame:02x?}");
    assert_eq!(run.frame, frame, "the packet was changed");
}

#[test]
fn cut_at_every_length() {
    let classifier = Classifier::new(&[loss()]);
    let v4 = Frame::v4(Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST);
    let v6 = Frame::v6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
    let frames = [
        v4.udp(1, 2, b"payload"),
        v4.clone().vlan(3).udp(1, 2, b"payload"),
        v6.clone()
            .extension(0, &[0; 14])
            .extension(60, &[0; 6])
            .udp(1, 2, b"payload"),
        v6.echo_request(1, 2, b"payload"),
    ];
    for frame in &frames {
        for length in SHORTEST..=frame.len() {
            check(&classifier, &frame[..length]);
        }
    }
}

#[test]
fn random_bytes_behind_every_ethertype() {
    let classifier = Classifier::new(&[loss()]);
    let seed = 20_261_121;
    let mut position = 0;
    let mut random = || {
        position += 1;
        chance::at(seed, position)
    };
    for round in 0..3000 {
        let length = SHORTEST + usize::try_from(random() % 200).unwrap();
        let mut frame: Vec<u8> = (0..length).map(|_| random().to_le_bytes()[0]).collect();
        let ethertype: u16 = [0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806][round % 5];
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        // Most random packets would fall at the first hurdle: give them the right version.
        if let Some(first) = frame.get_mut(14) {
            match ethertype {
                0x0800 => *first = 0x40 | (*first & 0x0f),
                0x86dd => *first = 0x60 | (*first & 0x0f),
                _ => {}
            }
        }
        check(&classifier, &frame);
    }
}
