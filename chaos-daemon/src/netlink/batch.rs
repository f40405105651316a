//! Several changes in one message: the kernel begins and ends them in one call, so whoever is killed meanwhile leaves all
//! of them or none. Knows no answers but errors.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

/// Longer than an answer: it repeats what was asked.
const ANSWER_LEN: usize = 8192;

/// Changes of the interfaces of the calling thread's namespace, which go by their names.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    count: u32,
}

impl Batch {
    /// Makes a veth pair, both ends down.
    #[must_use]
    pub fn add_veth(self, near: &str, far: &str) -> Self {
        let message = LinkVeth::new(near, far).build();
        self.with(
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// Signs an interface.
    #[must_use]
    pub fn set_alias(self, name: &str, alias: &str) -> Self {
        let message = LinkMessageBuilder::<LinkUnspec>::new().name(name);
        self.with(
            RouteNetlinkMessage::SetLink(message.alias(alias).build()),
            0,
        )
    }

    /// Moves an interface into another namespace.
    #[must_use]
    pub fn move_link(self, name: &str, namespace: RawFd) -> Self {
        let message = LinkMessageBuilder::<LinkUnspec>::new().name(name);
        let message = message.setns_by_fd(namespace).build();
        self.with(RouteNetlinkMessage::SetLink(message), 0)
    }

    fn with(mut self, message: RouteNetlinkMessage, flags: u16) -> Self {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        message.header.sequence_number = self.count;
        message.finalize();
        let at = self.bytes.len();
        self.bytes.resize(at + message.buffer_len(), 0);
        message.serialize(&mut self.bytes[at..]);
        self.count += 1;
        self
    }

    /// Has the kernel do all of it, in order; the first error.
    pub fn commit(self) -> io::Result<()> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        send(socket.as_raw_fd(), &self.bytes, MsgFlags::empty())?;
        let mut result = Ok(());
        for _ in 0..self.count {
            result = result.and(answer(&socket)?);
        }
        result
    }
}

/// What became of one message; the kernel sends each answer by itself.
fn answer(socket: &OwnedFd) -> io::Result<io::Result<()>> {
    let mut buffer = vec![0; ANSWER_LEN];
    let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&buffer[..length])
        .map_err(io::Error::other)?;
    Ok(match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    })
}
