//! What most packets are: TCP or UDP over IP, without tags, options, extensions and fragments. They are read with less
//! effort than the others.

use super::{
    ETHERNET_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Flow, Frame, IPV4_MORE, IPV4_OFFSET, IPV6_LEN,
    NEXT_TCP, NEXT_UDP, TCP_LENGTH, UDP_LEN, address, mapped, tcp_length,
};

/// First byte of an IPv4 header: version 4, five words.
const IPV4_WITHOUT_OPTIONS: u8 = 0x45;

/// Protocol behind an IP header without a tag before it, options, extensions, and fragments, and where its own begins.
#[inline(always)]
pub(crate) fn transport<F: Frame + ?Sized>(frame: &F) -> Option<(u8, usize)> {
    match frame.short(ETHERNET_LEN - 2)? {
        ETHERTYPE_IPV4
            if frame.byte(ETHERNET_LEN)? == IPV4_WITHOUT_OPTIONS
                && frame.short(ETHERNET_LEN + 6)? & (IPV4_MORE | IPV4_OFFSET) == 0 =>
        {
            Some((frame.byte(ETHERNET_LEN + 9)?, ETHERNET_LEN + 20))
        }
        ETHERTYPE_IPV6 if frame.byte(ETHERNET_LEN)? >> 4 == 6 => {
            Some((frame.byte(ETHERNET_LEN + 6)?, ETHERNET_LEN + IPV6_LEN))
        }
        _ => None,
    }
}

impl Flow {
    /// What [`Flow::parse`] reads of a packet that is plain, and has all of its headers. Of others nothing, and no word
    /// about them either.
    #[inline(always)]
    pub fn plain<F: Frame + ?Sized>(frame: &F) -> Option<Self> {
        let (protocol, at) = transport(frame)?;
        let (payload, tcp_flags) = match protocol {
            NEXT_TCP => {
                let length_and_flags = frame.short(at + TCP_LENGTH)?;
                (
                    at + tcp_length(length_and_flags >> 12),
                    length_and_flags & 0xff,
                )
            }
            NEXT_UDP => (at + UDP_LEN, 0),
            _ => return None,
        };
        let (source, destination, traffic_class);
        if at == ETHERNET_LEN + IPV6_LEN {
            source = address(frame, ETHERNET_LEN + 8)?;
            destination = address(frame, ETHERNET_LEN + 24)?;
            traffic_class = (frame.short(ETHERNET_LEN)? >> 4) & 0xff;
        } else {
            source = mapped(frame.word(ETHERNET_LEN + 12)?);
            destination = mapped(frame.word(ETHERNET_LEN + 16)?);
            traffic_class = u16::from(frame.byte(ETHERNET_LEN + 1)?);
        }
        Some(Self {
            source,
            destination,
            protocol: protocol.into(),
            has_ports: 1,
            fragment: 0,
            network: ETHERNET_LEN as u16,
            source_port: frame.short(at)?,
            destination_port: frame.short(at + 2)?,
            traffic_class,
            tcp_flags,
            transport: at as u16,
            payload: payload as u16,
            datagram: 0,
        })
    }
}
