//! What stands behind doors: takes connections, reads requests, applies faults, and talks to the application.
//!
//! Each network namespace has a thread of its own, which enters it once and never leaves, so that every socket is made
//! where it belongs. The rest of the agent knows [`Relays`]. Knows neither how connections get here nor who asked.

mod accept;
mod buffer;
mod counters;
mod decide;
mod guide;
mod http1;
mod http2;
mod pace;
mod port;
mod room;
mod rules;
mod side;
mod slow;
mod sniff;
#[cfg(test)]
mod tests;
mod thread;
mod tunnel;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use socket2::Socket;
use tokio::sync::Notify;

use self::{port::Port, room::Room, thread::Thread};

pub use self::{
    counters::Tally,
    rules::{Clients, ServiceFault, ServiceRule, Window},
};

/// How sockets to the application are made.
pub trait Upstream: Send + Sync {
    /// A TCP socket to connect to `server` for `client`, bound, and known so that nobody steers it back to us.
    fn socket(&self, client: SocketAddr, server: SocketAddr) -> io::Result<Socket>;

    /// Where to connect to for a client that connected to `server`: there, unless the application is elsewhere.
    fn application(&self, server: SocketAddr) -> SocketAddr {
        server
    }

    /// The connecting has ended, well or not, of the socket that was bound to `local`.
    fn connected(&self, local: SocketAddr);

    /// The process has hardly a file left: whoever steers connections to relays is to let new ones by, at once.
    fn crowded(&self) {}
}

/// Where a relay is to run.
pub struct Place {
    /// What tells its network namespace from others.
    pub namespace: u64,
    /// Has the thread that calls it enter the namespace.
    pub enter: Box<dyn FnOnce() -> io::Result<()> + Send>,
}

/// A relay: one listener, and the ports that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayId(u64);

/// A port whose connections come to their end.
#[derive(Debug)]
pub struct Draining(Option<Arc<Port>>);

impl Draining {
    /// Whether no connection is open.
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(|port| port.open() == 0)
    }
}

/// All relays of the agent.
pub struct Relays {
    next: u64,
    room: Arc<Room>,
    /// How many connections were open when it became crowded.
    crowded_with: Option<u64>,
    open: BTreeMap<RelayId, (u64, Arc<Relay>)>,
    threads: HashMap<u64, Thread>,
}

/// What the connections of one listener share.
struct Relay {
    upstream: Arc<dyn Upstream>,
    room: Arc<Room>,
    /// The listener's own port: who connects to it was not steered here.
    listens_on: u16,
    ports: Mutex<HashMap<u16, Arc<Port>>>,
    /// That one of the next two has changed.
    changed: Notify,
    closing: AtomicBool,
    aborted: AtomicBool,
    finished: AtomicBool,
}

impl Relays {
    /// None yet. Lets the agent open as many files as it may.
    #[expect(clippy::new_without_default, reason = "it changes the whole process")]
    pub fn new() -> Self {
        Self {
            next: 0,
            room: Arc::new(Room::as_much_as_may_be()),
            crowded_with: None,
            open: BTreeMap::new(),
            threads: HashMap::new(),
        }
    }

    /// Serves what `listener` takes; only ports with rules, until [`Relays::drain`].
    pub fn open(
        &mut self,
        place: Place,
        listener: TcpListener,
        upstream: Arc<dyn Upstream>,
    ) -> io::Result<RelayId> {
        self.reap();
        let port = listener.local_addr()?.port();
        let relay = Arc::new(Relay::new(upstream, Arc::clone(&self.room), port));
        listener.set_nonblocking(true)?;
        let namespace = place.namespace;
        let refused = match self.threads.get(&namespace) {
            Some(thread) => thread.open(listener, Arc::clone(&relay)).err(),
            None => Some(listener),
        };
        if let Some(listener) = refused {
            let thread = Thread::start(place.enter)?;
            if thread.open(listener, Arc::clone(&relay)).is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.threads.insert(namespace, thread);
        }
        let id = RelayId(self.next);
        self.next += 1;
        self.open.insert(id, (namespace, relay));
        Ok(id)
    }

    /// From the next request on, these rules and no others apply to a port; its connections go on, and at once what a rule
    /// holds or throttles that is not there any more.
    pub fn set_rules(&self, id: RelayId, port: u16, rules: Arc<[ServiceRule]>) {
        if let Some((_, relay)) = self.open.get(&id) {
            relay.port_or_new(port).set(rules);
        }
    }

    /// Ends the faults of a port now, and its connections when they are idle or after `patience`. With its last port the
    /// relay stops taking connections as soon as none has come for a moment.
    pub fn drain(&mut self, id: RelayId, port: u16, patience: Duration) -> Draining {
        let Some((namespace, relay)) = self.open.get(&id) else {
            return Draining(None);
        };
        // Also one that never had rules: nobody is to be taken there any more.
        let draining = relay.port_or_new(port);
        draining.drain();
        if let Some(thread) = self.threads.get(namespace) {
            thread.end_after(&draining, patience);
        }
        if relay.ports().values().all(|port| port.is_draining()) {
            relay.close();
        }
        Draining(Some(draining))
    }

    /// Ends everything of a relay at once.
    pub fn abort(&mut self, id: RelayId) {
        if let Some((_, relay)) = self.open.get(&id) {
            relay.abort();
        }
    }

    /// Whether hardly more connections can be taken. To be asked now and then: it ends when one in ten of those has gone
    /// that were open when it began.
    pub fn is_crowded(&mut self) -> bool {
        if !self.room.is_crowded() {
            self.crowded_with = None;
            return false;
        }
        let relays = self.open.values();
        let open = relays.flat_map(|(_, relay)| relay.connections());
        let open: u64 = open.map(u64::from).sum();
        let Some(before) = self.crowded_with else {
            self.crowded_with = Some(open);
            return true;
        };
        if open <= before / 10 * 9 {
            self.room.relieve();
        }
        self.room.is_crowded()
    }

    /// Connections that are open on a port now; rules count the rest in their [`Tally`].
    pub fn open_connections(&self, id: RelayId, port: u16) -> u32 {
        let port = self.open.get(&id).and_then(|(_, relay)| relay.port(port));
        port.map_or(0, |port| port.open())
    }

    /// Whether a relay takes connections, or still has some.
    pub fn is_running(&self, id: RelayId) -> bool {
        let relay = self.open.get(&id);
        relay.is_some_and(|(_, relay)| !relay.is_finished())
    }

    /// Forgets what has ended.
    fn reap(&mut self) {
        self.open.retain(|_, (_, relay)| !relay.is_finished());
        let open = &self.open;
        let is_used = |namespace: &u64| open.values().any(|(other, _)| other == namespace);
        self.threads.retain(|namespace, _| is_used(namespace));
    }
}

impl Relay {
    fn new(upstream: Arc<dyn Upstream>, room: Arc<Room>, listens_on: u16) -> Self {
        Self {
            upstream,
            room,
            listens_on,
            ports: Mutex::default(),
            changed: Notify::new(),
            closing: false.into(),
            aborted: false.into(),
            finished: false.into(),
        }
    }

    fn ports(&self) -> std::sync::MutexGuard<'_, HashMap<u16, Arc<Port>>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port(&self, port: u16) -> Option<Arc<Port>> {
        self.ports().get(&port).cloned()
    }

    fn port_or_new(&self, port: u16) -> Arc<Port> {
        Arc::clone(self.ports().entry(port).or_default())
    }

    fn connections(&self) -> Vec<u32> {
        self.ports().values().map(|port| port.open()).collect()
    }

    /// Has new connections let by, for there is hardly room for more.
    fn crowd(&self) {
        if self.room.crowd() {
            self.upstream.crowded();
        }
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
        self.changed.notify_one();
        self.ports().values().for_each(|port| port.end());
    }

    fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }
}
