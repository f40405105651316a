//! Connections from the agent to the application behind a door, which no door takes.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU16, Ordering},
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{program::PassedBy, source::MARK};

/// Ports under a client's address. Most systems take higher ones for the connections that they make, so that a later one of
/// that client hardly ever has the same.
const PORTS: std::ops::Range<u16> = 10_240..32_768;
/// From one port to the next that is tried: it shares no factor with their number, so that it comes by each once, and those
/// of connections that stay open for long are not side by side.
const STRIDE: u16 = 9_973;
/// How many ports are tried that nobody may have used for a while, and then any that nobody uses: of a client that has
/// nine of ten of its ports in use, one in a thousand connections finds no fresh one.
const TRIES: u32 = 64;
/// How many sockets are tried, where others are about to connect from the same address and port.
const SOCKETS: u32 = 4;

/// The way to the application.
pub struct Upstream {
    passed: PassedBy,
    keeps_source: bool,
    next_port: AtomicU16,
}

impl Upstream {
    pub(super) fn new(passed: PassedBy, keeps_source: bool) -> Self {
        Self {
            passed,
            keeps_source,
            next_port: AtomicU16::new(PORTS.start),
        }
    }

    /// A socket that does not block and whose connection to `server` no door takes, under the client's address where that
    /// is kept. To be called inside the namespace; whoever asked says [`Upstream::connected`] when the connection is made,
    /// or is not. If connecting ends with `AddrNotAvailable`, the next socket has another port.
    pub fn socket(&self, client: SocketAddr, server: SocketAddr) -> io::Result<Socket> {
        let (client, server) = (canonical(client), canonical(server));
        let are_alike = client.is_ipv4() == server.is_ipv4();
        let keeps = self.keeps_source && are_alike && is_routed(client.ip());
        let from = if keeps { client } else { server };
        let mut refused = None;
        for _ in 0..SOCKETS {
            let socket = self.bound(from, keeps)?;
            match self.passed.let_by(address(&socket.local_addr()?)?) {
                Ok(()) => return Ok(socket),
                // Another socket is about to use that address.
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.map_or(io::ErrorKind::AddrInUse.into(), io::Error::other))
    }

    /// A socket with an address and a port that nobody uses.
    fn bound(&self, mut from: SocketAddr, keeps: bool) -> io::Result<Socket> {
        let socket = open(from.ip())?;
        if keeps {
            make_transparent(&socket, from.ip())?;
        }
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        // A port that a closed connection still waits with can be used again, but only a fresh one is sure to be free.
        // Where the kernel chooses, it looks at all of them at once.
        let tries = if keeps { TRIES } else { 1 };
        for attempt in 0..2 * tries {
            socket.set_reuse_address(attempt >= tries)?;
            from.set_port(if keeps { self.port() } else { 0 });
            match socket.bind(&from.into()) {
                Ok(()) => {
                    // From now on: the application may bind what we use, and so may we when it only waits to be forgotten.
                    socket.set_reuse_address(true)?;
                    return Ok(socket);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// A socket of ours with this address has connected, or has not.
    pub fn connected(&self, local: SocketAddr) {
        self.passed.done(local);
    }

    /// Whether the application sees clients' addresses.
    pub const fn keeps_source(&self) -> bool {
        self.keeps_source
    }

    fn port(&self) -> u16 {
        let next = |port: u16| Some(port_after(port));
        let taken = self
            .next_port
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.unwrap_or(PORTS.start)
    }
}

const fn port_after(port: u16) -> u16 {
    let count = PORTS.end - PORTS.start;
    PORTS.start + (port - PORTS.start + STRIDE) % count
}

/// IPv4 as such, also where it is of an IPv6 socket. An address of a link keeps its link.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, address.port())),
        IpAddr::V6(_) => address,
    }
}

/// Whether answers to this address are routed by a table: those to a link are not.
const fn is_routed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

fn open(from: IpAddr) -> io::Result<Socket> {
    let domain = match from {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    };
    Socket::new(domain, Type::STREAM.nonblocking().cloexec(), None)
}

/// Lets the socket have an address that is another host's, and its answers come back.
fn make_transparent(socket: &Socket, from: IpAddr) -> io::Result<()> {
    match from {
        IpAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
        IpAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
    }
    socket.set_mark(MARK)
}

fn address(address: &SockAddr) -> io::Result<SocketAddr> {
    address
        .as_socket()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_tried_before_one_is_tried_again() {
        let mut seen = std::collections::HashSet::new();
        let mut port = PORTS.start;
        while seen.insert(port) {
            assert!(PORTS.contains(&port), "{port}");
            port = port_after(port);
        }
        assert_eq!(seen.len(), PORTS.len());
    }
}
