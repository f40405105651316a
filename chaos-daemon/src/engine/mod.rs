//! Experiments: what they are, and how they go from prepared to armed to ended.
//!
//! No I/O and no clock here: the kernel is behind [`Datapath`], time comes in as a parameter.

mod datapath;
mod dns;
mod error;
mod experiment;
mod fault;
mod filter;
mod protection;
mod ramp;
mod reset;
mod rewrite;
mod spec;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tracing::info;

pub use datapath::{
    AttachMode, Datapath, DatapathError, Health, Installation, LineEngine, Way, XdpMode,
};
pub use dns::{Dns, Name, NameError, Reply};
pub use error::{EngineError, SpecError};
pub use experiment::{EndReason, Ending, Experiment, Hit, State};
pub(crate) use fault::SMALLEST_BURST;
pub use fault::{Choice, Counters, Delay, Distribution, Fault, Ppm, Rate};
pub use filter::{Connections, Direction, Filter, PortRange, Protocol, Side};
pub use protection::{Protected, ProtectedError};
pub use ramp::{Ramp, Share};
pub use reset::Reset;
pub use rewrite::{Patch, Replace, Rewrite};
pub use spec::{Cgroup, Pulse, Rule, Selector, Spec, Target, Where};

/// How long a prepared experiment waits for its arm.
pub const PREPARED_LIFETIME: Duration = Duration::from_secs(30);
/// How often an experiment looks whether its targets and lines are still there.
pub const HEALTH_INTERVAL: Duration = Duration::from_millis(500);
/// How many ended experiments are kept for `list --all` and `status`.
const HISTORY: usize = 100;

/// All experiments of one agent.
#[derive(Debug)]
pub struct Engine<D> {
    datapath: D,
    live: Vec<Experiment>,
    ended: VecDeque<Experiment>,
}

impl<D: Datapath> Engine<D> {
    /// No experiments yet.
    pub const fn new(datapath: D) -> Self {
        Self {
            datapath,
            live: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    /// Puts everything in place, disarmed. What cannot be put in place everywhere is taken away everywhere.
    pub fn prepare(
        &mut self,
        id: String,
        spec: Spec,
        targets: Vec<Target>,
        now: Instant,
    ) -> Result<&Experiment, EngineError> {
        let mut hits = Vec::with_capacity(targets.len());
        for target in targets {
            match self.datapath.install(&target, &spec) {
                Ok(installation) => hits.push(Hit::new(target, installation)),
                Err(source) => {
                    self.datapath
                        .remove(hits.into_iter().map(|hit| hit.installation).collect());
                    return Err(EngineError::Datapath {
                        target: target.name,
                        source,
                    });
                }
            }
        }
        let index = self.live.len();
        self.live.push(Experiment::prepared(id, spec, hits, now));
        Ok(&self.live[index])
    }

    /// Starts the clock.
    pub fn arm(&mut self, id: &str, now: Instant) -> Result<&Experiment, EngineError> {
        let index = self.position(id)?;
        let experiment = &mut self.live[index];
        if experiment.state == State::Armed {
            return Err(EngineError::AlreadyArmed { id: id.to_owned() });
        }
        let installations: Vec<Installation> = experiment.installations().collect();
        if let Err(source) = self.datapath.arm(&installations, experiment.spec.duration) {
            let detail = self.fail(index, &source);
            return Err(EngineError::Arm {
                id: id.to_owned(),
                detail,
            });
        }
        experiment.armed(now);
        Ok(&self.live[index])
    }

    /// Changes an experiment that has not ended: its rules, where any are given, and how long it goes on from `now`.
    pub fn update(
        &mut self,
        id: &str,
        rules: Vec<Rule>,
        time: Option<Duration>,
        now: Instant,
    ) -> Result<&Experiment, EngineError> {
        let Ok(index) = self.position(id) else {
            self.find(id)?;
            return Err(EngineError::Over { id: id.to_owned() });
        };
        let experiment = &self.live[index];
        let spec = experiment.changed(rules, time, now);
        if time == Some(Duration::ZERO) {
            return Err(SpecError::Duration(Duration::ZERO).into());
        }
        spec.check()?;
        let (there, asked) = (experiment.spec.faults(), spec.faults());
        if there != asked {
            return Err(EngineError::OtherFaults {
                id: id.to_owned(),
                there,
                asked,
            });
        }
        let installations: Vec<Installation> = experiment.installations().collect();
        let is_armed = experiment.state == State::Armed;
        let left = is_armed.then(|| time.unwrap_or_else(|| experiment.remaining(now)));
        let done = if spec.rules == experiment.spec.rules {
            left.map_or(Ok(()), |left| self.datapath.extend(&installations, left))
        } else {
            self.stage(index, &spec)?;
            self.datapath.switch(&installations, left)
        };
        if let Err(source) = done {
            let detail = self.fail(index, &source);
            return Err(EngineError::UpdateBroke {
                id: id.to_owned(),
                detail,
            });
        }
        self.live[index].update(spec, left.map(|left| now + left));
        info!(id, "experiment updated");
        self.count(index);
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

    /// Gives the kernel back, when all is over.
    pub fn into_datapath(self) -> D {
        self.datapath
    }

    /// Puts changed rules in place on all targets that are there, or on none.
    fn stage(&mut self, index: usize, spec: &Spec) -> Result<(), EngineError> {
        let mut staged = Vec::new();
        for hit in self.live[index].hits.iter().filter(|hit| !hit.gone) {
            if let Err(source) = self.datapath.stage(hit.installation, &hit.target, spec) {
                self.datapath.unstage(&staged);
                return Err(EngineError::Update {
                    target: hit.target.name.clone(),
                    source,
                });
            }
            staged.push(hit.installation);
        }
        Ok(())
    }

    fn look_at_health(&mut self, index: usize, now: Instant) {
        let experiment = &mut self.live[index];
        let mut broken = None;
        for hit in experiment.hits.iter_mut().filter(|hit| !hit.gone) {
            match self.datapath.health(hit.installation, &hit.target) {
                Health::Fine => {}
                Health::TargetGone => hit.gone = true,
                Health::LineBroken => broken = Some(hit.target.name.clone()),
            }
        }
        experiment.health_seen(now);
        let ending = if experiment.hits.iter().all(|hit| hit.gone) {
            Ending::target_gone(experiment)
        } else if let Some(name) = broken {
            Ending {
                reason: EndReason::Failed,
                detail: format!("the delay line of {name} broke; packets pass without delay"),
            }
        } else {
            return;
        };
        self.end(index, ending);
    }

    fn end(&mut self, index: usize, ending: Ending) -> &Experiment {
        let installations: Vec<Installation> = self.live[index].installations().collect();
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
            hit.counters = self.datapath.counters(hit.installation);
            hit.xdp = self.datapath.xdp(hit.installation);
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
