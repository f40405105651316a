//! Echo requests from a raw socket, so that each round trip is measured on its own and in microseconds.

use std::{
    net::{IpAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, OwnedFd},
    sync::OnceLock,
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow};
use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6,
            recv, sendto, setsockopt, socket, sockopt::ReceiveTimeout,
        },
        time::TimeVal,
    },
};

use super::{Seen, Series, times};
use crate::{lab::Host, packet::checksum, pauses::Times};

/// Pings an address from a host: the round trip times of the echo requests that are answered.
pub fn ping_rtt(from: &Host, to: IpAddr, series: Series) -> Result<Times> {
    let socket = from.run(|| raw_socket(to))??;
    let tick = TimeVal::new(0, 20_000);
    setsockopt(&socket, ReceiveTimeout, &tick).context("set the receive timeout")?;
    // Raw sockets get every echo reply of the namespace: the identifier tells ours from those of another test.
    let identifier = u16::try_from(std::process::id() & 0xffff)?;
    let all_sent = OnceLock::<Instant>::new();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut seen = Seen::new();
            loop {
                seen.extend(reply(&socket, to, identifier)?);
                let Some(&all_sent) = all_sent.get() else {
                    continue;
                };
                let last = seen.last().map_or(all_sent, |&(_, at)| at.max(all_sent));
                if seen.len() >= series.count as usize || last.elapsed() > series.patience {
                    return Ok::<_, anyhow::Error>(seen);
                }
            }
        });
        let mut failed = None;
        let sent = series.pace(|number| {
            failed = request(&socket, to, identifier, number)
                .err()
                .or(failed.take());
        });
        all_sent.get_or_init(Instant::now);
        let seen = receiver
            .join()
            .map_err(|_| anyhow!("the receiver panicked"))??;
        failed.map_or(Ok(()), Err)?;
        Ok(Times::of(&sent, &times(&sent, &seen)))
    })
}

fn raw_socket(to: IpAddr) -> Result<OwnedFd> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).context("open a raw socket")
}

/// Sends one echo request.
fn request(socket: &OwnedFd, to: IpAddr, identifier: u16, number: u32) -> Result<()> {
    let mut request = vec![if to.is_ipv4() { 8 } else { 128 }, 0, 0, 0];
    request.extend(identifier.to_be_bytes());
    request.extend(u16::try_from(number)?.to_be_bytes());
    request.resize(64, 0x55);
    let result = match to {
        IpAddr::V4(to) => {
            let sum = checksum(&request);
            request[2..4].copy_from_slice(&sum.to_be_bytes());
            let to = SockaddrIn::from(SocketAddrV4::new(to, 0));
            sendto(socket.as_raw_fd(), &request, &to, MsgFlags::empty())
        }
        // The kernel fills in the checksum of ICMPv6.
        IpAddr::V6(to) => {
            let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, 0));
            sendto(socket.as_raw_fd(), &request, &to, MsgFlags::empty())
        }
    };
    result.map(drop).context("send an echo request")
}

/// The next echo reply to one of our requests: its number, and when it came. None when there was none for a tick.
fn reply(socket: &OwnedFd, from: IpAddr, identifier: u16) -> Result<Option<(u32, Instant)>> {
    let mut bytes = [0; 1500];
    let length = match recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
        Ok(length) => length,
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
        Err(error) => return Err(error).context("receive an echo reply"),
    };
    let at = Instant::now();
    let mut icmp = &bytes[..length];
    if from.is_ipv4() {
        // An IPv4 raw socket receives the IP header, too.
        let header = usize::from(icmp.first().copied().unwrap_or(0) & 0x0f) * 4;
        icmp = icmp.get(header..).unwrap_or_default();
    }
    let reply_type = if from.is_ipv4() { 0 } else { 129 };
    match icmp {
        [kind, 0, _, _, a, b, c, d, ..]
            if *kind == reply_type && [*a, *b] == identifier.to_be_bytes() =>
        {
            Ok(Some((u16::from_be_bytes([*c, *d]).into(), at)))
        }
        _ => Ok(None),
    }
}
