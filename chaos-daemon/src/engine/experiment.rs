//! One experiment and its life: prepared, armed, ended.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use humantime::format_duration;

use super::{
    HEALTH_INTERVAL, MOST_GONE, PREPARED_LIFETIME,
    counters::Counters,
    datapath::{Entrance, Installation, XdpMode},
    pods::Pods,
    spec::{Spec, Target, Where},
    update::{Change, Repoint, is_of},
};

/// Where an experiment is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// In place, disarmed.
    Prepared,
    /// Acting.
    Armed,
    /// Over.
    Ended(Ending),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: EndReason,
    /// A sentence for a person.
    pub detail: String,
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its duration passed.
    Expired,
    /// Somebody asked for it.
    Stopped,
    /// Its client was gone, or never armed it.
    ClientGone,
    /// All targets are gone.
    TargetGone,
    /// The agent stops.
    AgentStopped,
    /// The agent hung.
    AgentStalled,
    /// Something broke.
    Failed,
}

/// A target of an experiment, and what was hit there.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The target.
    pub target: Target,
    /// What is in place there; nothing once it was taken away.
    pub installation: Option<Installation>,
    /// As last read, one for each rule.
    pub counters: Vec<Counters>,
    /// Where rules drop what arrives, if that is XDP.
    pub xdp: Option<XdpMode>,
    /// What became of its doors, where rules hit requests.
    pub entrance: Option<Entrance>,
    /// Whether it went away, or was let go.
    pub gone: bool,
}

impl Hit {
    pub(super) const fn new(target: Target, installation: Installation) -> Self {
        Self {
            target,
            installation: Some(installation),
            counters: Vec::new(),
            xdp: None,
            entrance: None,
            gone: false,
        }
    }
}

/// An experiment.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Its id.
    pub id: String,
    /// What was asked for.
    pub spec: Spec,
    /// Where it is in its life.
    pub state: State,
    /// What it resolved to, and what that was before pods came and went.
    pub hits: Vec<Hit>,
    /// Who prepared it; nothing where nobody was asked.
    pub started_by: Option<String>,
    /// Whether it ever acted.
    pub was_armed: bool,
    /// UIDs of its pods that have gone for good.
    pub(super) lost: BTreeSet<String>,
    deadline: Instant,
    holders: usize,
    unheld_since: Instant,
    health_at: Instant,
}

/// The id that all parts of one experiment have in common: `ID.2` is a part of `ID`.
pub fn whole(id: &str) -> &str {
    match id.rsplit_once('.') {
        Some((whole, part)) if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) => {
            whole
        }
        _ => id,
    }
}

impl Experiment {
    pub(super) fn prepared(
        id: String,
        spec: Spec,
        hits: Vec<Hit>,
        started_by: Option<String>,
        now: Instant,
    ) -> Self {
        Self {
            id,
            spec,
            state: State::Prepared,
            hits,
            started_by,
            was_armed: false,
            lost: BTreeSet::new(),
            deadline: now + PREPARED_LIFETIME,
            holders: 0,
            unheld_since: now,
            health_at: now + HEALTH_INTERVAL,
        }
    }

    /// Time left to the deadline.
    pub fn remaining(&self, now: Instant) -> Duration {
        match self.state {
            State::Prepared => self.spec.duration,
            State::Armed => self.deadline.saturating_duration_since(now),
            State::Ended(_) => Duration::ZERO,
        }
    }

    /// Until when rules of targets that come act; nothing, where those of the others do not act.
    pub(super) fn acts_until(&self) -> Option<Instant> {
        (self.state == State::Armed).then_some(self.deadline)
    }

    pub(super) fn armed(&mut self, now: Instant) {
        self.state = State::Armed;
        self.was_armed = true;
        self.deadline = now + self.spec.duration;
        self.unheld_since = now;
    }

    pub(super) fn changed(&self, change: &Change, now: Instant) -> Spec {
        let pods = change.pods.as_ref().map(|Repoint { pods, .. }| pods);
        self.to_be(change, pods, now)
    }

    /// What it is to do, with other rules, so long from `now`, and with these pods, where any are given. All of its time
    /// counts.
    pub fn to_be(&self, change: &Change, pods: Option<&Pods>, now: Instant) -> Spec {
        let mut spec = self.spec.clone();
        if !change.rules.is_empty() {
            spec.rules.clone_from(&change.rules);
        }
        if let Some(pods) = pods {
            spec.selector.at = Where::Pods(pods.clone());
        }
        if let Some(time) = change.time {
            let passed = self.spec.duration.saturating_sub(self.remaining(now));
            // It is said to people.
            let passed =
                Duration::from_millis(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
            spec.duration = passed.saturating_add(time);
        }
        spec
    }

    pub(super) fn update(&mut self, spec: Spec, deadline: Option<Instant>) {
        self.spec = spec;
        if let Some(deadline) = deadline {
            self.deadline = deadline;
        }
    }

    pub(super) fn ended(&mut self, ending: Ending) {
        self.state = State::Ended(ending);
    }

    /// Keeps the list of targets within bounds.
    pub(super) fn forget_oldest_gone(&mut self) {
        let gone = self.hits.iter().filter(|hit| hit.gone).count();
        let mut surplus = gone.saturating_sub(MOST_GONE);
        self.hits.retain(|hit| {
            let forgets = surplus > 0 && hit.gone;
            surplus -= usize::from(forgets);
            !forgets
        });
    }

    pub(super) fn hold(&mut self, holds: bool, now: Instant) {
        if holds {
            self.holders += 1;
        } else {
            self.holders = self.holders.saturating_sub(1);
            self.unheld_since = now;
        }
    }

    /// Why it should be over at `now`, if it should.
    pub(super) fn overdue(&self, now: Instant) -> Option<Ending> {
        let ending = |reason, detail| Some(Ending { reason, detail });
        if self.deadline <= now {
            return match self.state {
                State::Prepared => ending(
                    EndReason::ClientGone,
                    "it was prepared but never armed".into(),
                ),
                State::Armed | State::Ended(_) => ending(
                    EndReason::Expired,
                    format!("its {} have passed", format_duration(self.spec.duration)),
                ),
            };
        }
        if self.abandoned_at().is_some_and(|at| at <= now) {
            let detail = format!(
                "its client was gone for {}",
                format_duration(self.spec.grace)
            );
            return ending(EndReason::ClientGone, detail);
        }
        None
    }

    pub(super) fn health_is_due(&self, now: Instant) -> bool {
        self.health_at <= now
    }

    pub(super) fn health_seen(&mut self, now: Instant) {
        self.health_at = now + HEALTH_INTERVAL;
    }

    pub(super) fn wakes_at(&self) -> Instant {
        let soonest = self.deadline.min(self.health_at);
        self.abandoned_at().map_or(soonest, |at| soonest.min(at))
    }

    /// When its client has been gone for too long; nothing while it has one, needs none, or is not armed.
    fn abandoned_at(&self) -> Option<Instant> {
        (self.holders == 0 && !self.spec.detached && self.state == State::Armed)
            .then(|| self.unheld_since + self.spec.grace)
    }
}

impl Ending {
    /// The agent stops.
    pub fn agent_stopped() -> Self {
        Self {
            reason: EndReason::AgentStopped,
            detail: "the agent was told to stop".into(),
        }
    }

    /// The agent hung for so long.
    pub fn agent_stalled(gap: Duration) -> Self {
        Self {
            reason: EndReason::AgentStalled,
            detail: format!(
                "the agent did not run for {gap:.1?}; the kernel ended the fault meanwhile"
            ),
        }
    }

    /// Somebody asked for it.
    pub fn stopped() -> Self {
        Self {
            reason: EndReason::Stopped,
            detail: "it was stopped".into(),
        }
    }

    pub(super) fn target_gone(experiment: &Experiment) -> Self {
        // Who was let go earlier is not why.
        let pods = experiment.spec.selector.at.pods();
        let is_wanted = |target: &Target| {
            pods.is_none_or(|pods| pods.pods.iter().any(|pod| is_of(target, &pod.uid)))
        };
        let mut names: Vec<&str> = Vec::new();
        for hit in experiment.hits.iter().filter(|hit| is_wanted(&hit.target)) {
            if !names.contains(&hit.target.name.as_str()) {
                names.push(&hit.target.name);
            }
        }
        Self {
            reason: EndReason::TargetGone,
            detail: format!("target gone: {}", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_id_of_the_whole() {
        for (id, of) in [
            ("delay-1", "delay-1"),
            ("delay-1.2", "delay-1"),
            ("delay.x", "delay.x"),
            ("delay.", "delay."),
        ] {
            assert_eq!(whole(id), of);
        }
    }
}
