//! The experiments of a simulated agent: which state each is in, by the clock.

use std::time::{Duration, Instant};

use chaos_proto::v1::{
    Counters, EndReason, Experiment, Pod, PrepareRequest, Rule, State, Target, UpdateRequest,
    selector::Where,
};
use tonic::Status;

/// How long an experiment without its client goes on, where it does not say.
const GRACE: Duration = Duration::from_secs(5);
/// How long a prepared one waits to be armed.
const ARM_WITHIN: Duration = Duration::from_secs(30);

/// All experiments of an agent, oldest first.
#[derive(Debug, Default)]
pub(super) struct Experiments {
    all: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    experiment: Experiment,
    grace: Duration,
    deadline: Option<Instant>,
    /// Streams that hold it, and since when there are none.
    holds: usize,
    unheld: Instant,
}

impl Experiments {
    /// As they are now.
    pub(super) fn all(&mut self) -> Vec<Experiment> {
        self.all.iter_mut().map(Kept::now).collect()
    }

    /// One, as it is now.
    pub(super) fn one(&mut self, id: &str) -> Result<Experiment, Status> {
        self.find(id).map(Kept::now)
    }

    fn find(&mut self, id: &str) -> Result<&mut Kept, Status> {
        let found = self
            .all
            .iter_mut()
            .rev()
            .find(|kept| kept.experiment.id == id);
        found.ok_or_else(|| Status::not_found(format!("no experiment {id} on this agent")))
    }

    /// A new one.
    pub(super) fn prepare(
        &mut self,
        node: &str,
        request: PrepareRequest,
    ) -> Result<Experiment, Status> {
        let known = self.all.iter().any(|kept| kept.experiment.id == request.id);
        if known {
            let message = format!("experiment {} is there already", request.id);
            return Err(Status::already_exists(message));
        }
        let grace = request
            .grace
            .and_then(|grace| Duration::try_from(grace).ok())
            .unwrap_or(GRACE);
        let experiment = Experiment {
            id: request.id,
            state: State::Prepared.into(),
            targets: targets(
                request.selector.as_ref().and_then(|to| to.r#where.as_ref()),
                &request.rules,
            ),
            selector: request.selector,
            rules: request.rules,
            duration: request.duration,
            remaining: request.duration,
            detached: request.detached,
            seed: request.seed.unwrap_or(1),
            node: node.to_owned(),
            ..Experiment::default()
        };
        if !request.dry_run {
            self.all.push(Kept {
                experiment: experiment.clone(),
                grace,
                deadline: None,
                holds: 0,
                unheld: Instant::now(),
            });
        }
        Ok(experiment)
    }

    /// Starts the clock of one.
    pub(super) fn arm(&mut self, id: &str) -> Result<Experiment, Status> {
        let kept = self.find(id)?;
        if kept.now().state() != State::Prepared {
            let message = format!("experiment {id} is not prepared");
            return Err(Status::failed_precondition(message));
        }
        let duration = kept.experiment.duration;
        let duration = duration.and_then(|time| Duration::try_from(time).ok());
        kept.experiment.state = State::Armed.into();
        kept.deadline = Some(Instant::now() + duration.unwrap_or_default());
        kept.unheld = Instant::now();
        Ok(kept.now())
    }

    /// Changes one.
    pub(super) fn update(&mut self, request: UpdateRequest) -> Result<Experiment, Status> {
        let kept = self.find(&request.id)?;
        if kept.now().state() == State::Ended {
            let message = format!("experiment {} has ended", request.id);
            return Err(Status::failed_precondition(message));
        }
        if !request.rules.is_empty() {
            kept.experiment.rules = request.rules;
        }
        if let Some(duration) = request.duration {
            kept.experiment.duration = Some(duration);
            let duration = Duration::try_from(duration).unwrap_or_default();
            if kept.deadline.is_some() {
                kept.deadline = Some(Instant::now() + duration);
            }
        }
        if let Some(pods) = request.pods {
            let stays = |target: &Target| {
                pods.pods
                    .iter()
                    .any(|pod| target.pod.as_ref().is_some_and(|own| own.uid == pod.uid))
            };
            for target in &mut kept.experiment.targets {
                target.gone |= !stays(target);
            }
            for pod in &pods.pods {
                let known = kept.experiment.targets.iter().any(|target| {
                    !target.gone && target.pod.as_ref().is_some_and(|own| own.uid == pod.uid)
                });
                if !known {
                    let new = target(pod, &kept.experiment.rules);
                    kept.experiment.targets.push(new);
                }
            }
            if let Some(selector) = &mut kept.experiment.selector {
                selector.r#where = Some(Where::Pods(pods));
            }
        }
        Ok(kept.now())
    }

    /// Ends one.
    pub(super) fn disarm(&mut self, id: &str) -> Result<Experiment, Status> {
        let kept = self.find(id)?;
        kept.now();
        kept.end(EndReason::Stopped, "somebody asked for it");
        Ok(kept.experiment.clone())
    }

    /// Ends all that have not ended.
    pub(super) fn disarm_all(&mut self) -> Vec<Experiment> {
        let mut running = self.all();
        running.retain(|experiment| experiment.state() != State::Ended);
        running
            .iter()
            .filter_map(|experiment| self.disarm(&experiment.id).ok())
            .collect()
    }

    /// Ends all because the agent ends.
    pub(super) fn stop_agent(&mut self) {
        for kept in &mut self.all {
            kept.now();
            kept.end(EndReason::AgentStopped, "the agent was told to stop");
        }
    }

    /// Targets of a pod are gone; an experiment without others ends.
    pub(super) fn lose_pod(&mut self, name: &str) {
        for kept in &mut self.all {
            if kept.now().state() == State::Ended {
                continue;
            }
            let mut has_lost = false;
            for target in &mut kept.experiment.targets {
                let is_of = target.pod.as_ref().is_some_and(|pod| pod.name == name);
                has_lost |= is_of && !target.gone;
                target.gone |= is_of;
            }
            let mut targets = kept.experiment.targets.iter();
            if has_lost && targets.all(|target| target.gone) {
                kept.end(EndReason::TargetGone, "its last target is gone");
            }
        }
    }

    /// A stream holds one.
    pub(super) fn hold(&mut self, id: &str) {
        if let Ok(kept) = self.find(id) {
            kept.holds += 1;
        }
    }

    /// A stream does so no longer.
    pub(super) fn release(&mut self, id: &str) {
        if let Ok(kept) = self.find(id) {
            kept.holds = kept.holds.saturating_sub(1);
            kept.unheld = Instant::now();
        }
    }
}

impl Kept {
    /// As it is now: what is over has ended.
    fn now(&mut self) -> Experiment {
        let now = Instant::now();
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(now));
        match self.experiment.state() {
            State::Armed if left.is_some_and(|left| left.is_zero()) => {
                self.end(EndReason::Expired, "its time is over");
            }
            State::Armed if !self.experiment.detached && self.abandoned(now, self.grace) => {
                self.end(EndReason::ClientGone, "its client is gone");
            }
            State::Prepared if self.abandoned(now, ARM_WITHIN) => {
                self.end(EndReason::ClientGone, "it was never armed");
            }
            State::Armed => {
                self.experiment.remaining =
                    left.and_then(|left| prost_types::Duration::try_from(left).ok());
            }
            State::Prepared | State::Ended | State::Unspecified => {}
        }
        self.experiment.clone()
    }

    fn abandoned(&self, now: Instant, grace: Duration) -> bool {
        self.holds == 0 && now.saturating_duration_since(self.unheld) > grace
    }

    fn end(&mut self, reason: EndReason, detail: &str) {
        if self.experiment.state() == State::Ended {
            return;
        }
        self.experiment.state = State::Ended.into();
        self.experiment.end_reason = reason.into();
        detail.clone_into(&mut self.experiment.end_detail);
        self.experiment.remaining = Some(prost_types::Duration::default());
    }
}

fn targets(to: Option<&Where>, rules: &[Rule]) -> Vec<Target> {
    match to {
        Some(Where::Pods(pods)) => pods.pods.iter().map(|pod| target(pod, rules)).collect(),
        Some(
            Where::Service(_) | Where::Netns(_) | Where::Pid(_) | Where::Cgroup(_) | Where::Node(_),
        )
        | None => {
            let name = "node".to_owned();
            vec![Target {
                name,
                ..target(&Pod::default(), rules)
            }]
        }
    }
}

fn target(pod: &Pod, rules: &[Rule]) -> Target {
    Target {
        name: format!("{}/{}", pod.namespace, pod.name),
        netns: "/proc/1/ns/net".to_owned(),
        interface: "eth0".to_owned(),
        ifindex: 2,
        counters: vec![Counters::default(); rules.len()],
        pod: Some(pod.clone()).filter(|pod| !pod.uid.is_empty()),
        ..Target::default()
    }
}
