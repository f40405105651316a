//! Frames as they come, cut short and mangled, against what the parser says of them.

use super::*;

/// A frame of at most 128 bytes, put together from parts.
struct Built {
    bytes: [u8; 128],
    len: usize,
}

impl Built {
    fn new(ethertype: u16) -> Self {
        let mut built = Self {
            bytes: [0; 128],
            len: 12,
        };
        built.push(&ethertype.to_be_bytes());
        built
    }
    fn push(&mut self, part: &[u8]) -> &mut Self {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
        self
    }
    fn flow(&self) -> Option<Flow> {
        Flow::parse(&self.bytes[..self.len])
    }
    /// No prefix of the frame may give ports that the whole frame does not have.
    fn cut_anywhere(&self) {
        let whole = self.flow();
        for len in 0..self.len {
            let cut = Flow::parse(&self.bytes[..len]);
            assert!(cut.is_none() || cut == whole, "cut at {len}");
        }
    }
}

fn ipv4(protocol: u8, fragment: u16, options: &[u8]) -> [u8; 40] {
    let mut header = [0; 40];
    header[0] = 0x45 + u8::try_from(options.len() / 4).unwrap();
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    header[9] = protocol;
    header[12..16].copy_from_slice(&[10, 0, 0, 1]);
    header[16..20].copy_from_slice(&[10, 0, 0, 2]);
    header[20..20 + options.len()].copy_from_slice(options);
    header
}

fn ipv6(next: u8) -> [u8; 40] {
    let mut header = [0; 40];
    header[0] = 0x60;
    header[6] = next;
    header[8] = 0xfd;
    header[23] = 1;
    header[24] = 0xfd;
    header[39] = 2;
    header
}

const PORTS: [u8; 8] = [0x9c, 0x40, 0x0b, 0xb8, 0, 0, 0, 0];

fn v4(last: u8) -> [u32; 4] {
    [
        0,
        0,
        0xffff_u32.to_be(),
        u32::from_ne_bytes([10, 0, 0, last]),
    ]
}

#[test]
fn ipv4_tcp() {
    let mut frame = Built::new(0x0800);
    frame.push(&ipv4(6, 0x4000, &[])[..20]).push(&PORTS);
    let flow = frame.flow().unwrap();
    assert_eq!(flow.source, v4(1));
    assert_eq!(flow.destination, v4(2));
    assert_eq!(flow.protocol, PROTOCOL_TCP);
    assert_eq!(flow.ports(), Some((40_000, 3000)));
    frame.cut_anywhere();
}

#[test]
fn ipv4_options_are_skipped() {
    let mut frame = Built::new(0x0800);
    frame.push(&ipv4(17, 0, &[1; 20])[..40]).push(&PORTS);
    assert_eq!(frame.flow().unwrap().ports(), Some((40_000, 3000)));
    frame.cut_anywhere();
}

#[test]
fn later_fragment_has_no_ports() {
    let mut frame = Built::new(0x0800);
    frame.push(&ipv4(17, 0x2001, &[])[..20]).push(&PORTS);
    let flow = frame.flow().unwrap();
    assert_eq!(flow.protocol, PROTOCOL_UDP);
    assert_eq!(flow.ports(), None);
}

#[test]
fn first_fragment_has_ports() {
    let mut frame = Built::new(0x0800);
    frame.push(&ipv4(17, 0x2000, &[])[..20]).push(&PORTS);
    assert_eq!(frame.flow().unwrap().ports(), Some((40_000, 3000)));
}

#[test]
fn fragments_of_one_datagram_are_known_as_such() {
    let v4 = |place: u16, id: u16, ports: [u8; 8]| {
        let mut header = ipv4(17, place, &[]);
        header[4..6].copy_from_slice(&id.to_be_bytes());
        let mut frame = Built::new(0x0800);
        frame.push(&header[..20]).push(&ports);
        frame.flow().unwrap()
    };
    let v6 = |place: u16, id: u16, ports: [u8; 8]| {
        let mut frame = Built::new(0x86dd);
        frame
            .push(&ipv6(NEXT_FRAGMENT))
            .push(&[17, 0])
            .push(&place.to_be_bytes())
            .push(&[0, 0])
            .push(&id.to_be_bytes())
            .push(&ports);
        frame.flow().unwrap()
    };
    for (first, later, last) in [
        (
            v4(0x2000, 7, PORTS),
            v4(0x2010, 7, [9; 8]),
            v4(0x0020, 7, [8; 8]),
        ),
        (
            v6(0x0001, 7, PORTS),
            v6(0x0081, 7, [9; 8]),
            v6(0x0100, 7, [8; 8]),
        ),
    ] {
        let kinds = [first, later, last].map(|flow| flow.fragment);
        assert_eq!(kinds, [FIRST_FRAGMENT, LATER_FRAGMENT, LATER_FRAGMENT]);
        assert_eq!(first.datagram(), later.datagram());
        assert_eq!(first.datagram(), last.datagram());
    }
    assert_ne!(
        v4(0x2000, 7, PORTS).datagram(),
        v4(0x2000, 8, PORTS).datagram()
    );
    // A whole datagram, also one with a fragment header that says so.
    assert_eq!(
        (v4(0x4000, 7, PORTS).fragment, v6(0, 7, PORTS).fragment),
        (0, 0)
    );
}

#[test]
fn vlan_and_qinq_are_looked_through() {
    for tags in [&[0x8100_u16][..], &[0x88a8, 0x8100]] {
        let mut frame = Built::new(tags[0]);
        for next in tags[1..].iter().chain(&[0x0800]) {
            frame.push(&[0, 7]).push(&next.to_be_bytes());
        }
        frame.push(&ipv4(6, 0, &[])[..20]).push(&PORTS);
        assert_eq!(frame.flow().unwrap().ports(), Some((40_000, 3000)));
        frame.cut_anywhere();
    }
}

#[test]
fn ipv6_udp_behind_extension_headers() {
    let mut frame = Built::new(0x86dd);
    frame
        .push(&ipv6(NEXT_HOP_BY_HOP))
        .push(&[NEXT_DESTINATION, 0, 0, 0, 0, 0, 0, 0])
        .push(&[NEXT_FRAGMENT, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .push(&[17, 0, 0, 1, 0, 0, 0, 9])
        .push(&PORTS);
    let flow = frame.flow().unwrap();
    assert_eq!(flow.protocol, PROTOCOL_UDP);
    assert_eq!(flow.ports(), Some((40_000, 3000)));
    frame.cut_anywhere();
}

#[test]
fn ipv6_later_fragment_has_no_ports() {
    let mut frame = Built::new(0x86dd);
    frame
        .push(&ipv6(NEXT_FRAGMENT))
        .push(&[6, 0, 0, 8, 0, 0, 0, 9])
        .push(&PORTS);
    let flow = frame.flow().unwrap();
    assert_eq!((flow.protocol, flow.ports()), (PROTOCOL_TCP, None));
}

#[test]
fn neighbour_discovery_is_nobodys_flow() {
    for kind in 133..=137 {
        let mut frame = Built::new(0x86dd);
        frame.push(&ipv6(NEXT_ICMPV6)).push(&[kind, 0, 0, 0]);
        assert_eq!(frame.flow(), None, "type {kind}");
    }
    let mut echo = Built::new(0x86dd);
    echo.push(&ipv6(NEXT_ICMPV6)).push(&[128, 0, 0, 0]);
    assert_eq!(echo.flow().unwrap().protocol, PROTOCOL_ICMP);
}

#[test]
fn arp_and_nonsense_are_nobodys_flow() {
    let mut arp = Built::new(0x0806);
    arp.push(&[0; 28]);
    assert_eq!(arp.flow(), None);
    let mut short_header = Built::new(0x0800);
    short_header.push(&[0x44; 40]);
    assert_eq!(short_header.flow(), None);
    let mut wrong_version = Built::new(0x86dd);
    wrong_version.push(&[0x45; 60]);
    assert_eq!(wrong_version.flow(), None);
}

#[test]
fn endless_extension_headers_end() {
    let mut frame = Built::new(0x86dd);
    frame.push(&ipv6(NEXT_HOP_BY_HOP));
    for _ in 0..8 {
        frame.push(&[NEXT_DESTINATION, 0, 0, 0, 0, 0, 0, 0]);
    }
    let flow = frame.flow().unwrap();
    assert_eq!(flow.ports(), None);
}

#[test]
fn hash_tells_flows_and_directions_apart() {
    let flow = Flow {
        source: v4(1),
        destination: v4(2),
        source_port: 1,
        ..Flow::default()
    };
    let back = Flow {
        source: v4(2),
        destination: v4(1),
        ..flow
    };
    let other = Flow {
        source_port: 2,
        ..flow
    };
    assert_eq!(flow.hash(3), flow.hash(3));
    assert_ne!(flow.hash(3), back.hash(3));
    assert_ne!(flow.hash(3), other.hash(3));
    assert_ne!(flow.hash(3), flow.hash(4));
}
