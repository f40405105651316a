//! Ethernet frames made by hand, with right lengths and checksums: what no socket would send, and what
//! `BPF_PROG_TEST_RUN` takes. Sending and receiving them is [`FrameSocket`]'s part.

mod socket;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use self::socket::{FrameSocket, Received};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Goes to everybody.
pub const BROADCAST: Mac = [0xff; 6];

/// A frame in the making: `Frame::v4(a, b).vlan(7).udp(1000, 53, b"hello")`. The last call gives the bytes.
#[derive(Debug, Clone)]
pub struct Frame {
    destination: Mac,
    source: Mac,
    tags: Vec<(u16, u16)>,
    addresses: Addresses,
    hop_limit: u8,
    extensions: Vec<(u8, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy)]
enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

/// Flags of a TCP segment.
pub mod tcp_flags {
    /// Ends the stream.
    pub const FIN: u8 = 0x01;
    /// Opens the connection.
    pub const SYN: u8 = 0x02;
    /// Tears the connection down.
    pub const RST: u8 = 0x04;
    /// Acknowledges.
    pub const ACK: u8 = 0x10;
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

impl Frame {
    /// An IPv4 frame, from a source to a destination.
    pub fn v4(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self::between(Addresses::V4(source, destination))
    }

    /// An IPv6 frame, from a source to a destination.
    pub fn v6(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self::between(Addresses::V6(source, destination))
    }

    /// A frame of the addresses' family; None when they are of different ones.
    pub fn ip(source: IpAddr, destination: IpAddr) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Self::v4(source, destination)),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Self::v6(source, destination)),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }

    fn between(addresses: Addresses) -> Self {
        Self {
            destination: BROADCAST,
            source: [2, 0, 0, 0, 0, 1],
            tags: Vec::new(),
            addresses,
            hop_limit: 64,
            extensions: Vec::new(),
        }
    }

    /// Sets the Ethernet addresses; without it the frame goes to everybody.
    #[must_use]
    pub fn ethernet(mut self, source: Mac, destination: Mac) -> Self {
        (self.source, self.destination) = (source, destination);
        self
    }

    /// Adds an 802.1Q tag with a VLAN id, inside of those that are there.
    #[must_use]
    pub fn vlan(mut self, id: u16) -> Self {
        self.tags.push((0x8100, id));
        self
    }

    /// Adds an 802.1ad tag (the outer one of `QinQ`) with a VLAN id, inside of those that are there.
    #[must_use]
    pub fn service_vlan(mut self, id: u16) -> Self {
        self.tags.push((0x88a8, id));
        self
    }

    /// Adds an IPv6 extension header of 8 n bytes, body without its first two; for IPv4 it is ignored.
    #[must_use]
    pub fn extension(mut self, kind: u8, body: &[u8]) -> Self {
        self.extensions.push((kind, body.to_vec()));
        self
    }

    /// A UDP datagram in the frame.
    pub fn udp(&self, source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
        let mut segment = ports(source_port, destination_port);
        segment.extend(length_of(8 + payload.len()).to_be_bytes());
        segment.extend([0, 0]);
        segment.extend(payload);
        self.around(UDP, segment, Some(6))
    }

    /// A TCP segment in the frame, sequence and acknowledgement 1, window 64 KiB - 1.
    pub fn tcp(
        &self,
        source_port: u16,
        destination_port: u16,
        flags: u8,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut segment = ports(source_port, destination_port);
        segment.extend(1_u32.to_be_bytes());
        segment.extend(1_u32.to_be_bytes());
        segment.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(payload);
        self.around(TCP, segment, Some(16))
    }

    /// An echo request (ICMP or `ICMPv6`) in the frame.
    pub fn echo_request(&self, identifier: u16, number: u16, payload: &[u8]) -> Vec<u8> {
        let (protocol, kind) = if self.is_v4() {
            (ICMP, 8)
        } else {
            (ICMPV6, 128)
        };
        let mut message = vec![kind, 0, 0, 0];
        message.extend(identifier.to_be_bytes());
        message.extend(number.to_be_bytes());
        message.extend(payload);
        self.around(protocol, message, Some(2))
    }

    /// Any message of an IP protocol in the frame, as it stands.
    pub fn protocol(&self, protocol: u8, message: &[u8]) -> Vec<u8> {
        self.around(protocol, message.to_vec(), None)
    }

    fn is_v4(&self) -> bool {
        matches!(self.addresses, Addresses::V4(..))
    }

    /// Fills the transport checksum in at `checksum_at`, and puts IP and Ethernet around.
    fn around(&self, protocol: u8, mut segment: Vec<u8>, checksum_at: Option<usize>) -> Vec<u8> {
        if let Some(at) = checksum_at {
            let mut sum = match protocol {
                ICMP => checksum(&segment),
                _ => checksum(
                    &[self.pseudo_header(protocol, segment.len()), segment.clone()].concat(),
                ),
            };
            if protocol == UDP && sum == 0 {
                // Zero would mean "no checksum".
                sum = 0xffff;
            }
            segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        let mut frame = [self.destination, self.source].concat();
        for (kind, id) in &self.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(id.to_be_bytes());
        }
        match self.addresses {
            Addresses::V4(source, destination) => {
                frame.extend([0x08, 0x00]);
                frame.extend(self.v4_header(source, destination, protocol, segment.len()));
            }
            Addresses::V6(source, destination) => {
                frame.extend([0x86, 0xdd]);
                frame.extend(self.v6_headers(source, destination, protocol, segment.len()));
            }
        }
        frame.extend(segment);
        frame
    }

    fn v4_header(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: u8,
        length: usize,
    ) -> Vec<u8> {
        let mut header = vec![0x45, 0];
        header.extend(length_of(20 + length).to_be_bytes());
        // Identification 0, "do not fragment".
        header.extend([0, 0, 0x40, 0, self.hop_limit, protocol, 0, 0]);
        header.extend(source.octets());
        header.extend(destination.octets());
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn v6_headers(
        &self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        protocol: u8,
        length: usize,
    ) -> Vec<u8> {
        let mut extensions = Vec::new();
        for (index, (_, body)) in self.extensions.iter().enumerate() {
            let next = self
                .extensions
                .get(index + 1)
                .map_or(protocol, |(kind, _)| *kind);
            let eights = (body.len() + 2).div_ceil(8).max(1);
            extensions.extend([next, u8::try_from(eights - 1).unwrap_or(u8::MAX)]);
            extensions.extend(body);
            extensions.extend(vec![0; eights * 8 - 2 - body.len()]);
        }
        let first = self.extensions.first().map_or(protocol, |(kind, _)| *kind);
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(length_of(extensions.len() + length).to_be_bytes());
        header.extend([first, self.hop_limit]);
        header.extend(source.octets());
        header.extend(destination.octets());
        header.extend(extensions);
        header
    }

    fn pseudo_header(&self, protocol: u8, length: usize) -> Vec<u8> {
        let mut header = Vec::new();
        match self.addresses {
            Addresses::V4(source, destination) => {
                header.extend(source.octets());
                header.extend(destination.octets());
            }
            Addresses::V6(source, destination) => {
                header.extend(source.octets());
                header.extend(destination.octets());
            }
        }
        // Zero, protocol and 16 bits of length sum up as IPv6's zeros, next header and 32 bits of length do.
        header.extend([0, protocol]);
        header.extend(length_of(length).to_be_bytes());
        header
    }
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}

/// A length field; a frame that is too long for it is cut to the largest that there is.
fn length_of(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_verify() {
        let frame = Frame::v4(Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)).vlan(7);
        let bytes = frame.udp(1000, 53, b"odd");
        assert_eq!(bytes.len(), 14 + 4 + 20 + 8 + 3);
        assert_eq!(&bytes[12..18], [0x81, 0, 0, 7, 8, 0]);
        assert_eq!(checksum(&bytes[18..38]), 0);
        assert_eq!(
            checksum(&[frame.pseudo_header(UDP, 11), bytes[38..].to_vec()].concat()),
            0
        );
        // The example of RFC 1071.
        assert_eq!(
            checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
    }

    #[test]
    fn extension_headers_form_a_chain() {
        let frame = Frame::v6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
            .extension(0, &[1, 4])
            .extension(60, &[]);
        let bytes = frame.tcp(1, 2, tcp_flags::SYN, b"");
        let (first, chain) = (bytes[14 + 6], &bytes[54..70]);
        assert_eq!((first, chain[0], chain[1], chain[8]), (0, 60, 0, TCP));
        assert_eq!(u16::from_be_bytes([bytes[18], bytes[19]]), 16 + 20);
    }
}
