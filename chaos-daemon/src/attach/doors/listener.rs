//! The socket behind a door.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Socket, Type};

/// As many as the kernel may make of it: connections wait there while the agent is busy.
const BACKLOG: i32 = 4096;

/// Opens a listener in the calling thread's namespace, for connections of both families where the namespace has both.
///
/// A door gives it connections for any address and port. Its own address is the loopback's, so that nobody outside finds
/// a port open that was not; its own port is the kernel's choice.
pub(super) fn open() -> io::Result<TcpListener> {
    let both = |address: Ipv6Addr| listen(Domain::IPV6, SocketAddr::from((address, 0)));
    // Not `::1`: a socket that is bound to an address of IPv6 takes IPv6 only.
    both(Ipv4Addr::LOCALHOST.to_ipv6_mapped())
        .or_else(|_| both(Ipv6Addr::UNSPECIFIED))
        .or_else(|_| listen(Domain::IPV4, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
}

fn listen(domain: Domain, at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), None)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
