//! The way from a relay to the application, by what doors know of it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use socket2::Socket;

use crate::{
    attach::doors::{self, Doors},
    relay::Upstream,
};

/// Doors on one side, relays on the other: neither knows the other.
pub(super) struct Way {
    pub(super) upstream: Arc<doors::Upstream>,
    pub(super) doors: Arc<Mutex<Doors>>,
}

impl Upstream for Way {
    fn socket(&self, client: SocketAddr, server: SocketAddr) -> io::Result<Socket> {
        self.upstream.socket(client, server)
    }

    fn connected(&self, local: SocketAddr) {
        self.upstream.connected(local);
    }

    fn crowded(&self) {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.let_by(true);
    }
}
