//! Ends connections that were there before their port had a door, so that they come back through it.

use std::{collections::HashSet, io, net::SocketAddr};

use chaos_abi::door::Passed;

use super::listening::own_sockets;
use crate::{
    attach::rules::address_in_kernel,
    engine::{Protected, Spared},
    netlink::diag::{self, Port, States, TcpSocket},
};

/// Which connections stay, although they are to the port.
pub(super) struct Leave<'a> {
    /// The program would have left them alone, too.
    pub(super) spared: &'a [Spared],
    /// The same, wherever.
    pub(super) protected: &'a [Protected],
    /// Those on the node.
    pub(super) is_node: bool,
    /// The door takes connections from within the namespace too.
    pub(super) takes_loopback: bool,
}

/// Ends connections to the port in the calling thread's namespace, but those that came through the door, which writes
/// them down; gives how many.
pub(super) fn close(
    port: u16,
    leave: &Leave<'_>,
    taken: impl FnOnce() -> HashSet<Passed>,
) -> io::Result<u64> {
    // First: whoever comes through the door from now on is not among them, and whoever came before is known below.
    let open = diag::tcp_sockets(States::OPEN, Port::Own(port))?;
    let ours = own_sockets();
    let is_ours = |socket: &TcpSocket| ours.contains(&socket.inode);
    // Clients in the namespace itself, the agent with them.
    let near: HashSet<SocketAddr> = diag::tcp_sockets(States::OPEN, Port::Peer(port))?
        .into_iter()
        .filter(|client| !leave.takes_loopback || is_ours(client))
        .map(|client| client.own)
        .collect();
    let taken = taken();
    let mut closed = 0;
    for socket in open {
        let peer = socket.peer;
        let stays = is_ours(&socket)
            || near.contains(&peer)
            || is_taken(&taken, peer, port)
            || leave.is_spared(peer, port);
        if stays {
            continue;
        }
        match socket.destroy() {
            Ok(()) => closed += 1,
            // It has ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(closed)
}

fn is_taken(taken: &HashSet<Passed>, peer: SocketAddr, port: u16) -> bool {
    taken.contains(&Passed {
        address: address_in_kernel(peer.ip()),
        peer_port: u32::from(peer.port()),
        own_port: u32::from(port),
    })
}

impl Leave<'_> {
    fn is_spared(&self, peer: SocketAddr, port: u16) -> bool {
        let spares = |spared: &Spared| spared.peer == peer.ip() && spared.own_port == port;
        let protects = |protected: &Protected| match *protected {
            Protected::Peers(net) => net.contains(&peer.ip()),
            Protected::PeerPort(it) => it == peer,
            Protected::NodesPeerPort(it) => self.is_node && it == peer,
            Protected::OwnPort(own) => self.is_node && own == port,
        };
        self.spared.iter().any(spares) || self.protected.iter().any(protects)
    }
}
