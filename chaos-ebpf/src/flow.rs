//! From a frame to what filters ask about: addresses, protocol, ports.
//!
//! Fails open: whatever is not IPv4 or IPv6, is cut short, or is neighbour discovery yields no flow,
//! and a packet without a flow passes untouched.

mod plain;

use chaos_abi::rule::{PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP};

pub(crate) use plain::transport;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Tag of a VLAN.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// Outer tag of two.
pub const ETHERTYPE_QINQ: u16 = 0x88a8;

pub(crate) const ETHERNET_LEN: usize = 14;
const VLAN_LEN: usize = 4;
const MAX_VLAN_TAGS: usize = 2;
/// Length of an IPv6 header without extensions.
pub const IPV6_LEN: usize = 40;
/// More extension headers than any sane packet has.
const MAX_EXTENSIONS: usize = 6;

const NEXT_HOP_BY_HOP: u8 = 0;
pub(crate) const NEXT_TCP: u8 = 6;
pub(crate) const NEXT_UDP: u8 = 17;
const NEXT_ROUTING: u8 = 43;
const NEXT_FRAGMENT: u8 = 44;
const NEXT_AUTHENTICATION: u8 = 51;
pub(crate) const NEXT_ICMPV6: u8 = 58;
const NEXT_DESTINATION: u8 = 60;

/// Router solicitation to redirect: RFC 4861's messages.
const NEIGHBOUR_DISCOVERY: core::ops::RangeInclusive<u8> = 133..=137;

/// A frame that can be read at any offset; reads beyond its end give nothing.
pub trait Frame {
    /// Byte at `offset`.
    fn byte(&self, offset: usize) -> Option<u8>;
    /// Two bytes at `offset`, in host order.
    fn short(&self, offset: usize) -> Option<u16>;
    /// Four bytes at `offset`, as they stand (network order).
    fn word(&self, offset: usize) -> Option<u32>;
    /// The same four bytes, for where the headers before have told the offset. In the kernel the others follow a
    /// pointer, of which the verifier looks at every value that it may have.
    fn four(&self, offset: usize) -> Option<[u8; 4]>;
    /// The same number. In the kernel the verifier forgets how it came about: before Linux 6.2 it would follow every sum
    /// of lengths that headers may have.
    fn forget(&self, offset: usize) -> usize {
        offset
    }
}

/// Whole frames, where nothing has to be proved.
impl Frame for [u8] {
    fn byte(&self, offset: usize) -> Option<u8> {
        self.get(offset).copied()
    }

    fn short(&self, offset: usize) -> Option<u16> {
        array(self, offset).map(u16::from_be_bytes)
    }

    fn word(&self, offset: usize) -> Option<u32> {
        array(self, offset).map(u32::from_ne_bytes)
    }

    fn four(&self, offset: usize) -> Option<[u8; 4]> {
        array(self, offset)
    }
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset + N)?.try_into().ok()
}

/// What filters ask about a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Source address in network order, IPv4 mapped into IPv6.
    pub source: [u32; 4],
    /// Destination address likewise.
    pub destination: [u32; 4],
    /// IP protocol number; `ICMPv6` counts as ICMP.
    pub protocol: u32,
    /// 1 when the ports are known: TCP and UDP, but later fragments do not have them.
    pub has_ports: u8,
    /// 0 for what is whole, [`FIRST_FRAGMENT`] or [`LATER_FRAGMENT`].
    pub fragment: u8,
    /// Where the header of IP begins.
    pub network: u16,
    /// Host order.
    pub source_port: u16,
    /// Host order.
    pub destination_port: u16,
    /// The IPv4 type of service, or the IPv6 traffic class: DSCP, then ECN.
    pub traffic_class: u16,
    /// TCP's flags; 0 where there are none.
    pub tcp_flags: u16,
    /// Where the header of TCP, UDP or whatever IP carries begins.
    pub transport: u16,
    /// Where the headers end.
    pub payload: u16,
    /// What the fragments of one datagram have in common.
    pub datagram: u32,
}

/// Value of [`Flow::fragment`]: the one with the ports.
pub const FIRST_FRAGMENT: u8 = 1;
/// Value of [`Flow::fragment`]: another one.
pub const LATER_FRAGMENT: u8 = 2;

/// Bits of IPv4's flags and offset: more fragments.
const IPV4_MORE: u16 = 0x2000;
/// Its offset.
const IPV4_OFFSET: u16 = 0x1fff;
/// Likewise of IPv6's fragment header.
const IPV6_MORE: u16 = 1;
const IPV6_OFFSET: u16 = 0xfff8;

/// Bits of [`Flow::tcp_flags`].
pub const FIN: u16 = 0x01;
/// Opens a connection.
pub const SYN: u16 = 0x02;
/// Ends it at once.
pub const RST: u16 = 0x04;
/// Has the number of the next byte.
pub const ACK: u16 = 0x10;
/// Where TCP's header has its own length, in its upper four bits, and its flags.
const TCP_LENGTH: usize = 12;
const UDP_LEN: usize = 8;

impl Flow {
    /// Reads the headers of an Ethernet frame.
    #[inline(always)]
    pub fn parse<F: Frame + ?Sized>(frame: &F) -> Option<Self> {
        let mut ethertype = frame.short(ETHERNET_LEN - 2)?;
        let mut offset = ETHERNET_LEN;
        let mut tags = 0;
        while tags < MAX_VLAN_TAGS && matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_QINQ) {
            ethertype = frame.short(offset + 2)?;
            offset += VLAN_LEN;
            tags += 1;
        }
        match ethertype {
            ETHERTYPE_IPV4 => Self::parse_ipv4(frame, offset),
            ETHERTYPE_IPV6 => Self::parse_ipv6(frame, offset),
            _ => None,
        }
    }

    /// Source and destination port, where the packet has them.
    #[inline(always)]
    pub const fn ports(&self) -> Option<(u16, u16)> {
        if self.has_ports == 0 {
            None
        } else {
            Some((self.source_port, self.destination_port))
        }
    }

    /// Whether it opens a TCP connection.
    #[inline(always)]
    pub const fn opens_connection(&self) -> bool {
        self.tcp_flags & (SYN | ACK) == SYN
    }

    /// The same, to another end.
    #[inline(always)]
    #[must_use]
    pub const fn to(&self, address: [u32; 4], port: u16) -> Self {
        Self {
            destination: address,
            destination_port: port,
            ..*self
        }
    }

    /// One number for the datagram that it is a fragment of: with ports or without, it is the same.
    #[inline(always)]
    pub const fn datagram(&self) -> u64 {
        let whole = Self {
            source_port: 0,
            destination_port: 0,
            ..*self
        };
        whole.hash(self.datagram as u64)
    }

    /// DSCP: the upper six bits of the traffic class.
    #[inline(always)]
    pub const fn dscp(&self) -> u32 {
        (self.traffic_class >> 2) as u32
    }

    /// One number for the connection, the same in both directions.
    #[inline(always)]
    pub const fn connection(&self, seed: u64) -> u64 {
        let one = end(&self.source, self.source_port);
        let other = end(&self.destination, self.destination_port);
        mix(mix(one.wrapping_add(other) ^ seed) ^ self.protocol as u64)
    }

    /// One number for the flow; the two directions of a connection have different ones.
    #[inline(always)]
    pub const fn hash(&self, seed: u64) -> u64 {
        let mut hash = seed;
        let mut index = 0;
        while index < 4 {
            hash = mix(hash ^ ((self.source[index] as u64) << 32 | self.destination[index] as u64));
            index += 1;
        }
        mix(hash
            ^ ((self.protocol as u64) << 32
                | (self.source_port as u64) << 16
                | self.destination_port as u64))
    }

    #[inline(always)]
    fn parse_ipv4<F: Frame + ?Sized>(frame: &F, at: usize) -> Option<Self> {
        let first = frame.byte(at)?;
        let header = usize::from(first & 0x0f) * 4;
        if first >> 4 != 4 || header < 20 {
            return None;
        }
        let mut flow = Self {
            source: mapped(frame.word(at + 12)?),
            destination: mapped(frame.word(at + 16)?),
            protocol: u32::from(frame.byte(at + 9)?),
            traffic_class: u16::from(frame.byte(at + 1)?),
            network: at as u16,
            transport: (at + header) as u16,
            ..Self::default()
        };
        let place = frame.short(at + 6)?;
        if place & (IPV4_MORE | IPV4_OFFSET) != 0 {
            flow.datagram = u32::from(frame.short(at + 4)?);
            flow.fragment = FIRST_FRAGMENT;
        }
        if place & IPV4_OFFSET != 0 {
            flow.fragment = LATER_FRAGMENT;
            return Some(flow.with_payload(at + header));
        }
        flow.with_ports(frame, at + header)
    }

    #[inline(always)]
    fn parse_ipv6<F: Frame + ?Sized>(frame: &F, at: usize) -> Option<Self> {
        if frame.byte(at)? >> 4 != 6 {
            return None;
        }
        let mut flow = Self {
            traffic_class: (frame.short(at)? >> 4) & 0xff,
            source: address(frame, at + 8)?,
            destination: address(frame, at + 24)?,
            network: at as u16,
            transport: (at + IPV6_LEN) as u16,
            ..Self::default()
        };
        let mut next = frame.byte(at + 6)?;
        if next == NEXT_TCP || next == NEXT_UDP {
            flow.protocol = u32::from(next);
            return flow.with_ports(frame, at + IPV6_LEN);
        }
        let mut offset = at + IPV6_LEN;
        let mut extensions = 0;
        while extensions < MAX_EXTENSIONS {
            if !is_extension(next) {
                break;
            }
            let [following, length, high, low] = frame.four(offset)?;
            let length = match next {
                NEXT_AUTHENTICATION => (usize::from(length) + 2) * 4,
                NEXT_FRAGMENT => 8,
                _ => (usize::from(length) + 1) * 8,
            };
            if next == NEXT_FRAGMENT {
                let place = u16::from_be_bytes([high, low]);
                if place & (IPV6_MORE | IPV6_OFFSET) != 0 {
                    flow.datagram = u32::from_ne_bytes(frame.four(offset + 4)?);
                    flow.fragment = FIRST_FRAGMENT;
                }
                if place & IPV6_OFFSET != 0 {
                    flow.fragment = LATER_FRAGMENT;
                    flow.protocol = protocol_of(following);
                    flow.transport = (offset + length) as u16;
                    return Some(flow.with_payload(offset + length));
                }
            }
            next = following;
            offset = frame.forget(offset + length);
            extensions += 1;
        }
        flow.protocol = protocol_of(next);
        flow.transport = offset as u16;
        flow = flow.with_payload(offset);
        if next == NEXT_ICMPV6 {
            let [kind, ..] = frame.four(offset)?;
            return if NEIGHBOUR_DISCOVERY.contains(&kind) {
                None
            } else {
                Some(flow)
            };
        }
        if next == NEXT_TCP || next == NEXT_UDP {
            let [a, b, c, d] = frame.four(offset)?;
            flow.source_port = u16::from_be_bytes([a, b]);
            flow.destination_port = u16::from_be_bytes([c, d]);
            flow.has_ports = 1;
            flow = flow.with_payload(offset + UDP_LEN);
            if next == NEXT_TCP {
                let [length, flags, ..] = frame.four(offset + TCP_LENGTH).unwrap_or_default();
                flow.tcp_flags = u16::from(flags);
                flow = flow.with_payload(offset + tcp_length(u16::from(length >> 4)));
            }
        }
        Some(flow)
    }

    #[inline(always)]
    fn with_ports<F: Frame + ?Sized>(mut self, frame: &F, at: usize) -> Option<Self> {
        if self.protocol != PROTOCOL_TCP && self.protocol != PROTOCOL_UDP {
            return Some(self.with_payload(at));
        }
        self.source_port = frame.short(at)?;
        self.destination_port = frame.short(at + 2)?;
        self.has_ports = 1;
        if self.protocol == PROTOCOL_UDP {
            return Some(self.with_payload(at + UDP_LEN));
        }
        // The first fragment of a packet may end before them.
        let length_and_flags = frame.short(at + TCP_LENGTH).unwrap_or(0);
        self.tcp_flags = length_and_flags & 0xff;
        Some(self.with_payload(at + tcp_length(length_and_flags >> 12)))
    }

    #[inline(always)]
    const fn with_payload(mut self, at: usize) -> Self {
        self.payload = at as u16;
        self
    }
}

/// An IPv4 address mapped into IPv6.
#[inline(always)]
const fn mapped(address: u32) -> [u32; 4] {
    [0, 0, 0xffff_u32.to_be(), address]
}

#[inline(always)]
fn address<F: Frame + ?Sized>(frame: &F, at: usize) -> Option<[u32; 4]> {
    Some([
        frame.word(at)?,
        frame.word(at + 4)?,
        frame.word(at + 8)?,
        frame.word(at + 12)?,
    ])
}

#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(
        next,
        NEXT_HOP_BY_HOP | NEXT_ROUTING | NEXT_DESTINATION | NEXT_AUTHENTICATION | NEXT_FRAGMENT
    )
}

#[inline(always)]
const fn protocol_of(next: u8) -> u32 {
    if next == NEXT_ICMPV6 {
        PROTOCOL_ICMP
    } else {
        next as u32
    }
}

/// Length of a TCP header that says so many words.
#[inline(always)]
const fn tcp_length(words: u16) -> usize {
    if words < 5 { 20 } else { words as usize * 4 }
}

#[inline(always)]
const fn end(address: &[u32; 4], port: u16) -> u64 {
    let high = (address[0] as u64) << 32 | address[1] as u64;
    let low = (address[2] as u64) << 32 | address[3] as u64;
    mix(mix(high ^ port as u64) ^ low)
}

#[inline(always)]
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^ (value >> 29)
}

#[cfg(test)]
mod tests;
