//! TCP sockets of the calling thread's namespace: who listens, who is connected, and the end of a connection
//! (`NETLINK_SOCK_DIAG`, see `man 7 sock_diag`). Knows nothing of experiments.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// States of TCP sockets, as bits: see `include/net/tcp_states.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States(u32);

impl States {
    /// Waits for connections.
    pub const LISTENING: Self = Self(1 << 10);
    /// Belongs to a connection that is about to be made, is open, or of which one side at least can still send.
    pub const OPEN: Self = Self(1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 12);
}

/// Which sockets: those with this port, of all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Here.
    Own(u16),
    /// On the other side.
    Peer(u16),
}

/// A TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSocket {
    /// Its address here; IPv4 stays IPv4, also where it is of an IPv6 socket.
    pub own: SocketAddr,
    /// The other side.
    pub peer: SocketAddr,
    /// As `/proc/PID/fd` shows it; 0 as long as nobody has accepted the connection.
    pub inode: u32,
    /// Cgroup of version 2 that it was made in, where the kernel says so.
    pub cgroup: Option<u64>,
    family: u8,
    id: SocketId,
}

/// `struct inet_diag_sockid`.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
struct SocketId {
    own_port: [u8; 2],
    peer_port: [u8; 2],
    own: [u8; 16],
    peer: [u8; 16],
    interface: u32,
    cookie: [u32; 2],
}

/// `struct inet_diag_req_v2`.
#[repr(C)]
#[derive(Clone, Copy, Debug, IntoBytes, Immutable, KnownLayout)]
struct Request {
    family: u8,
    protocol: u8,
    extensions: u8,
    reserved: u8,
    states: u32,
    id: SocketId,
}

/// `struct inet_diag_msg`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout)]
struct Answer {
    family: u8,
    state: u8,
    timer: u8,
    retransmits: u8,
    id: SocketId,
    expires: u32,
    read_queue: u32,
    write_queue: u32,
    uid: u32,
    inode: u32,
}

/// `struct nlmsghdr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Header {
    length: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
}

/// `struct nlattr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout)]
struct Attribute {
    length: u16,
    kind: u16,
}

// From `linux/sock_diag.h`, `linux/inet_diag.h` and `linux/netlink.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const INET_DIAG_CGROUP_ID: u16 = 21;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const IPPROTO_TCP: u8 = 6;
const FAMILIES: [u8; 2] = [2, 10];
/// No cookie.
const ANY_COOKIE: [u32; 2] = [u32::MAX; 2];

/// What the kernel sends at once.
const BUFFER: usize = 32 * 1024;

/// All TCP sockets in these states with this port.
pub fn tcp_sockets(states: States, port: Port) -> io::Result<Vec<TcpSocket>> {
    let socket = open()?;
    let (own_port, peer_port) = match port {
        Port::Own(port) => (port, 0),
        Port::Peer(port) => (0, port),
    };
    let mut found = Vec::new();
    for family in FAMILIES {
        let id = SocketId {
            own_port: own_port.to_be_bytes(),
            peer_port: peer_port.to_be_bytes(),
            cookie: ANY_COOKIE,
            ..SocketId::default()
        };
        ask(
            &socket,
            SOCK_DIAG_BY_FAMILY,
            NLM_F_DUMP,
            request(family, states, id),
        )?;
        receive(&socket, |payload| found.extend(read_socket(payload)))?;
    }
    Ok(found)
}

impl TcpSocket {
    /// Ends its connection: both sides see a reset. `NotFound` when it has gone by itself.
    pub fn destroy(&self) -> io::Result<()> {
        let socket = open()?;
        let what = request(self.family, States(u32::MAX), self.id);
        ask(&socket, SOCK_DESTROY, NLM_F_ACK, what)?;
        receive(&socket, |_| {})
    }
}

const fn request(family: u8, states: States, id: SocketId) -> Request {
    Request {
        family,
        protocol: IPPROTO_TCP,
        extensions: 0,
        reserved: 0,
        states: states.0,
        id,
    }
}

fn open() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?)
}

fn ask(socket: &OwnedFd, kind: u16, flags: u16, request: Request) -> io::Result<()> {
    let length = size_of::<Header>() + size_of::<Request>();
    let header = Header {
        length: u32::try_from(length).unwrap_or_default(),
        kind,
        flags: NLM_F_REQUEST | flags,
        sequence: 0,
        port: 0,
    };
    let message = [header.as_bytes(), request.as_bytes()].concat();
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
    Ok(())
}

/// Hands over what comes until the kernel says that it is all, or that it failed.
fn receive(socket: &OwnedFd, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..length];
        while let Some((header, payload, after)) = next_message(rest) {
            match header.kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return error(payload),
                _ => take(payload),
            }
            rest = after;
        }
    }
}

fn next_message(bytes: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let (header, _) = Header::read_from_prefix(bytes).ok()?;
    let length = usize::try_from(header.length).ok()?;
    let payload = bytes.get(size_of::<Header>()..length)?;
    Some((header, payload, after(bytes, length)))
}

fn next_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (attribute, _) = Attribute::read_from_prefix(bytes).ok()?;
    let length = usize::from(attribute.length);
    let value = bytes.get(size_of::<Attribute>()..length)?;
    Some((attribute.kind, value, after(bytes, length)))
}

/// What follows these many bytes, which are filled up to a multiple of four.
fn after(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(length.next_multiple_of(4)..).unwrap_or_default()
}

/// `struct nlmsgerr` begins with a negative error, or zero.
fn error(payload: &[u8]) -> io::Result<()> {
    match i32::read_from_prefix(payload) {
        Ok((0, _)) => Ok(()),
        Ok((code, _)) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_socket(payload: &[u8]) -> Option<TcpSocket> {
    let (answer, mut attributes) = Answer::read_from_prefix(payload).ok()?;
    let mut cgroup = None;
    while let Some((kind, value, after)) = next_attribute(attributes) {
        if kind == INET_DIAG_CGROUP_ID {
            cgroup = u64::read_from_prefix(value).ok().map(|(id, _)| id);
        }
        attributes = after;
    }
    let address = |bytes: [u8; 16], port: [u8; 2]| {
        let [a, b, c, d, ..] = bytes;
        let address = if answer.family == FAMILIES[0] {
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            Ipv6Addr::from(bytes).to_canonical()
        };
        SocketAddr::new(address, u16::from_be_bytes(port))
    };
    Some(TcpSocket {
        own: address(answer.id.own, answer.id.own_port),
        peer: address(answer.id.peer, answer.id.peer_port),
        inode: answer.inode,
        cgroup,
        family: answer.family,
        id: answer.id,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        net::{TcpListener, TcpStream},
        os::unix::fs::MetadataExt as _,
    };

    use super::*;

    fn inode(socket: &impl AsRawFd) -> u32 {
        let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
        u32::try_from(std::fs::metadata(path).unwrap().ino()).unwrap()
    }

    fn pair(at: &str) -> (TcpListener, TcpStream, TcpStream) {
        let listener = TcpListener::bind(at).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        (listener, client, server)
    }

    #[test]
    fn sockets_are_those_of_the_port() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let (listener, client, server) = pair(at);
            let port = listener.local_addr().unwrap().port();
            let found = tcp_sockets(States::LISTENING, Port::Own(port)).unwrap();
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(
                (found[0].own, found[0].inode),
                (listener.local_addr().unwrap(), inode(&listener))
            );
            let found = tcp_sockets(States::OPEN, Port::Own(port)).unwrap();
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].peer, client.local_addr().unwrap());
            assert_eq!(found[0].inode, inode(&server));
            let found = tcp_sockets(States::OPEN, Port::Peer(port)).unwrap();
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].inode, inode(&client));
        }
    }

    #[test]
    fn both_sides_of_a_destroyed_connection_see_it() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let (listener, mut client, mut server) = pair(at);
            let port = listener.local_addr().unwrap().port();
            let found = tcp_sockets(States::OPEN, Port::Own(port)).unwrap();
            match found[0].destroy() {
                // Only with the capability for it.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return,
                done => done.unwrap(),
            }
            let mut byte = [0];
            let error = client.read(&mut byte).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            let error = server.read(&mut byte).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
            let again = found[0].destroy().unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn what_is_cut_short_is_not_read() {
        assert!(next_message(&[]).is_none());
        assert!(next_message(&[200, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
        assert!(read_socket(&[2; 71]).is_none());
        let mut answer = vec![0; 72];
        answer.extend([200, 0, 21, 0, 1]);
        assert_eq!(read_socket(&answer).unwrap().cgroup, None);
        assert!(next_attribute(&[0, 0, 0, 0]).is_none());
    }
}
