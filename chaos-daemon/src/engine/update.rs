//! Changes of an experiment that has not ended: its rules, its time, its pods.

use std::time::{Duration, Instant};

use tracing::info;

use super::{
    Engine,
    datapath::{Datapath, DatapathError, Installation},
    error::{EngineError, SpecError},
    experiment::{Experiment, Hit, State},
    installations,
    pods::{Pod, Pods},
    service::Door,
    spec::{Rule, Selector, Spec, Target, Where},
};

/// What to change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// What the rules are from now on; empty: they stay.
    pub rules: Vec<Rule>,
    /// How long it goes on from now; nothing: the deadline stays.
    pub time: Option<Duration>,
    /// Which pods are hit from now on; nothing: they stay.
    pub pods: Option<Repoint>,
}

/// Which pods are hit from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Repoint {
    /// All of them.
    pub pods: Pods,
    /// Targets of those that are to join, found on this node.
    pub found: Vec<Target>,
}

impl Experiment {
    /// Which of `pods` are to be found before they are hit instead of those that are; nothing, where none is. Nobody waits for
    /// a pod that is between two lives: neither who leaves, nor who joins where somebody `looks` for those that are missing.
    pub fn to_find(&self, pods: &Pods, looks: bool) -> Result<Option<Selector>, EngineError> {
        let Where::Pods(now) = &self.spec.selector.at else {
            return Err(EngineError::NotPods {
                id: self.id.clone(),
            });
        };
        let mut wanted = pods.clone();
        if now.container == pods.container {
            wanted
                .pods
                .retain(|pod| !self.live().any(|hit| is_that(&hit.target, pod)));
            let joins = |pod: &Pod| !now.pods.iter().any(|there| is_same(there, pod));
            let anybody_joins = wanted.pods.iter().any(joins);
            let stays = |there: &Pod| pods.pods.iter().any(|pod| is_same(there, pod));
            if anybody_joins && looks {
                wanted.pods.retain(joins);
            } else if !anybody_joins && !now.pods.iter().all(stays) {
                wanted.pods.clear();
            }
        }
        Ok((!wanted.pods.is_empty()).then(|| Selector {
            at: Where::Pods(wanted),
            interface: self.spec.selector.interface.clone(),
        }))
    }

    /// Whether a change to these pods lets go of some, or of none, and hits nobody else.
    pub fn only_lets_go(&self, pods: &Pods) -> bool {
        self.spec.selector.at.pods().is_some_and(|now| {
            let is_there = |pod: &Pod| now.pods.iter().any(|there| is_same(there, pod));
            now.container == pods.container && pods.pods.iter().all(is_there)
        })
    }

    /// What the experiment is to be, if that makes sense.
    fn check_change(&self, change: &Change, now: Instant) -> Result<Spec, EngineError> {
        let id = || self.id.clone();
        let is_of_pods = matches!(self.spec.selector.at, Where::Pods(_));
        if change.pods.is_some() && !is_of_pods {
            return Err(EngineError::NotPods { id: id() });
        }
        if change.time == Some(Duration::ZERO) {
            return Err(SpecError::Duration(Duration::ZERO).into());
        }
        let spec = self.changed(change, now);
        spec.check()?;
        let (there, asked) = (self.spec.faults(), spec.faults());
        if there != asked {
            return Err(EngineError::OtherFaults {
                id: id(),
                there,
                asked,
            });
        }
        let doors = |spec: &Spec| -> Vec<Vec<(u16, Door)>> {
            let of = |rule: &Rule| {
                rule.doors()
                    .map(|(port, door)| (port, door.clone()))
                    .collect()
            };
            spec.rules.iter().map(of).collect()
        };
        if doors(&self.spec) != doors(&spec) {
            return Err(EngineError::OtherDoors { id: id() });
        }
        Ok(spec)
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Hit> {
        self.hits.iter().filter(|hit| hit.installation.is_some())
    }

    /// Targets that join, and places of hits that leave.
    fn moves(&self, repoint: &Repoint) -> (Vec<Target>, Vec<usize>) {
        let Repoint { pods, found } = repoint;
        let joins = |target: &&Target| !self.live().any(|hit| hit.target.is_same(target));
        let leaves = |hit: &Hit| {
            let is_listed = pods.pods.iter().any(|pod| is_of(&hit.target, &pod.uid));
            let is_elsewhere = found.iter().any(|target| {
                target
                    .pod
                    .as_ref()
                    .is_some_and(|pod| is_of(&hit.target, &pod.uid))
            }) && !found.iter().any(|target| target.is_same(&hit.target));
            hit.installation.is_some() && (!is_listed || is_elsewhere)
        };
        let places = self.hits.iter().enumerate();
        let leaving = places.filter(|(_, hit)| leaves(hit));
        (
            found.iter().filter(joins).cloned().collect(),
            leaving.map(|(place, _)| place).collect(),
        )
    }
}

/// Whether the target is of this pod, by all that was said of it: a UID under another name is to be looked up, and refused.
fn is_that(target: &Target, pod: &Pod) -> bool {
    let known = target.pod.as_ref();
    known.is_some_and(|known| is_same(known, pod))
}

fn is_same(one: &Pod, other: &Pod) -> bool {
    (&one.namespace, &one.name, &one.uid) == (&other.namespace, &other.name, &other.uid)
}

pub(super) fn is_of(target: &Target, uid: &str) -> bool {
    target.pod.as_ref().is_some_and(|pod| pod.uid == uid)
}

impl<D: Datapath> Engine<D> {
    /// Changes an experiment that has not ended: its rules, how long it goes on from `now`, its pods; whatever is given.
    /// Pods that join act for the time that is left, those that leave stay in the list as gone. On error nothing has
    /// changed, or, where the kernel refused in the middle, the experiment has ended.
    pub fn update(
        &mut self,
        id: &str,
        change: &Change,
        now: Instant,
    ) -> Result<&Experiment, EngineError> {
        let Ok(index) = self.position(id) else {
            self.find(id)?;
            return Err(EngineError::Over { id: id.to_owned() });
        };
        let experiment = &self.live[index];
        let spec = experiment.check_change(change, now)?;
        let changes_rules = spec.rules != experiment.spec.rules;
        let is_armed = experiment.state == State::Armed;
        let remaining = experiment.remaining(now);
        let until = is_armed.then(|| now + change.time.unwrap_or(remaining));
        let repoint = change.pods.as_ref();
        let (joining, leaving) = repoint.map_or_else(Default::default, |to| experiment.moves(to));
        let places = experiment.hits.iter().enumerate();
        let staying: Vec<Hit> = places
            .filter(|(place, hit)| hit.installation.is_some() && !leaving.contains(place))
            .map(|(_, hit)| hit.clone())
            .collect();
        let refused = |(target, source)| EngineError::Join {
            id: id.to_owned(),
            target,
            source,
        };
        let joined = self.install(&spec, joining).map_err(refused)?;
        let (new, old) = (installations(&joined), installations(&staying));
        if changes_rules && let Err(error) = self.stage(&staying, &spec) {
            self.take_away(new);
            return Err(error);
        }
        if let Err(source) = self.begin(&new, until) {
            if changes_rules {
                self.datapath.unstage(&old);
            }
            self.take_away(new);
            let target = joined.into_iter().next().map(|hit| hit.target.name);
            return Err(refused((target.unwrap_or_default(), source)));
        }
        let done = match until {
            _ if changes_rules => self.datapath.switch(&old, until),
            Some(until) if change.time.is_some() => self.datapath.extend(&old, until),
            Some(_) | None => Ok(()),
        };
        self.live[index].hits.extend(joined);
        if let Err(source) = done {
            let detail = self.fail(index, &source);
            return Err(EngineError::UpdateBroke {
                id: id.to_owned(),
                detail,
            });
        }
        let deadline = until.filter(|_| changes_rules || change.time.is_some());
        if change.pods.is_some() {
            // Somebody has seen them again.
            self.live[index].lost.clear();
        }
        self.live[index].update(spec, deadline);
        self.let_go(index, &leaving);
        info!(
            id,
            joined = new.len(),
            left = leaving.len(),
            "experiment updated"
        );
        self.count(index);
        Ok(&self.live[index])
    }

    /// Lets rules of targets that join act, if those of the others do.
    pub(super) fn begin(
        &mut self,
        installations: &[Installation],
        until: Option<Instant>,
    ) -> Result<(), DatapathError> {
        match until {
            Some(until) if !installations.is_empty() => self.datapath.arm(installations, until),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes targets away that were about to join.
    pub(super) fn take_away(&mut self, installations: Vec<Installation>) {
        if !installations.is_empty() {
            self.datapath.disarm(&installations);
            self.datapath.remove(installations);
        }
    }

    /// Puts changed rules in place on all of these, or on none.
    fn stage(&mut self, hits: &[Hit], spec: &Spec) -> Result<(), EngineError> {
        let mut staged = Vec::new();
        for hit in hits {
            let Some(installation) = hit.installation else {
                continue;
            };
            if let Err(source) = self.datapath.stage(installation, &hit.target, spec) {
                self.datapath.unstage(&staged);
                return Err(EngineError::Update {
                    target: hit.target.name.clone(),
                    source,
                });
            }
            staged.push(installation);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
