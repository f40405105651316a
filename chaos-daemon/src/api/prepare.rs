//! Prepare and update: where something new is allowed to happen, or is not.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use chaos_proto::v1;
use tokio::sync::MutexGuard;
use tonic::Status;
use tracing::info;

use super::{Service, answer, ask, gate::Probes, guards::Part, request, status};
use crate::{
    access::{Asker, Caller, How, Verb},
    agent::{AgentError, Core},
    attach::doors,
    audit::Entry,
    engine::{EngineError, Experiment, Pods, Repoint, Rule, Spec, Target, Where},
    netns::Netns,
    policy::{Guard, Policies},
};

fn refused(error: impl Into<AgentError>) -> Status {
    status::of(&error.into())
}

/// For each target, whose requests would be read; nothing is opened for that.
async fn who_listens(spec: &Spec, targets: &[Target]) -> Result<Vec<String>, Status> {
    let doors = spec.rules.iter().flat_map(Rule::doors);
    let ports: BTreeSet<u16> = doors.map(|(port, _)| port).collect();
    let targets = targets.to_vec();
    let look = move |target: &Target| {
        let mut said = Vec::new();
        for &port in &ports {
            let found = doors::listening(target, port).map_err(|error| EngineError::Datapath {
                target: target.name.clone(),
                source: error.into(),
            })?;
            said.extend(found.map(|who| format!("{who} listens on port {port}")));
        }
        Ok::<_, EngineError>(said.join("; "))
    };
    // It looks through the node's processes.
    let all = move || targets.iter().map(look).collect::<Result<Vec<_>, _>>();
    let looked = tokio::task::spawn_blocking(all).await;
    looked
        .map_err(|_| refused(AgentError::Stopping))?
        .map_err(refused)
}

impl Service {
    /// See the trait.
    pub(super) async fn do_prepare(
        &self,
        caller: &Caller,
        request: v1::PrepareRequest,
        entry: &mut Entry,
    ) -> Result<v1::PrepareResponse, Status> {
        entry.id(&request.id);
        let asker = self.gate.identify(caller, entry).await?;
        let dry_run = request.dry_run;
        let id = request::id(&request.id).map_err(refused)?;
        let mut spec = request::spec(request, self.default_grace)
            .map_err(|error| status::of_request(&error))?;
        entry.rules(&spec.rules);
        entry.duration(spec.duration);
        entry.place(&spec.selector);
        if dry_run {
            entry.dry_run();
        }
        // Before many questions are asked about it.
        spec.check().map_err(refused)?;
        self.gate.may(&asker, Verb::Create, &spec.selector).await?;
        let line = self.features.line_for(&spec);
        line.map_err(|error| status::of_datapath(&error))?;
        let probes = if let Where::Pods(pods) = &mut spec.selector.at {
            self.gate.look_up(pods).await?
        } else {
            Probes::new()
        };
        let chosen = id.clone().unwrap_or_default();
        let started_by = self.started_by(&asker);
        let part = Part {
            id: &chosen,
            started_by: started_by.as_deref(),
            pods: spec.selector.at.pods(),
        };
        let turn = self.turn(dry_run).await;
        let guards = self.guards(&part, &spec).await?;
        if !dry_run {
            self.gate.enforce(&guards)?;
        }
        let mut targets = self.agent.find(&spec.selector).await.map_err(refused)?;
        let mut protected = if spec.include_probes {
            Vec::new()
        } else {
            self.gate.spare_probes(&mut targets, &probes)
        };
        protected.extend(self.protect(&targets, dry_run).await?);
        let experiment = if dry_run {
            if let Some(id) = id.clone() {
                let check = move |core: &mut Core| core.check_free(&id, started_by.as_deref());
                ask(&self.agent, check).await?;
            }
            let notes = who_listens(&spec, &targets).await?;
            let mut plan = answer::plan(id, &spec, &targets, &self.here);
            for (target, note) in plan.targets.iter_mut().zip(notes) {
                target.note = note;
            }
            plan
        } else {
            let prepared = self.install(&asker, id, spec, targets, started_by).await?;
            entry.id(&prepared.id);
            self.experiment(&prepared)
        };
        drop(turn);
        Ok(v1::PrepareResponse {
            experiment: Some(experiment),
            guards: guards.into_iter().map(answer::guard).collect(),
            protected,
        })
    }

    /// Their name, where anybody is asked for one.
    fn started_by(&self, asker: &Asker) -> Option<String> {
        let is_asked = !matches!(self.gate.policies, Policies::None)
            || matches!(asker.how, How::Token | How::Certificate);
        is_asked.then(|| asker.name().to_owned())
    }

    async fn install(
        &self,
        asker: &Asker,
        id: Option<String>,
        spec: Spec,
        targets: Vec<Target>,
        started_by: Option<String>,
    ) -> Result<Experiment, Status> {
        let (gate, asker) = (Arc::clone(&self.gate), asker.clone());
        let prepare = move |core: &mut Core| {
            let is_free = |id: &str| core.check_free(id, started_by.as_deref()).is_ok();
            let drawn = || request::new_id(&spec, is_free);
            let id = id.unwrap_or_else(drawn);
            let prepared = core.prepare(&id, spec, targets, started_by)?;
            // On the agent's thread: nobody else starts anything between the two.
            let known = core.ids();
            gate.access.forget_but(|id| known.contains(id));
            gate.access.started(&asker, &prepared.id);
            Ok(prepared)
        };
        let prepared = ask(&self.agent, prepare).await?;
        info!(
            id = prepared.id,
            targets = prepared.hits.len(),
            "experiment prepared"
        );
        Ok(prepared)
    }

    /// See the trait.
    pub(super) async fn do_update(
        &self,
        caller: &Caller,
        request: v1::UpdateRequest,
        entry: &mut Entry,
    ) -> Result<v1::UpdateResponse, Status> {
        entry.id(&request.id);
        let asker = self.gate.identify(caller, entry).await?;
        let (id, mut change, pods) =
            request::update(request).map_err(|error| status::of_request(&error))?;
        let experiment = self.status(&id).await?;
        let now = experiment.to_be(&change, pods.as_ref(), Instant::now());
        entry.rules(&now.rules);
        entry.duration(now.duration);
        entry.place(&now.selector);
        let there = &experiment.spec;
        // Before many questions are asked about it.
        now.check().map_err(refused)?;
        self.gate.may(&asker, Verb::Create, &there.selector).await?;
        self.gate.may(&asker, Verb::Create, &now.selector).await?;
        // No guard may keep a pod in: the API server may be away, and a policy that allows less is no reason to hit more.
        let only_lets_go = change.rules.is_empty()
            && change.time.is_none()
            && pods
                .as_ref()
                .is_some_and(|pods| experiment.only_lets_go(pods));
        let turn = self.turn(only_lets_go).await;
        if !only_lets_go {
            let part = Part {
                id: &id,
                started_by: experiment.started_by.as_deref(),
                pods: pods.as_ref(),
            };
            let guards = self.guards(&part, &now).await?;
            self.gate.enforce(&guards)?;
        }
        if let Some(pods) = pods {
            change.pods = Some(self.find_joining(&experiment, pods).await?);
        }
        self.gate.access.goes_on(&asker, &id);
        let updated = ask(&self.agent, move |core| core.update(&id, &change)).await?;
        drop(turn);
        Ok(v1::UpdateResponse {
            experiment: Some(self.experiment(&updated)),
        })
    }

    /// Between the guards' word and what it was about, nobody else asks them: two of whom each is within a bound may be
    /// beyond it together. Nothing where there are no guards, and for what none of them keeps.
    async fn turn(&self, is_free: bool) -> Option<MutexGuard<'_, ()>> {
        if is_free || matches!(self.gate.policies, Policies::None) {
            return None;
        }
        Some(self.turns.lock().await)
    }

    /// What guards say.
    async fn guards(&self, part: &Part<'_>, spec: &Spec) -> Result<Vec<Guard>, Status> {
        if matches!(self.gate.policies, Policies::None) {
            return Ok(Vec::new());
        }
        let live = self.all(false).await?;
        Ok(self.gate.judge(spec, part, &live).await)
    }

    /// Looks up those of an experiment's pods that are no targets of it yet.
    async fn find_joining(&self, experiment: &Experiment, pods: Pods) -> Result<Repoint, Status> {
        let looks = self.gate.cluster.is_some();
        let Some(mut selector) = experiment.to_find(&pods, looks).map_err(refused)? else {
            let found = Vec::new();
            return Ok(Repoint { pods, found });
        };
        let probes = if let Where::Pods(joining) = &mut selector.at {
            self.gate.look_up(joining).await?
        } else {
            Probes::new()
        };
        let mut found = self.agent.find(&selector).await.map_err(refused)?;
        if !experiment.spec.include_probes {
            self.gate.spare_probes(&mut found, &probes);
        }
        self.protect(&found, false).await?;
        Ok(Repoint { pods, found })
    }

    /// Has the kernel protect what must be; says what that is.
    async fn protect(&self, targets: &[Target], dry_run: bool) -> Result<Vec<String>, Status> {
        // The agent is on the node's network.
        let node = Netns::own().map(|own| own.cookie()).ok();
        let on_node = targets
            .iter()
            .any(|target| Some(target.netns.cookie()) == node);
        let api_servers = match &self.gate.cluster {
            Some(cluster) if on_node => {
                let asked = self.protections.api_servers(cluster).await;
                asked.map_err(|unknown| Status::unavailable(unknown.to_string()))?
            }
            _ => Vec::new(),
        };
        if !dry_run && !api_servers.is_empty() {
            let list = api_servers.clone();
            let protect = move |core: &mut Core| core.protect(&list).map_err(AgentError::from);
            ask(&self.agent, protect).await?;
        }
        Ok(self.protections.sentences(on_node, &api_servers))
    }
}
