//! Whether doors work on this kernel, found out by going through one.

use std::{
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use chaos_abi::door::{Door, TAKES_LOOPBACK};

use super::{listener, program::Copy};
use crate::{
    attach::heartbeat::Words,
    netlink::{
        self,
        diag::{self, Port, States, TcpSocket},
    },
    sentence::sentence,
};

/// How long a connection within a namespace may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// A port that nobody listens on in a namespace of our own.
const PORT: u16 = 80;
/// What an interface is called that every namespace has.
const LOOPBACK_IFINDEX: u32 = 1;

/// Goes through a door in the calling thread's namespace, which must be of our own and new; the reason where that does not
/// work.
pub(in crate::attach) fn go_through() -> Result<(), String> {
    attempt().map_err(|error| sentence(error.as_ref()))
}

/// Ends a connection in the calling thread's namespace, the same one; the reason where that does not work.
pub(in crate::attach) fn end_connection() -> Result<(), String> {
    end().map_err(|error| error.to_string())
}

fn end() -> io::Result<()> {
    netlink::with(async |netlink| netlink.set_up(LOOPBACK_IFINDEX).await)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    let _client = TcpStream::connect_timeout(&at, PATIENCE)?;
    let open = diag::tcp_sockets(States::OPEN, Port::Own(at.port()))?;
    open.iter().try_for_each(TcpSocket::destroy)
}

fn attempt() -> Result<(), Box<dyn std::error::Error>> {
    netlink::with(async |netlink| netlink.set_up(LOOPBACK_IFINDEX).await)?;
    let mut copy = Copy::load(&Words::default())?;
    let behind = listener::open()?;
    copy.set_listener(0, &behind)?;
    let door = Door {
        deadline_ns: u64::MAX,
        place: 0,
        flags: TAKES_LOOPBACK,
    };
    copy.set_door(PORT, door)?;
    copy.attach(&File::open("/proc/thread-self/ns/net")?)?;
    for address in [
        Ipv4Addr::LOCALHOST.into(),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ] {
        let at = SocketAddr::from((address, PORT));
        let _through = match TcpStream::connect_timeout(&at, PATIENCE) {
            Err(_) if address.is_ipv6() && !has_ipv6() => continue,
            other => other?,
        };
        let (connection, _) = behind.accept()?;
        let seen = connection.local_addr()?;
        if (seen.ip().to_canonical(), seen.port()) != (address, PORT) {
            return Err(format!("a connection to {at} came through as one to {seen}").into());
        }
    }
    Ok(())
}

fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Scratch;

    #[test]
    fn works_here() {
        let scratch = Scratch::new().unwrap();
        scratch.run(go_through).unwrap().unwrap();
        scratch.run(end_connection).unwrap().unwrap();
    }
}
