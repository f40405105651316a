//! What all parts of a running experiment share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chaos_proto::v1::{Experiment, PrepareRequest};
use tokio::sync::watch;
use tokio::time::Instant;

use super::keep::Changed;
use super::reach::Reach;
use super::start::Prepared;
use crate::client::Agent;
use crate::cluster::Part;
use crate::quantity::from_wire;

/// How long an experiment outlives its client unless it says otherwise: what agents take.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// Deadlines that are no further apart are one.
const SAME_DEADLINE: Duration = Duration::from_secs(1);

/// A place where a part of the experiment runs: a node, and which of its parts there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// Empty where the only agent is meant.
    pub(super) node: String,
    /// Pods of one node have different rules where a port's name means different ports.
    pub(super) place: usize,
}

impl Slot {
    /// Gives each part its slot.
    pub(super) fn of_parts(parts: Vec<Part>) -> BTreeMap<Self, PrepareRequest> {
        let mut slots = BTreeMap::new();
        for Part { node, request } in parts {
            let place = slots
                .keys()
                .filter(|slot: &&Self| slot.node == node)
                .count();
            slots.insert(Self { node, place }, request);
        }
        slots
    }
}

/// One run of an experiment.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) reach: Arc<dyn Reach>,
    /// Empty where the only agent gives it one.
    id: String,
    /// How long a part outlives a connection that broke.
    pub(super) grace: Duration,
    /// Whether pods come and go.
    pub(super) follows: bool,
    /// No part begins any more.
    stopped: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many parts each node has had.
    parts: BTreeMap<String, u32>,
    deadline: Option<Instant>,
    /// What somebody else made of the rules, on some node.
    changed: Option<Changed>,
    /// What may be acting: node, id, and whom to tell.
    active: BTreeMap<(String, String), Agent>,
}

impl Run {
    pub(super) fn new(reach: Arc<dyn Reach>, id: String, parts: &[Part], follows: bool) -> Self {
        let grace = parts.first().and_then(|part| part.request.grace.as_ref());
        Self {
            reach,
            id,
            grace: grace.map_or(DEFAULT_GRACE, |grace| from_wire(Some(grace))),
            follows,
            stopped: watch::Sender::new(false),
            state: Mutex::new(State::default()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the next part on a node.
    pub(super) fn next_id(&self, node: &str) -> String {
        if self.id.is_empty() {
            return String::new();
        }
        let mut state = self.state();
        let count = state.parts.entry(node.to_owned()).or_default();
        *count += 1;
        match *count {
            1 => self.id.clone(),
            count => format!("{}.{count}", self.id),
        }
    }

    /// A part with that id was not made after all.
    pub(super) fn give_back_id(&self, node: &str) {
        if let Some(count) = self.state().parts.get_mut(node) {
            *count = count.saturating_sub(1);
        }
    }

    /// The clock starts for these parts: no earlier than now, so that no part outlives the first one's deadline.
    pub(super) fn begins(&self, prepared: &[Prepared]) {
        let duration = prepared
            .first()
            .map(|part| from_wire(part.request.duration.as_ref()));
        let mut state = self.state();
        state.deadline = duration.and_then(|duration| Instant::now().checked_add(duration));
        for part in prepared {
            let key = (part.slot.node.clone(), part.id().to_owned());
            state.active.insert(key, part.agent.clone());
        }
    }

    /// A part may be acting from now on, or can be told by another connection.
    pub(super) fn may_act(&self, node: &str, id: &str, agent: &Agent) {
        let key = (node.to_owned(), id.to_owned());
        self.state().active.insert(key, agent.clone());
    }

    /// A part acts no more.
    pub(super) fn ended(&self, node: &str, id: &str) {
        let key = (node.to_owned(), id.to_owned());
        self.state().active.remove(&key);
    }

    /// What may be acting: node, id, and whom to tell.
    pub(super) fn active(&self) -> BTreeMap<(String, String), Agent> {
        self.state().active.clone()
    }

    /// How much time is left, in milliseconds: agents write it into their logs and answers.
    pub(super) fn left(&self) -> Duration {
        let left = self.deadline().saturating_duration_since(Instant::now());
        Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }

    /// When it is over on all nodes, by the clock of this process.
    pub(super) fn deadline(&self) -> Instant {
        self.state().deadline.unwrap_or_else(Instant::now)
    }

    /// Somebody may have given it more time, or less: its duration is then another than before. What differs by less
    /// than people ask for is what this process gave a part that was slow to begin, and the deadline of all stays.
    pub(super) fn hears(&self, before: &Experiment, now: &Experiment) {
        if before.duration == now.duration {
            return;
        }
        let deadline = Instant::now().checked_add(from_wire(now.remaining.as_ref()));
        let mut state = self.state();
        let is_same = |(one, other): (Instant, Instant)| {
            one.max(other).saturating_duration_since(one.min(other)) < SAME_DEADLINE
        };
        if !deadline.zip(state.deadline).is_some_and(is_same) {
            state.deadline = deadline;
        }
    }

    /// Somebody else has changed the rules: parts that begin from now on get them so.
    pub(super) fn has_changed(&self, changed: &Changed) {
        self.state().changed = Some(changed.clone());
    }

    /// What somebody else made of the rules.
    pub(super) fn changed(&self) -> Option<Changed> {
        self.state().changed.clone()
    }

    /// No part begins any more.
    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Waits until no part may begin any more, or none could act.
    pub(super) async fn over(&self) {
        let mut stopped = self.stopped.subscribe();
        while !*stopped.borrow_and_update() && !self.left().is_zero() {
            tokio::select! {
                _ = stopped.changed() => {}
                () = tokio::time::sleep_until(self.deadline()) => {}
            }
        }
    }
}
