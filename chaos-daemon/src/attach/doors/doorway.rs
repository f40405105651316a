//! The doors of one network namespace.

use std::{collections::BTreeMap, net::TcpListener, sync::Arc};

use chaos_abi::door::{Door, DoorCounters, MAX_DOORS, REMEMBERS, TAKES_LOOPBACK};
use tracing::debug;

use super::{
    error::DoorError,
    listener,
    program::Copy,
    query,
    source::{self, Kept},
    upstream::Upstream,
};
use crate::{attach::heartbeat::Words, engine::Spared, netns::Netns, sentence::sentence};

/// What is wanted of a door.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// Connections from within the namespace too.
    pub(super) takes_loopback: bool,
    /// The application is to see clients' addresses.
    pub(super) keeps_source: bool,
    /// Whom it leaves alone.
    pub(super) spared: Vec<Spared>,
}

/// The program's copy of a namespace, and what is behind it.
pub(super) struct Doorway {
    pub(super) netns: Netns,
    pub(super) copy: Copy,
    source: Option<Kept>,
    doors: BTreeMap<u64, Standing>,
    next: u64,
}

/// A door, also one that has been shut and whose connections are ending.
struct Standing {
    port: u16,
    place: u32,
    upstream: Arc<Upstream>,
    note: Option<String>,
    spared: Vec<Spared>,
    takes_loopback: bool,
    remembers: bool,
    shut: bool,
}

/// What [`Doorway::open`] gives.
pub(super) struct Open {
    pub(super) door: u64,
    pub(super) listener: Option<TcpListener>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) note: Option<String>,
}

impl Doorway {
    /// Loads a copy for a namespace, not attached.
    pub(super) fn make(netns: &Netns, words: &Words) -> Result<Self, DoorError> {
        if netns.enter(query::has_door).map_err(|_| DoorError::Gone)? {
            return Err(DoorError::OtherAgent);
        }
        Ok(Self {
            netns: netns.clone(),
            copy: Copy::load(words)?,
            source: None,
            doors: BTreeMap::new(),
            // No two doors of the agent have the same number, also not of different namespaces.
            next: netns.cookie() << 20,
        })
    }

    /// Makes a door, or finds the one of this port.
    pub(super) fn open(&mut self, port: u16, wish: &Wish, target: &str) -> Result<Open, DoorError> {
        let same = |(_, door): &(&u64, &Standing)| door.port == port && !door.shut;
        if let Some((&door, standing)) = self.doors.iter().find(same) {
            return Ok(Open {
                door,
                listener: None,
                upstream: Arc::clone(&standing.upstream),
                note: standing.note.clone(),
            });
        }
        let is_taken = |place| self.doors.values().any(|door| door.place == place);
        let place = (0..MAX_DOORS).find(|&place| !is_taken(place));
        let place = place.ok_or_else(|| DoorError::Full {
            target: target.to_owned(),
            most: MAX_DOORS,
        })?;
        let listener = self.netns.enter(|_| listener::open());
        let listener = listener.map_err(|_| DoorError::Gone)?;
        let listener = listener.map_err(DoorError::Socket)?;
        self.copy.set_listener(place, &listener)?;
        let note = if wish.keeps_source {
            self.keep_source()
        } else {
            None
        };
        let keeps = wish.keeps_source && self.source.is_some();
        let upstream = Arc::new(Upstream::new(self.copy.passed().clone(), keeps));
        let door = self.next;
        self.next += 1;
        let standing = Standing {
            port,
            place,
            upstream: Arc::clone(&upstream),
            note: note.clone(),
            spared: Vec::new(),
            takes_loopback: false,
            remembers: false,
            shut: false,
        };
        self.doors.insert(door, standing);
        Ok(Open {
            door,
            listener: Some(listener),
            upstream,
            note,
        })
    }

    /// Has the namespace bring answers to clients' addresses back; the reason where that cannot be.
    fn keep_source(&mut self) -> Option<String> {
        if self.source.is_some() {
            return None;
        }
        match self.netns.enter(|_| source::keep()) {
            Ok(Ok(kept)) => {
                self.source = Some(kept);
                None
            }
            Ok(Err(error)) => Some(format!(
                "the application sees the agent's address and not its clients': {}",
                sentence(&error)
            )),
            Err(error) => Some(sentence(&error)),
        }
    }

    /// Lets the namespace ask the program.
    pub(super) fn attach(&mut self) -> Result<(), DoorError> {
        let copy = &mut self.copy;
        let attached = self.netns.enter(|namespace| {
            // Another may have come since this was prepared.
            if !copy.is_attached() && query::has_door(namespace) {
                return Err(DoorError::OtherAgent);
            }
            Ok(copy.attach(namespace)?)
        });
        attached.map_err(|_| DoorError::Gone)?
    }

    /// Has a door write down whom it takes, when it is next published.
    pub(super) fn remember(&mut self, door: u64) {
        if let Some(standing) = self.doors.get_mut(&door) {
            standing.remembers = true;
        }
    }

    /// Has it no longer do that, when it is next published, and forgets them, unless another door needs it.
    pub(super) fn forget(&mut self, door: u64) {
        if let Some(standing) = self.doors.get_mut(&door) {
            standing.remembers = false;
        }
        if !self.doors.values().any(|door| door.remembers) {
            self.copy.forget_taken();
        }
    }

    pub(super) fn takes_loopback(&self, door: u64) -> bool {
        let standing = self.doors.get(&door);
        standing.is_some_and(|standing| standing.takes_loopback)
    }

    /// Writes a door as it is to be; one that is shut is erased, and with the last of them the program is off.
    pub(super) fn publish(
        &mut self,
        door: u64,
        wish: &Wish,
        until_ns: Option<u64>,
        is_shut: bool,
    ) -> Result<(), DoorError> {
        let standing = self.doors.get_mut(&door).ok_or(DoorError::Gone)?;
        if standing.shut {
            return Ok(());
        }
        let old = std::mem::replace(&mut standing.spared, wish.spared.clone());
        for spared in &wish.spared {
            self.copy.spare(spared)?;
        }
        for spared in old.iter().filter(|it| !wish.spared.contains(it)) {
            self.copy.no_longer_spare(spared);
        }
        standing.takes_loopback = wish.takes_loopback;
        if is_shut {
            standing.shut = true;
            self.copy.remove_door(standing.port)?;
            if self.doors.values().all(|door| door.shut) {
                self.copy.detach();
            }
            return Ok(());
        }
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let value = Door {
            deadline_ns: until_ns.unwrap_or(0),
            place: standing.place,
            flags: bit(standing.takes_loopback, TAKES_LOOPBACK)
                | bit(standing.remembers, REMEMBERS),
        };
        Ok(self.copy.set_door(standing.port, value)?)
    }

    /// Takes a door away.
    pub(super) fn close(&mut self, door: u64) {
        if let Some(standing) = self.doors.remove(&door) {
            self.copy.clear_listener(standing.place);
        }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.doors.is_empty()
    }

    pub(super) fn counters(&self, door: u64) -> DoorCounters {
        let counters = self
            .doors
            .get(&door)
            .map(|door| self.copy.counters(door.place));
        counters.and_then(Result::ok).unwrap_or_default()
    }

    /// Takes back what was changed in the namespace.
    pub(super) fn leave(self) {
        let Some(kept) = self.source else {
            return;
        };
        match self.netns.enter(|_| kept.undo()) {
            Ok(rules) => debug!(rules, "routing of clients' addresses is off"),
            Err(error) => debug!(%error, "nothing to undo: the namespace is gone"),
        }
    }
}
