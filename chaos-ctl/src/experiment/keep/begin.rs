//! Begins a part while others run: on a node that gets its first pods, or its next agent.

use std::time::Duration;

use chaos_proto::v1::{PrepareRequest, UpdateRequest};
use tokio::time::Instant;
use tonic::Code;

use super::{Keeper, TRY_AGAIN_AFTER, TRY_FOR, What, may_pass};
use crate::arguments::to_wire;
use crate::client::{Agent, ClientError};
use crate::experiment::start::{Armed, Prepared};
use crate::quantity::time_in_words;

/// Less is over before it has begun.
const WORTHWHILE: Duration = Duration::from_millis(100);

impl Keeper {
    /// Begins with the time that is left. Nothing when it is over before that succeeds, or nothing is wanted any more and
    /// nothing was there before.
    pub(super) async fn begin(&mut self, again: bool) -> Option<Armed> {
        let mut since = Instant::now();
        let mut told = None;
        loop {
            let left = self.run.left();
            if self.run.is_stopped() || left < WORTHWHILE {
                return None;
            }
            let wanted = self.wanted.borrow_and_update().clone();
            let Some(wanted) = wanted else {
                self.tell(What::Idle);
                if !self.has_changed().await {
                    return None;
                }
                since = Instant::now();
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
                Err(error) if is_taken(&error) => {}
                Err(error) => {
                    let is_final = !may_pass(&error);
                    if (is_final || since.elapsed() > TRY_FOR)
                        && told.as_ref() != Some(&error.to_string())
                    {
                        told = Some(error.to_string());
                        self.tell(What::Trouble(told.clone()));
                    }
                    if is_final {
                        // The same would be refused again; something else may not be.
                        if !self.has_changed().await {
                            return None;
                        }
                        continue;
                    }
                    let _ = tokio::time::timeout(TRY_AGAIN_AFTER, self.run.over()).await;
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
        let (experiment, _) = prepared?;
        let mut prepared = Prepared {
            slot: self.slot.clone(),
            agent,
            request,
            experiment,
        };
        match self.arm(&mut prepared).await {
            Ok(armed) => Ok(armed(prepared)),
            Err(error) => {
                let _ = prepared.agent.disarm(prepared.id()).await;
                self.run.ended(node, prepared.id());
                Err(error)
            }
        }
    }

    /// Arms with what is left by now, and with what the call itself will take: no part outlives the deadline of all.
    async fn arm(
        &self,
        prepared: &mut Prepared,
    ) -> Result<impl FnOnce(Prepared) -> Armed + use<>, ClientError> {
        let agent: Agent = prepared.agent.clone();
        let id = prepared.id().to_owned();
        let asked = Instant::now();
        let news = agent.watch(&id, true, Some(self.interval)).await?;
        let left = self.run.left().saturating_sub(asked.elapsed());
        if left < WORTHWHILE || self.run.is_stopped() {
            return Err(ClientError::Interrupted);
        }
        let update = UpdateRequest {
            id: id.clone(),
            duration: to_wire(left),
            ..UpdateRequest::default()
        };
        agent.update(update).await?;
        self.run.may_act(&self.slot.node, &id, &agent);
        prepared.experiment = agent.arm(&id).await?;
        Ok(|prepared| Armed {
            prepared,
            news: Box::pin(news),
        })
    }
}

/// Whether the agent has had an experiment of that id.
fn is_taken(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status } if status.code() == Code::AlreadyExists)
}
