//! Attends to all parts of a running experiment at once: what they tell becomes one experiment, and what is wanted of
//! them changes as pods come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chaos_proto::v1::{EndReason, Experiment, State};
use futures::stream::{self, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::keep::{End, Keeper, Loss, Wanted, What};
use super::listen::PATIENCE;
use super::run::{Run, Slot};
use super::start::Armed;
use super::steer::Interrupt;
use crate::cluster::{Replan, Replans};
use crate::output::progress::Progress;
use crate::output::whole::{Piece, Standing, Whole};

/// All parts, and how far they are.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) slots: BTreeMap<Slot, Tracked>,
    pub(super) notes: Vec<String>,
    /// Whether the user has ended it.
    pub(super) interrupted: bool,
    /// Whether somebody else has ended a part of it, which is meant for all.
    pub(super) stopped_elsewhere: bool,
}

/// What is known of a slot.
#[derive(Debug)]
pub(super) struct Tracked {
    past: Vec<Experiment>,
    now: Option<Experiment>,
    pub(super) phase: Phase,
    /// Why what is wanted there does not act.
    pub(super) trouble: Option<String>,
    wanted: watch::Sender<Wanted>,
}

/// Where a slot is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Something acts there.
    Active,
    /// Something should, and does not yet.
    Waiting,
    /// Nothing has to.
    Idle,
    /// It is over there.
    Over(End),
}

/// What attending to them takes.
pub(super) struct Attending<'a, 'o> {
    pub(super) run: &'a Arc<Run>,
    pub(super) progress: &'a mut Progress<'o>,
    pub(super) interval: Duration,
}

impl Attending<'_, '_> {
    /// Attends to all parts until each is over, or the user has had enough.
    pub(super) async fn attend(
        mut self,
        armed: Vec<Armed>,
        replans: Option<Replans>,
        interrupt: &mut Interrupt,
    ) -> Fleet {
        let mut fleet = Fleet::default();
        let mut keepers = JoinSet::new();
        let (sender, mut news) = mpsc::unbounded_channel();
        let one = armed.len() == 1;
        for part in armed {
            let slot = part.prepared.slot.clone();
            let wanted = fleet.track(&slot, Some(Box::new(part.prepared.request.clone())));
            if let Some(tracked) = fleet.slots.get_mut(&slot) {
                tracked.now = Some(part.prepared.experiment.clone());
                tracked.phase = Phase::Active;
            }
            let keeper = Keeper::new(
                self.run.clone(),
                slot,
                wanted,
                sender.clone(),
                self.interval,
            );
            keepers.spawn(keeper.keep(Some(part)));
        }
        let mut replans = replans.unwrap_or_else(|| Box::pin(stream::pending()));
        let mut next_look = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = interrupt.next() => {
                    self.progress.talk("stopping …");
                    fleet.interrupted = true;
                    self.run.stop();
                    break;
                }
                Some((slot, what)) = news.recv() => {
                    let is_news = matches!(what, What::Now(_));
                    self.take(&mut fleet, &slot, what);
                    if is_news && (one || Instant::now() >= next_look) {
                        self.progress.update(&fleet.whole().experiment);
                        next_look = Instant::now() + self.interval;
                    }
                }
                Some(replan) = replans.next(), if !self.run.is_stopped() => {
                    for slot in self.replan(&mut fleet, replan) {
                        let wanted = fleet.slots[&slot].wanted.subscribe();
                        let keeper = Keeper::new(
                            self.run.clone(),
                            slot,
                            wanted,
                            sender.clone(),
                            self.interval,
                        );
                        keepers.spawn(keeper.keep(None));
                    }
                }
                () = tokio::time::sleep_until(self.run.deadline() + PATIENCE * 2) => break,
            }
            if fleet.stopped_elsewhere && self.run.reach.is_cluster() {
                // A part that joined just then may not have been among those that were told.
                break;
            }
            if fleet.is_over(self.run) {
                break;
            }
        }
        // What has been told by now counts, whatever was heard first.
        keepers.shutdown().await;
        while let Ok((slot, what)) = news.try_recv() {
            self.take(&mut fleet, &slot, what);
        }
        fleet
    }

    fn take(&mut self, fleet: &mut Fleet, slot: &Slot, what: What) {
        let Some(tracked) = fleet.slots.get_mut(slot) else {
            return;
        };
        match what {
            What::Now(now) => {
                tracked.now = Some(*now);
                tracked.phase = Phase::Active;
            }
            What::Past(past) => {
                tracked.past.push(*past);
                tracked.now = None;
            }
            What::Idle => {
                tracked.phase = Phase::Idle;
                tracked.trouble = None;
            }
            What::Waiting(seen) => {
                if let Some(seen) = seen {
                    tracked.now = Some(*seen);
                }
                tracked.phase = Phase::Waiting;
            }
            What::Trouble(why) => {
                if let Some(why) = &why {
                    let said = format!("{}: {why}", slot.node);
                    self.progress.warn(&said);
                    fleet.notes.push(said);
                } else if tracked.trouble.is_some() {
                    let said = format!("{}: all that is wanted acts there now", slot.node);
                    self.progress.talk(&said);
                    fleet.notes.push(said);
                }
                tracked.trouble = why;
            }
            What::Note(said) => {
                self.progress.talk(&said);
                fleet.notes.push(said);
            }
            What::Silent => {
                let whose = match slot.node.as_str() {
                    "" => String::new(),
                    node => format!("{node}: "),
                };
                self.progress.warn(&format!(
                    "{whose}the agent has been silent for 4 s: the kernel lets all packets pass until it is back"
                ));
            }
            What::Over(end) => {
                match &end {
                    End::Ended(ended) => {
                        // Somebody ended it: what waits for its agent must not begin again.
                        if ended.end_reason() == EndReason::Stopped {
                            self.run.stop();
                            fleet.stopped_elsewhere = true;
                        }
                        tracked.now = Some((**ended).clone());
                    }
                    End::Lost { seen, .. } => tracked.now = Some((**seen).clone()),
                    End::Idle => {}
                }
                tracked.phase = Phase::Over(end);
            }
        }
    }

    /// Tells each slot what is wanted there now; returns the new ones.
    fn replan(&mut self, fleet: &mut Fleet, replan: Replan) -> Vec<Slot> {
        let (parts, said) = match replan {
            Replan::Parts { parts, said } => (parts, said),
            Replan::Note(said) => {
                self.progress.talk(&said);
                fleet.notes.push(said);
                return Vec::new();
            }
        };
        for said in said {
            self.progress.talk(&said);
            fleet.notes.push(said);
        }
        let mut wanted = Slot::of_parts(parts);
        let mut new = Vec::new();
        for (slot, tracked) in &mut fleet.slots {
            let wanted = wanted.remove(slot).map(Box::new);
            if matches!(tracked.phase, Phase::Idle) && wanted.is_some() {
                // It will say so itself where there is nothing new for it.
                tracked.phase = Phase::Waiting;
            }
            tracked.wanted.send_replace(wanted);
        }
        for (slot, request) in wanted {
            fleet.track(&slot, Some(Box::new(request)));
            new.push(slot);
        }
        new
    }
}

impl Fleet {
    fn track(&mut self, slot: &Slot, wanted: Wanted) -> watch::Receiver<Wanted> {
        let (sender, receiver) = watch::channel(wanted);
        let tracked = Tracked {
            past: Vec::new(),
            now: None,
            phase: Phase::Waiting,
            trouble: None,
            wanted: sender,
        };
        self.slots.insert(slot.clone(), tracked);
        receiver
    }

    /// Over when nothing acts any more, and nothing may begin or has ended as a whole.
    fn is_over(&self, run: &Run) -> bool {
        let phases = || self.slots.values().map(|slot| &slot.phase);
        if phases().any(|phase| matches!(phase, Phase::Active | Phase::Waiting)) {
            return false;
        }
        let ended =
            phases().any(|phase| matches!(phase, Phase::Over(End::Ended(_) | End::Lost { .. })));
        ended || run.is_stopped() || run.left().is_zero()
    }

    /// What became of a part that was ended because the user wanted it.
    pub(super) fn set_ended(&mut self, node: &str, ended: Experiment) {
        let slots = self.slots.iter_mut().filter(|(slot, _)| slot.node == node);
        for (_, tracked) in slots {
            if tracked.now.as_ref().is_some_and(|now| now.id == ended.id) {
                tracked.now = Some(ended.clone());
                tracked.phase = Phase::Over(End::Ended(Box::new(ended)));
                return;
            }
        }
    }

    /// The agent does not know a part that should have run there.
    pub(super) fn set_unknown(&mut self, node: &str, id: &str) {
        for (slot, tracked) in &mut self.slots {
            if slot.node == node
                && let Some(now) = tracked.now.as_ref().filter(|now| now.id == id)
            {
                tracked.phase = Phase::Over(End::Lost {
                    seen: Box::new(now.clone()),
                    cause: None,
                    how: Loss::Replaced,
                });
            }
        }
    }

    /// The end of the only part.
    pub(super) fn only_end(&self) -> Option<&End> {
        match &self.slots.values().next()?.phase {
            Phase::Over(end) => Some(end),
            Phase::Active | Phase::Waiting | Phase::Idle => None,
        }
    }

    /// Whether nobody can say how it ended.
    pub(super) fn is_lost(&self) -> bool {
        let mut phases = self.slots.values().map(|slot| &slot.phase);
        phases.all(|phase| matches!(phase, Phase::Over(End::Lost { .. })))
    }

    /// Whether nothing acted anywhere when it was over, because all that was hit had left.
    pub(super) fn is_deserted(&self) -> bool {
        let mut phases = self.slots.values().map(|slot| &slot.phase);
        phases.all(|phase| matches!(phase, Phase::Idle | Phase::Over(End::Idle)))
    }

    /// On how many nodes it was.
    pub(super) fn node_count(&self) -> usize {
        let nodes: BTreeSet<_> = self.slots.keys().map(|slot| &slot.node).collect();
        nodes.len()
    }

    /// One experiment out of all of it.
    pub(super) fn whole(&self) -> Whole {
        let mut pieces = Vec::new();
        for (slot, tracked) in &self.slots {
            let mut add = |experiment: &Experiment, standing| {
                let node = match slot.node.as_str() {
                    "" => &experiment.node,
                    _ => &slot.node,
                };
                pieces.push(Piece {
                    node: node.clone(),
                    experiment: experiment.clone(),
                    standing,
                });
            };
            for past in &tracked.past {
                add(past, Standing::Past);
            }
            if let Some(now) = &tracked.now {
                let is_lost = match &tracked.phase {
                    Phase::Over(End::Lost { .. }) => true,
                    Phase::Waiting => now.state() != State::Ended,
                    Phase::Over(End::Ended(_) | End::Idle) | Phase::Active | Phase::Idle => false,
                };
                add(
                    now,
                    if is_lost {
                        Standing::Lost
                    } else {
                        Standing::Current
                    },
                );
            }
        }
        Whole::of(&pieces).with_notes(&self.notes)
    }
}
