//! Begins a part while others run: on a node that gets its first pods, or its next agent.

use std::time::Duration;

use chaos_proto::v1::{Experiment, PrepareRequest, UpdateRequest};
use tonic::Code;

use super::again::Again;
use super::{Keeper, What};
use crate::arguments::to_wire;
use crate::client::{Agent, ClientError};
use crate::experiment::start::{Armed, Prepared};
use crate::experiment::stop;
use crate::quantity::{from_wire, time_in_words};

/// Less is over before it has begun.
const WORTHWHILE: Duration = Duration::from_millis(100);
/// No part ends later than all by more than the calls take that a quick agent answers.
const LATE: Duration = Duration::from_millis(200);
/// Ids of an earlier agent's parts are few, and an agent that calls all ids taken is not flooded.
const NEXT_ID_AFTER: Duration = Duration::from_millis(20);

impl Keeper {
    /// Begins with the time that is left. Nothing when it is over before that succeeds, or nothing is wanted any more
    /// and nothing was there before.
    pub(super) async fn begin(&mut self, again: bool) -> Option<Armed> {
        let mut refusals = Again::new();
        loop {
            let left = self.run.left();
            if self.run.is_stopped() || left < WORTHWHILE {
                return None;
            }
            self.wanted.mark_unchanged();
            let Some(wanted) = self.wanted() else {
                self.tell(What::Idle);
                if !self.has_changed().await {
                    return None;
                }
                refusals = Again::new();
                continue;
            };
            match self.try_to_begin(&wanted, left).await {
                Ok(armed) => {
                    let left = time_in_words(crate::output::progress::to_tenths(self.run.left()));
                    if again {
                        self.note(&format!("armed again for the {left} that are left"));
                    } else {
                        self.note(&format!("armed for the {left} that are left"));
                    }
                    self.tell(What::Trouble(None));
                    return Some(armed);
                }
                Err(error) if is_taken(&error) => tokio::time::sleep(NEXT_ID_AFTER).await,
                // It is over, and that is no refusal.
                Err(ClientError::Interrupted) => {}
                Err(error) => {
                    let (pause, told) = refusals.refused(&error);
                    if told.is_some() {
                        self.tell(What::Trouble(told));
                    }
                    // Something else may be granted at once.
                    if tokio::time::timeout(pause, self.has_changed()).await == Ok(true) {
                        refusals = Again::new();
                    }
                }
            }
        }
    }

    async fn try_to_begin(
        &self,
        wanted: &PrepareRequest,
        left: Duration,
    ) -> Result<Armed, ClientError> {
        let node = &self.slot.node;
        let agent = self.run.reach.again(node).await?;
        let request = PrepareRequest {
            id: self.run.next_id(node),
            duration: to_wire(left),
            ..wanted.clone()
        };
        let prepared = agent.prepare(request.clone()).await;
        if let Err(error) = &prepared
            && !is_taken(error)
        {
            self.run.give_back_id(node);
        }
        let (experiment, answer) = prepared?;
        let mut prepared = Prepared {
            slot: self.slot.clone(),
            agent,
            request,
            experiment,
            answer,
        };
        // Whatever a slow agent is still doing by then is ended.
        let armed = tokio::select! {
            armed = self.arm(&mut prepared) => armed,
            () = self.run.over() => Err(ClientError::Interrupted),
        };
        match armed {
            Ok(armed) => Ok(armed(prepared)),
            Err(error) => {
                stop::joined(&self.run, node, prepared.id(), &prepared.agent).await;
                Err(error)
            }
        }
    }

    /// Arms with what is left by now: no part outlives the deadline of all.
    async fn arm(
        &self,
        prepared: &mut Prepared,
    ) -> Result<impl FnOnce(Prepared) -> Armed + use<>, ClientError> {
        let agent: Agent = prepared.agent.clone();
        let id = prepared.id().to_owned();
        let news = agent.watch(&id, true, Some(self.interval)).await?;
        self.give_what_is_left(&agent, &id).await?;
        self.run.may_act(&self.slot.node, &id, &agent);
        prepared.experiment = agent.arm(&id).await?;
        // The calls may have taken their time.
        while from_wire(prepared.experiment.remaining.as_ref()) > self.run.left() + LATE {
            prepared.experiment = self.give_what_is_left(&agent, &id).await?;
        }
        if self.run.is_stopped() {
            return Err(ClientError::Interrupted);
        }
        Ok(|prepared| Armed {
            prepared,
            news: Box::pin(news),
        })
    }

    async fn give_what_is_left(&self, agent: &Agent, id: &str) -> Result<Experiment, ClientError> {
        let left = self.run.left();
        if left < WORTHWHILE || self.run.is_stopped() {
            return Err(ClientError::Interrupted);
        }
        let update = UpdateRequest {
            id: id.to_owned(),
            duration: to_wire(left),
            ..UpdateRequest::default()
        };
        agent.update(update).await
    }
}

/// Whether the agent has had an experiment of that id.
fn is_taken(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status } if status.code() == Code::AlreadyExists)
}
