//! Doors: what leads new connections for a port of a target to the agent, and the agent to the application behind.
//!
//! One copy of the program for each network namespace, shared by the experiments there, and one listener for each port.
//! Nothing of it outlives the agent: the attachment and the listener are its descriptors, and the program looks at the
//! deadline and at the agent's sign of life. What requests are and what happens to them others know: connections come out
//! of the listener, and go on by [`Upstream`].

mod doorway;
mod error;
mod existing;
mod listener;
mod listening;
mod procfs;
mod program;
mod query;
pub(super) mod source;
pub(super) mod trial;
mod upstream;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use chaos_abi::door::DoorCounters;
use tracing::{info, warn};

pub use error::{CannotDestroy, DoorError};
pub use listening::{Listening, Process, listening};
pub use program::Copy;
pub use upstream::Upstream;

use self::{
    doorway::{Doorway, Wish},
    existing::Leave,
};
use super::{
    clock::{monotonic_ns, nanoseconds},
    heartbeat::Words,
    socket,
};
use crate::{
    engine::{Cgroup, Door, Health, Protected, Spared, Target},
    netns::Netns,
};

/// Names what one [`Doors::open`] gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DoorId(pub u64);

/// A door that was opened, or one that was open and is now shared.
pub struct Opened {
    /// Its name, for this user of it.
    pub id: DoorId,
    /// Its name for all users: they share what is behind.
    pub shared: u64,
    /// Where connections come out; nothing where another user of the door has it.
    pub listener: Option<TcpListener>,
    /// The way on to the application.
    pub upstream: Arc<Upstream>,
    /// Whether the application sees clients' addresses.
    pub keeps_source: bool,
    /// Why it does not, where somebody might expect it to, as a sentence; else empty.
    pub note: String,
}

/// All doors of the agent.
pub struct Doors {
    words: Words,
    node: u64,
    protected: Vec<Protected>,
    /// By the cookies of their namespaces.
    ways: BTreeMap<u64, Doorway>,
    users: BTreeMap<DoorId, User>,
    /// No door takes anybody.
    lets_by: bool,
    /// Sockets of others are not to be ended, as on a kernel that does not do that.
    keeps_sockets: bool,
}

/// Whoever opened a door.
struct User {
    cookie: u64,
    /// [`Opened::shared`].
    door: u64,
    port: u16,
    cgroup: Option<Cgroup>,
    wish: Wish,
    /// Until when it is to act; nothing when it is not.
    until_ns: Option<u64>,
    shut: bool,
}

impl Doors {
    /// No doors yet. `words` are renewed with the agent's sign of life.
    pub fn new(words: Words) -> io::Result<Self> {
        Ok(Self {
            words,
            node: Netns::own()?.cookie(),
            protected: Vec::new(),
            ways: BTreeMap::new(),
            users: BTreeMap::new(),
            lets_by: false,
            keeps_sockets: false,
        })
    }

    /// Has it never end sockets of others one by one.
    pub const fn keep_sockets(&mut self) {
        self.keeps_sockets = true;
    }

    /// Has all doors leave these alone too.
    pub fn protect(&mut self, list: &[Protected]) -> Result<(), DoorError> {
        self.protected.extend_from_slice(list);
        for (&cookie, way) in &mut self.ways {
            way.copy.protect(list, cookie == self.node)?;
        }
        Ok(())
    }

    /// Makes a door for a port of a target, or shares the one that is there. It does nothing until it is armed. On error
    /// nothing of it stays. `include_probes`: also what the target is to be spared.
    pub fn open(
        &mut self,
        target: &Target,
        port: u16,
        door: &Door,
        include_probes: bool,
    ) -> Result<Opened, DoorError> {
        let cookie = target.netns.cookie();
        let is_node = cookie == self.node;
        if is_node && self.protected.contains(&Protected::OwnPort(port)) {
            return Err(DoorError::Protected { port });
        }
        listening(target, port)?;
        let spared = target.spared.iter().filter(|_| !include_probes);
        let spared: Vec<Spared> = spared.filter(|it| it.own_port == port).copied().collect();
        let wish = Wish {
            // Whoever shares the node's network is talked to from there, too.
            takes_loopback: door.include_loopback || is_node,
            keeps_source: !door.local_source && !is_node,
            spared,
        };
        if !self.ways.contains_key(&cookie) {
            let mut way = Doorway::make(&target.netns, &self.words)?;
            way.copy.protect(&self.protected, is_node)?;
            self.ways.insert(cookie, way);
        }
        let way = self.ways.get_mut(&cookie).ok_or(DoorError::Gone)?;
        let opened = match way.open(port, &wish, &target.name) {
            Ok(opened) => opened,
            Err(error) => {
                self.leave_if_unused(cookie);
                return Err(error);
            }
        };
        let last = self.users.last_key_value();
        let id = DoorId(last.map_or(0, |(last, _)| last.0 + 1));
        let user = User {
            cookie,
            door: opened.door,
            port,
            cgroup: target.cgroup.clone(),
            wish,
            until_ns: None,
            shut: false,
        };
        self.users.insert(id, user);
        if let Err(error) = self.publish(cookie, opened.door) {
            self.close(id);
            return Err(error);
        }
        Ok(Opened {
            id,
            shared: opened.door,
            listener: opened.listener,
            keeps_source: opened.upstream.keeps_source(),
            upstream: opened.upstream,
            note: opened.note.unwrap_or_default(),
        })
    }

    /// Lets a door act from now on until then, or until another time than before. New connections come out of its listener at once.
    pub fn arm(&mut self, id: DoorId, until: Instant) -> Result<(), DoorError> {
        let left = until.saturating_duration_since(Instant::now());
        let user = self.users.get_mut(&id).ok_or(DoorError::Gone)?;
        let until_ns = monotonic_ns().saturating_add(nanoseconds(left));
        let is_new = user.until_ns.replace(until_ns).is_none();
        let (cookie, door) = (user.cookie, user.door);
        let way = self.ways.get_mut(&cookie).ok_or(DoorError::Gone)?;
        if is_new {
            way.remember(door);
        }
        self.publish(cookie, door)?;
        self.ways.get_mut(&cookie).ok_or(DoorError::Gone)?.attach()
    }

    /// Ends connections to the door's port that did not come through it, so that they come back through it; gives how many.
    /// To be called once, when the door has been armed for the first time, also where nothing is to be ended: `keep` says so.
    pub fn close_existing(&mut self, id: DoorId, keep: bool) -> Result<u64, CannotDestroy> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let user = self.users.get(&id).ok_or_else(gone)?;
        let (cookie, door, port) = (user.cookie, user.door, user.port);
        let spared = self.union(door).spared;
        let way = self.ways.get_mut(&cookie).ok_or_else(gone)?;
        let leave = Leave {
            spared: &spared,
            protected: &self.protected,
            is_node: cookie == self.node,
            takes_loopback: way.takes_loopback(door),
        };
        let closed = if keep {
            Ok(0)
        } else if self.keeps_sockets {
            Err(io::Error::other("the agent was told to reset them"))
        } else {
            let copy = &way.copy;
            let entered = way
                .netns
                .enter(|_| existing::close(port, &leave, || copy.taken()));
            entered.and_then(|closed| closed)
        };
        way.forget(door);
        if let Err(error) = self.publish(cookie, door) {
            warn!(%error, "a door goes on writing down whom it takes");
        }
        Ok(closed?)
    }

    /// Has no door take new connections, which then go straight to applications, or all doors again that are to act.
    pub fn let_by(&mut self, all: bool) {
        if std::mem::replace(&mut self.lets_by, all) == all {
            return;
        }
        if all {
            warn!("hardly more files may be open: new connections go straight to applications");
        } else {
            info!("more files may be open again: doors take new connections");
        }
        let doors: BTreeSet<_> = self.users.values().map(|it| (it.cookie, it.door)).collect();
        for (cookie, door) in doors {
            if let Err(error) = self.publish(cookie, door) {
                warn!(%error, "a door stays as it is");
            }
        }
    }

    /// Stops a door from acting, unless another user of it has it act. Connections that are about to be made still come out
    /// of the listener: whoever has that goes on for a moment. Cannot fail: where the kernel does not answer, the deadline
    /// does it.
    pub fn shut(&mut self, id: DoorId) {
        let Some(user) = self.users.get_mut(&id) else {
            return;
        };
        user.until_ns = None;
        user.shut = true;
        let (cookie, door) = (user.cookie, user.door);
        if let Err(error) = self.publish(cookie, door) {
            warn!(%error, "could not shut a door; its deadline will");
        }
    }

    /// Takes a door away, and with the last of a namespace all that was changed there. Connections to the application under
    /// clients' addresses end with that: to be called when they have been drained.
    pub fn close(&mut self, id: DoorId) {
        self.shut(id);
        let Some(User { cookie, door, .. }) = self.users.remove(&id) else {
            return;
        };
        if self.users.values().any(|user| user.door == door) {
            return;
        }
        if let Some(way) = self.ways.get_mut(&cookie) {
            way.close(door);
        }
        self.leave_if_unused(cookie);
    }

    /// Takes all doors away.
    pub fn close_all(&mut self) {
        for id in self.users.keys().copied().collect::<Vec<_>>() {
            self.close(id);
        }
    }

    /// Whether the door's target is still there, and asks the door. Whatever is behind the door keeps the namespace alive: it must end at once
    /// when this says that the target is gone.
    pub fn health(&self, id: DoorId) -> Health {
        let user = self.users.get(&id);
        let way = user.and_then(|user| Some((user, self.ways.get(&user.cookie)?)));
        let Some((user, way)) = way else {
            return Health::TargetGone;
        };
        let (copy, mut is_asked) = (&way.copy, false);
        let there = way.netns.is_there_with(|namespace| {
            is_asked = copy.is_asked(namespace);
            true
        });
        if !there || user.cgroup.as_ref().is_some_and(socket::is_gone) {
            return Health::TargetGone;
        }
        if user.until_ns.is_some() && !is_asked {
            return Health::DoorBroken;
        }
        Health::Fine
    }

    /// What a door did, for all of its users.
    pub fn counters(&self, id: DoorId) -> DoorCounters {
        let user = self.users.get(&id);
        let way = user.and_then(|user| Some((user.door, self.ways.get(&user.cookie)?)));
        way.map(|(door, way)| way.counters(door))
            .unwrap_or_default()
    }

    /// Writes what a door's users want of it together.
    fn publish(&mut self, cookie: u64, door: u64) -> Result<(), DoorError> {
        let wish = self.union(door);
        let users = self.users.values().filter(|user| user.door == door);
        let until_ns = users.clone().filter_map(|user| user.until_ns).max();
        let until_ns = until_ns.filter(|_| !self.lets_by);
        let is_shut = users.clone().all(|user| user.shut);
        let way = self.ways.get_mut(&cookie).ok_or(DoorError::Gone)?;
        way.publish(door, &wish, until_ns, is_shut)
    }

    /// What those want who have not shut the door.
    fn union(&self, door: u64) -> Wish {
        let users = self.users.values();
        let users = users.filter(|user| user.door == door && !user.shut);
        let mut all = Wish::default();
        for User { wish, .. } in users {
            all.takes_loopback |= wish.takes_loopback;
            let new = wish.spared.iter().filter(|it| !all.spared.contains(it));
            let new: Vec<Spared> = new.copied().collect();
            all.spared.extend(new);
        }
        all
    }

    fn leave_if_unused(&mut self, cookie: u64) {
        if self.ways.get(&cookie).is_some_and(Doorway::is_unused)
            && let Some(way) = self.ways.remove(&cookie)
        {
            way.leave();
        }
    }
}

/// How long whoever has a listener waits for connections that were about to be made when its door was shut.
pub const UNDER_WAY: Duration = Duration::from_millis(200);
