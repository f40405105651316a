//! Experiments: what they are, and how they go from prepared to armed to ended.
//!
//! No I/O and no clock here: the kernel is behind [`Datapath`], time comes in as a parameter.

mod counters;
mod datapath;
mod dns;
mod error;
mod experiment;
mod fault;
mod filter;
mod pods;
mod protection;
mod ramp;
mod reset;
mod returning;
mod rewrite;
mod service;
mod spec;
#[cfg(test)]
pub(crate) mod tests;
mod update;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tracing::info;

pub use counters::{Counters, PacketCounters};
pub use datapath::{
    AttachMode, Datapath, DatapathError, Entrance, Health, Installation, LineEngine, Way, XdpMode,
};
pub use dns::{Dns, Name, NameError, Reply};
pub use error::{EngineError, SpecError};
pub use experiment::{EndReason, Ending, Experiment, Hit, State, whole};
pub(crate) use fault::SMALLEST_BURST;
pub use fault::{Choice, Delay, Distribution, Fault, Ppm, Rate};
pub use filter::{Connections, Direction, Filter, PortRange, Protocol, Side};
pub use pods::{Origin, Pod, PodNetwork, Pods, StaticPod};
pub use protection::{Protected, ProtectedError};
pub use ramp::{Ramp, Share};
pub use reset::Reset;
pub use returning::Return;
pub use rewrite::{Patch, Replace, Rewrite};
pub use service::{
    Door, Edits, ErrorAnswer, ErrorStatus, Field, Glob, Grpc, HeaderMatch, Http, Method, Pause,
    RequestMatch, Requests, Service, ServiceError, excludes,
};
pub use spec::{Cgroup, Pulse, Rule, Selector, Spared, Spec, Target, Where};
pub use update::{Change, Repoint};

/// How long a prepared experiment waits for its arm.
pub const PREPARED_LIFETIME: Duration = Duration::from_secs(30);
/// How often an experiment looks whether its targets and lines are still there.
pub const HEALTH_INTERVAL: Duration = Duration::from_millis(500);
/// How many targets that are gone an experiment lists: pods may come and go for a day.
const MOST_GONE: usize = 1024;
/// How many ended experiments are kept for `list --all` and `status`.
const HISTORY: usize = 100;

/// All experiments of one agent.
#[derive(Debug)]
pub struct Engine<D> {
    datapath: D,
    live: Vec<Experiment>,
    ended: VecDeque<Experiment>,
    /// Whether somebody looks for pods whose targets are gone.
    is_looking: bool,
}

impl<D: Datapath> Engine<D> {
    /// No experiments yet.
    pub const fn new(datapath: D) -> Self {
        Self {
            datapath,
            live: Vec::new(),
            ended: VecDeque::new(),
            is_looking: false,
        }
    }

    /// Puts everything in place, disarmed. What cannot be put in place everywhere is taken away everywhere.
    pub fn prepare(
        &mut self,
        id: String,
        spec: Spec,
        targets: Vec<Target>,
        started_by: Option<String>,
        now: Instant,
    ) -> Result<&Experiment, EngineError> {
        self.check_free(&id, started_by.as_deref())?;
        let hits = self.install(&spec, targets);
        let hits = hits.map_err(|(target, source)| EngineError::Datapath { target, source })?;
        let index = self.live.len();
        let experiment = Experiment::prepared(id, spec, hits, started_by, now);
        self.live.push(experiment);
        Ok(&self.live[index])
    }

    /// Whether an id is nobody's, neither of an experiment that runs nor of one that is remembered, and no part of what
    /// somebody else started.
    pub fn check_free(&self, id: &str, started_by: Option<&str>) -> Result<(), EngineError> {
        if self.position(id).is_ok() || self.find(id).is_ok() {
            return Err(EngineError::Exists { id: id.to_owned() });
        }
        let is_anothers = |part: &Experiment| {
            whole(&part.id) == whole(id) && part.started_by.as_deref() != started_by
        };
        if self.glance().any(is_anothers) {
            return Err(EngineError::NotTheirs {
                id: id.to_owned(),
                whole: whole(id).to_owned(),
            });
        }
        Ok(())
    }

    /// Puts rules in place on all targets, or on none; which target refused, and why.
    fn install(
        &mut self,
        spec: &Spec,
        targets: Vec<Target>,
    ) -> Result<Vec<Hit>, (String, DatapathError)> {
        let mut hits = Vec::with_capacity(targets.len());
        for target in targets {
            match self.datapath.install(&target, spec) {
                Ok(installation) => hits.push(Hit::new(target, installation)),
                Err(source) => {
                    self.datapath.remove(installations(&hits));
                    return Err((target.name, source));
                }
            }
        }
        Ok(hits)
    }

    /// Starts the clock.
    pub fn arm(&mut self, id: &str, now: Instant) -> Result<&Experiment, EngineError> {
        let index = self.position(id)?;
        let experiment = &mut self.live[index];
        if experiment.state == State::Armed {
            return Err(EngineError::AlreadyArmed { id: id.to_owned() });
        }
        let installations = installations(&experiment.hits);
        let until = now + experiment.spec.duration;
        if let Err(source) = self.datapath.arm(&installations, until) {
            let detail = self.fail(index, &source);
            return Err(EngineError::Arm {
                id: id.to_owned(),
                detail,
            });
        }
        experiment.armed(now);
        Ok(&self.live[index])
    }

    /// Ends an experiment, if it has not ended yet.
    pub fn stop(&mut self, id: &str, ending: Ending) -> Result<&Experiment, EngineError> {
        if let Ok(index) = self.position(id) {
            return Ok(self.end(index, ending));
        }
        self.find(id)
    }

    /// Ends all experiments; gives their ids.
    pub fn stop_all(&mut self, ending: &Ending) -> Vec<String> {
        let ids: Vec<String> = self
            .live
            .iter()
            .map(|experiment| experiment.id.clone())
            .collect();
        while let Some(index) = self.live.len().checked_sub(1) {
            self.end(index, ending.clone());
        }
        ids
    }

    /// A client holds the experiment, or no longer does.
    pub fn hold(&mut self, id: &str, holds: bool, now: Instant) {
        if let Ok(index) = self.position(id) {
            self.live[index].hold(holds, now);
        }
    }

    /// Does what is due for an experiment at `now`: expiry, grace, a look at its health.
    pub fn wake(&mut self, id: &str, now: Instant) {
        let Ok(index) = self.position(id) else { return };
        if let Some(ending) = self.live[index].overdue(now) {
            self.end(index, ending);
            return;
        }
        if self.live[index].health_is_due(now) {
            self.look_at_health(index, now);
        }
    }

    /// When [`Engine::wake`] is next due; nothing when the experiment has ended.
    pub fn wakes_at(&self, id: &str) -> Option<Instant> {
        self.position(id)
            .ok()
            .map(|index| self.live[index].wakes_at())
    }

    /// State of an experiment; nothing when there is none of this id.
    pub fn state(&self, id: &str) -> Option<State> {
        let live = self.position(id).map(|index| &self.live[index]);
        let known = live.or_else(|_| self.find(id)).ok()?;
        Some(known.state.clone())
    }

    /// An experiment with current counters, live or ended.
    pub fn status(&mut self, id: &str) -> Result<&Experiment, EngineError> {
        if let Ok(index) = self.position(id) {
            self.count(index);
            return Ok(&self.live[index]);
        }
        self.find(id)
    }

    /// All live experiments with current counters, newest first; with `ended` also those in the history.
    pub fn list(&mut self, ended: bool) -> impl Iterator<Item = &Experiment> {
        for index in 0..self.live.len() {
            self.count(index);
        }
        self.live
            .iter()
            .rev()
            .chain(self.ended.iter().rev().filter(move |_| ended))
    }

    /// Has all rules spare these too, those that act included.
    pub fn protect(&mut self, list: &[Protected]) -> Result<(), DatapathError> {
        self.datapath.protect(list)
    }

    /// All experiments, as they were when somebody last counted.
    pub fn glance(&self) -> impl Iterator<Item = &Experiment> {
        self.live.iter().chain(&self.ended)
    }

    /// Gives the kernel back, when all is over.
    pub fn into_datapath(self) -> D {
        self.datapath
    }

    fn look_at_health(&mut self, index: usize, now: Instant) {
        let experiment = &mut self.live[index];
        let (mut broken, mut gone) = (None, Vec::new());
        let mut breaks = |hit: &Hit, what: &str, outcome: &str| {
            broken = Some(format!(
                "the {what} of {} broke; {outcome}",
                hit.target.name
            ));
        };
        for (place, hit) in experiment.hits.iter().enumerate() {
            let Some(installation) = hit.installation else {
                continue;
            };
            match self.datapath.health(installation, &hit.target) {
                Health::Fine => {}
                Health::TargetGone => gone.push(place),
                Health::LineBroken => breaks(hit, "delay line", "packets pass without delay"),
                Health::DoorBroken => {
                    breaks(hit, "door", "connections go straight to the application");
                }
            }
        }
        experiment.health_seen(now);
        self.let_go(index, &gone);
        if self.end_without_targets(index) {
            return;
        }
        if let Some(detail) = broken {
            let ending = Ending {
                reason: EndReason::Failed,
                detail,
            };
            self.end(index, ending);
        }
    }

    /// Takes rules off targets that stay in the list as gone, with what they did.
    fn let_go(&mut self, index: usize, places: &[usize]) {
        if places.is_empty() {
            return;
        }
        let hits = &self.live[index].hits;
        let installations: Vec<Installation> = places
            .iter()
            .filter_map(|&place| hits[place].installation)
            .collect();
        self.datapath.disarm(&installations);
        self.count(index);
        self.datapath.remove(installations);
        for &place in places {
            let hit = &mut self.live[index].hits[place];
            hit.installation = None;
            hit.gone = true;
        }
        self.live[index].forget_oldest_gone();
    }

    fn end(&mut self, index: usize, ending: Ending) -> &Experiment {
        let installations = installations(&self.live[index].hits);
        self.datapath.disarm(&installations);
        self.count(index);
        self.datapath.remove(installations);
        let mut experiment = self.live.remove(index);
        info!(
            id = experiment.id,
            reason = ?ending.reason,
            detail = ending.detail,
            "experiment ended"
        );
        experiment.ended(ending);
        if self.ended.len() == HISTORY {
            self.ended.pop_front();
        }
        self.ended.push_back(experiment);
        let last = self.ended.len() - 1;
        &self.ended[last]
    }

    /// Ends an experiment that the kernel refused; gives the reason.
    fn fail(&mut self, index: usize, source: &DatapathError) -> String {
        let detail = source.to_string();
        let ending = Ending {
            reason: EndReason::Failed,
            detail: detail.clone(),
        };
        self.end(index, ending);
        detail
    }

    fn count(&mut self, index: usize) {
        for hit in &mut self.live[index].hits {
            if let Some(installation) = hit.installation {
                hit.counters = self.datapath.counters(installation);
                hit.xdp = self.datapath.xdp(installation);
                hit.entrance = self.datapath.entrance(installation);
            }
        }
    }

    fn position(&self, id: &str) -> Result<usize, EngineError> {
        self.live
            .iter()
            .position(|experiment| experiment.id == id)
            .ok_or_else(|| EngineError::NoSuchExperiment { id: id.to_owned() })
    }

    fn find(&self, id: &str) -> Result<&Experiment, EngineError> {
        self.ended
            .iter()
            .rev()
            .find(|experiment| experiment.id == id)
            .ok_or_else(|| EngineError::NoSuchExperiment { id: id.to_owned() })
    }
}

/// What is in place of these.
fn installations(hits: &[Hit]) -> Vec<Installation> {
    hits.iter().filter_map(|hit| hit.installation).collect()
}
