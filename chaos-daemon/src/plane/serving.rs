//! The half of requests: which doors are open, what stands behind them, and which rules act there.
//!
//! Several experiments may share a door. Its relay then has the rules of all of them.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::warn;

use super::{
    closing::{Doorkeeper, Leaving},
    served::{Placed, Served, Standing},
    upstream::Way,
};
use crate::{
    attach::doors::{Doors, Opened},
    engine::{
        Counters, DatapathError, Entrance, Health, Installation, Protected, Requests, Rule, Spec,
        Target,
    },
    relay::{Place, RelayId, Relays, ServiceRule},
};

/// All doors and relays.
pub(super) struct Serving {
    keeper: Doorkeeper,
    relays: Relays,
    /// What stands behind each door, by what its users share.
    behind: BTreeMap<u64, RelayId>,
    served: BTreeMap<Installation, Served>,
}

/// Ports whose connections cannot be ended one by one.
pub(super) type Stubborn = Vec<u16>;

impl Serving {
    /// Nothing is served yet.
    pub(super) fn new(doors: Doors) -> io::Result<Self> {
        Ok(Self {
            keeper: Doorkeeper::new(doors)?,
            relays: Relays::new(),
            behind: BTreeMap::new(),
            served: BTreeMap::new(),
        })
    }

    /// Opens what the rules of requests need on a target; nothing acts. On error nothing of it stays.
    pub(super) fn install(
        &mut self,
        id: Installation,
        target: &Target,
        spec: &Spec,
    ) -> Result<(), DatapathError> {
        let mut served = Served::new(target, spec);
        let opened = self.open_all(target, spec, &mut served);
        self.served.insert(id, served);
        if opened.is_err() {
            self.remove(&[id]);
        }
        opened
    }

    fn open_all(
        &mut self,
        target: &Target,
        spec: &Spec,
        served: &mut Served,
    ) -> Result<(), DatapathError> {
        for (port, door) in spec.rules.iter().flat_map(Rule::doors) {
            if served.doors.iter().any(|there| there.port == port) {
                continue;
            }
            let opened = self
                .keeper
                .doors()
                .open(target, port, door, spec.include_probes)?;
            served.doors.push(Standing {
                id: opened.id,
                shared: opened.shared,
                port,
                door: door.clone(),
                was_armed: false,
                closed_existing: 0,
            });
            let entrance = &mut served.entrance;
            entrance.keeps_source &= opened.keeps_source;
            if entrance.note.is_empty() {
                entrance.note.clone_from(&opened.note);
            }
            self.stand_behind(target, opened)?;
        }
        Ok(())
    }

    /// Has somebody take the connections that come out of a door, unless there is somebody.
    fn stand_behind(&mut self, target: &Target, opened: Opened) -> Result<(), DatapathError> {
        let Some(listener) = opened.listener else {
            return Ok(());
        };
        let netns = target.netns.clone();
        let place = Place {
            namespace: netns.cookie(),
            enter: Box::new(move || netns.move_in()),
        };
        let way = Arc::new(Way {
            upstream: opened.upstream,
            doors: self.keeper.shared(),
        });
        let relay = self
            .relays
            .open(place, listener, way)
            .map_err(|error| DatapathError::Kernel(Box::new(CannotServe(error))))?;
        self.behind.insert(opened.shared, relay);
        Ok(())
    }

    /// Lets rules act from now on, or until another time than before. Gives the ports whose connections from before are
    /// still there.
    pub(super) fn arm(
        &mut self,
        id: Installation,
        until: Instant,
    ) -> Result<Stubborn, DatapathError> {
        let now = Instant::now();
        let Some(served) = self.served.get_mut(&id) else {
            return Ok(Vec::new());
        };
        // Who extends does not begin anew.
        let start = served.window.map_or(now, |(start, _)| start);
        served.window = Some((start, until));
        self.publish(id);
        let mut stubborn = Vec::new();
        let Some(served) = self.served.get_mut(&id) else {
            return Ok(stubborn);
        };
        let mut doors = self.keeper.doors();
        for standing in &mut served.doors {
            doors.arm(standing.id, until)?;
            if std::mem::replace(&mut standing.was_armed, true) {
                continue;
            }
            let keep = standing.door.keep_existing;
            match doors.close_existing(standing.id, keep) {
                Ok(count) => standing.closed_existing = count,
                Err(error) => {
                    warn!(%error, port = standing.port, "connections from before are reset instead");
                    stubborn.push(standing.port);
                }
            }
        }
        Ok(stubborn)
    }

    /// Stops rules from acting, at once and for good, and doors from taking more.
    pub(super) fn disarm(&mut self, id: Installation) {
        let Some(served) = self.served.get_mut(&id) else {
            return;
        };
        served.window = None;
        served.over = true;
        let mut doors = self.keeper.doors();
        for standing in &served.doors {
            doors.shut(standing.id);
        }
        drop(doors);
        self.publish(id);
    }

    /// Takes rules away. Requests that run go on for as long as their rule lets them; nobody waits for that here.
    pub(super) fn remove(&mut self, ids: &[Installation]) {
        for id in ids {
            let Some(served) = self.served.remove(id) else {
                continue;
            };
            for standing in &served.doors {
                self.leave(standing, served.gone);
            }
        }
    }

    fn leave(&mut self, standing: &Standing, gone: bool) {
        let mut others = self.served.values().flat_map(|served| &served.doors);
        let is_shared = others.any(|other| other.shared == standing.shared);
        if is_shared {
            self.keeper.doors().close(standing.id);
            return;
        }
        let relay = self.behind.remove(&standing.shared);
        self.keeper.doors().shut(standing.id);
        match relay {
            Some(relay) if !gone => {
                let patience = standing.door.drain;
                let draining = self.relays.drain(relay, standing.port, patience);
                self.keeper.close_later(Leaving {
                    door: standing.id,
                    draining,
                    until: Instant::now() + patience,
                });
            }
            Some(relay) => {
                // Its sockets would keep the namespace alive.
                self.relays.abort(relay);
                self.keeper.doors().close(standing.id);
            }
            None => self.keeper.doors().close(standing.id),
        }
    }

    /// Keeps other rules beside those of an installation.
    pub(super) fn stage(&mut self, id: Installation, spec: &Spec) {
        if let Some(served) = self.served.get_mut(&id) {
            let of_requests = |rule: &&Rule| rule.fault.service().is_some();
            served.staged = spec.rules.iter().filter(of_requests).cloned().collect();
        }
    }

    /// Forgets them.
    pub(super) fn unstage(&mut self, id: Installation) {
        if let Some(served) = self.served.get_mut(&id) {
            served.staged.clear();
        }
    }

    /// Lets them take over; each request meets the old ones or the new ones.
    pub(super) fn switch(
        &mut self,
        id: Installation,
        until: Option<Instant>,
    ) -> Result<(), DatapathError> {
        let Some(served) = self.served.get_mut(&id) else {
            return Ok(());
        };
        let staged = std::mem::take(&mut served.staged);
        for (placed, rule) in served.rules.iter_mut().zip(staged) {
            placed.rule = rule;
        }
        // Pulses begin anew.
        served.window = None;
        match until {
            Some(until) => self.arm(id, until).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Has all doors leave these alone too.
    pub(super) fn protect(&self, list: &[Protected]) -> Result<(), DatapathError> {
        Ok(self.keeper.doors().protect(list)?)
    }

    /// What each rule has done.
    pub(super) fn counters(&self, id: Installation) -> Vec<Counters> {
        let Some(served) = self.served.get(&id) else {
            return Vec::new();
        };
        let rules = served.rules.iter().enumerate();
        rules
            .map(|(position, placed)| self.requests(id, served, position, placed).into())
            .collect()
    }

    fn requests(
        &self,
        id: Installation,
        served: &Served,
        position: usize,
        placed: &Placed,
    ) -> Requests {
        let doors = self.keeper.doors();
        let mut sum = placed.tally.read(0);
        for (port, _) in placed.rule.doors() {
            let Some(standing) = served.doors.iter().find(|door| door.port == port) else {
                continue;
            };
            sum.closed_existing += standing.closed_existing;
            if self.acts_already(id, position, standing.shared) {
                continue;
            }
            if let Some(&relay) = self.behind.get(&standing.shared) {
                sum.open_connections += self.relays.open_connections(relay, port);
            }
            sum.spared += doors.counters(standing.id).spared;
        }
        sum
    }

    /// What became of the doors.
    pub(super) fn entrance(&self, id: Installation) -> Option<Entrance> {
        self.served.get(&id).map(|served| served.entrance.clone())
    }

    /// Whether everything is still there.
    pub(super) fn health(&mut self, id: Installation) -> Health {
        let Some(served) = self.served.get_mut(&id) else {
            return Health::Fine;
        };
        let crowded = self.relays.is_crowded();
        if crowded != served.crowded {
            served.tell(crowded);
        }
        let mut doors = self.keeper.doors();
        doors.let_by(crowded);
        for standing in &served.doors {
            match doors.health(standing.id) {
                Health::Fine => {}
                Health::TargetGone => {
                    served.gone = true;
                    return Health::TargetGone;
                }
                broken @ (Health::DoorBroken | Health::LineBroken) => return broken,
            }
        }
        drop(doors);
        let mut relays = served
            .doors
            .iter()
            .map(|door| self.behind.get(&door.shared));
        if relays.any(|relay| !relay.is_some_and(|relay| self.relays.is_running(*relay))) {
            return Health::DoorBroken;
        }
        Health::Fine
    }

    /// Waits for requests that run, and takes all doors away.
    pub(super) fn finish(self, patience: Duration) {
        self.keeper.finish(patience);
    }

    /// Tells the relays of these rules' ports what applies there now.
    fn publish(&mut self, id: Installation) {
        let Some(served) = self.served.get(&id) else {
            return;
        };
        for standing in &served.doors {
            let Some(&relay) = self.behind.get(&standing.shared) else {
                continue;
            };
            if self.is_needed(standing.shared) {
                let rules = self.rules_of(standing.shared, standing.port);
                self.relays.set_rules(relay, standing.port, rules);
            } else {
                // What is let go now is told that its connection ends.
                let patience = standing.door.drain;
                self.relays.drain(relay, standing.port, patience);
            }
        }
    }

    /// Whether rules act behind a door, or may yet.
    fn is_needed(&self, shared: u64) -> bool {
        let mut in_use = self.served.values().filter(|served| !served.over);
        in_use.any(|served| served.doors.iter().any(|door| door.shared == shared))
    }

    /// Whether the experiment's rule at this position acts at this door for another target, too: a node has several
    /// interfaces, each of them a target, and one door.
    fn acts_already(&self, id: Installation, position: usize, shared: u64) -> bool {
        let Some(served) = self.served.get(&id) else {
            return false;
        };
        let rule = |of: &Served| of.rules.get(position).map(|placed| placed.rule.clone());
        self.served.range(..id).any(|(_, other)| {
            other.window.is_some()
                && other.seed == served.seed
                && other.doors.iter().any(|door| door.shared == shared)
                && rule(other) == rule(served)
        })
    }

    /// Those of all who share the door, as far as they act; each acts once.
    fn rules_of(&self, shared: u64, port: u16) -> Arc<[ServiceRule]> {
        let mut rules = Vec::new();

        for (id, served) in &self.served {
            let has_door = served.doors.iter().any(|door| door.shared == shared);
            let Some(window) = served.window.filter(|_| has_door) else {
                continue;
            };
            for (position, placed) in served.rules.iter().enumerate() {
                let is_here = placed.rule.doors().any(|(of, _)| of == port);
                if is_here && !self.acts_already(*id, position, shared) {
                    let tally = Arc::clone(&placed.tally);
                    rules.extend(ServiceRule::new(&placed.rule, window, placed.seed, tally));
                }
            }
        }
        rules.into()
    }
}

/// Nobody takes connections there.
#[derive(Debug, thiserror::Error)]
#[error("cannot take connections in its network namespace: {0}")]
struct CannotServe(#[source] io::Error);
