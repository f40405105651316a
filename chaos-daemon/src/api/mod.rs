//! The gRPC service: translates, asks the agent, translates back. The only module that knows tonic.

mod answer;
mod caller;
mod disarm;
mod dns;
mod fault;
mod filter;
mod gate;
mod grpc;
mod guards;
mod http;
mod pods;
mod prepare;
mod ramp;
mod request;
mod rewrite;
mod serve;
mod service;
mod status;
mod wire;

use std::{pin::Pin, sync::Arc, time::Duration};

use chaos_proto::v1::{self, agent_service_server::AgentService};
use futures::future::BoxFuture;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Code, Request, Response, Status};
use tracing::info;

pub use gate::Gate;
pub use serve::{ServeError, Server, Tls, remove_stale_socket};

use crate::{
    access::{Caller, Verb},
    agent::{Agent, AgentError, Core},
    attach::features::Features,
    audit::Entry,
    engine::{Experiment, State},
    protected::Protections,
};
use answer::Here;

const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_mins(1);

/// Calls that go on to their end at a time, although nobody may wait for them any more.
const ON_THEIR_OWN: usize = 256;

/// The service of one agent.
#[derive(Clone)]
pub struct Service {
    agent: Agent,
    features: Arc<Features>,
    default_grace: Duration,
    here: Here,
    gate: Arc<Gate>,
    protections: Arc<Protections>,
    room: Arc<Semaphore>,
    turns: Arc<Mutex<()>>,
}

impl Service {
    /// For this agent, which found these features, on the node of this name, behind this gate.
    pub fn new(
        agent: Agent,
        features: Features,
        default_grace: Duration,
        node: String,
        gate: Gate,
        protections: Arc<Protections>,
    ) -> Self {
        let engine = features.line_engine;
        Self {
            agent,
            features: Arc::new(features),
            default_grace,
            here: Here { node, engine },
            gate: Arc::new(gate),
            protections,
            room: Arc::new(Semaphore::new(ON_THEIR_OWN)),
            turns: Arc::default(),
        }
    }

    /// What changes something goes on when its caller leaves: what came of it is written down, and who started it is known.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: BoxFuture<'static, Result<T, Status>>,
    ) -> Result<T, Status> {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            // Too many of these: only while somebody waits.
            return work.await;
        };
        let done = tokio::spawn(async move {
            let _place = place;
            work.await
        });
        done.await
            .unwrap_or_else(|_| Err(status::of(&AgentError::Stopping)))
    }

    fn experiment(&self, experiment: &Experiment) -> v1::Experiment {
        answer::experiment(experiment, &self.here)
    }

    async fn status(&self, id: &str) -> Result<Experiment, Status> {
        let id = id.to_owned();
        ask(&self.agent, move |core| core.status(&id)).await
    }

    async fn all(&self, ended: bool) -> Result<Vec<Experiment>, Status> {
        ask(&self.agent, move |core| Ok(core.list(ended))).await
    }

    async fn do_arm(
        &self,
        caller: &Caller,
        id: String,
        entry: &mut Entry,
    ) -> Result<v1::ArmResponse, Status> {
        entry.id(&id);
        let asker = self.gate.identify(caller, entry).await?;
        let prepared = self.status(&id).await?;
        describe(&prepared, entry);
        let selector = &prepared.spec.selector;
        self.gate.may(&asker, Verb::Create, selector).await?;
        self.gate.access.goes_on(&asker, &id);
        let armed = ask(&self.agent, move |core| core.arm(&id)).await?;
        info!(id = armed.id, duration = ?armed.spec.duration, "experiment armed");
        Ok(v1::ArmResponse {
            experiment: Some(self.experiment(&armed)),
        })
    }

    async fn do_list(
        &self,
        caller: &Caller,
        ended: bool,
        entry: &mut Entry,
    ) -> Result<v1::ListResponse, Status> {
        let asker = self.gate.identify_or_owner(caller, entry).await?;
        let all = self.all(ended).await?;
        let (may, may_not) = self.gate.sort(&asker, Verb::Get, all).await;
        // Left out are those that one may not see; that nobody knows whether one may is another thing.
        let unknown = may_not
            .into_iter()
            .find(|(_, refusal)| refusal.code() == Code::Unavailable);
        if let (true, Some((_, refusal))) = (may.is_empty(), unknown) {
            return Err(refusal);
        }
        let experiments = may.iter().map(|experiment| self.experiment(experiment));
        Ok(v1::ListResponse {
            experiments: experiments.collect(),
        })
    }

    async fn may_watch(
        &self,
        caller: &Caller,
        id: &str,
        hold: bool,
        entry: &mut Entry,
    ) -> Result<(), Status> {
        let asker = self.gate.identify_about(caller, id, entry).await?;
        let there = self.status(id).await?;
        describe(&there, entry);
        // Who holds an experiment lets it run on.
        let verb = if hold { Verb::Create } else { Verb::Get };
        self.gate.may_about(&asker, verb, &there).await?;
        self.gate.access.goes_on(&asker, id);
        Ok(())
    }
}

fn describe(experiment: &Experiment, entry: &mut Entry) {
    entry.rules(&experiment.spec.rules);
    entry.duration(experiment.spec.duration);
    entry.place(&experiment.spec.selector);
}

/// Sends work to the agent; its errors become statuses.
async fn ask<T: Send + 'static>(
    agent: &Agent,
    job: impl FnOnce(&mut Core) -> Result<T, AgentError> + Send + 'static,
) -> Result<T, Status> {
    agent
        .ask(job)
        .await
        .and_then(|answer| answer)
        .map_err(|error| status::of(&error))
}

#[tonic::async_trait]
impl AgentService for Service {
    async fn describe(
        &self,
        request: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        let caller = caller::of(&request);
        let mut entry = self.gate.entry("describe");
        let known = self.gate.identify_or_owner(&caller, &mut entry).await;
        Gate::close(entry, known)?;
        Ok(Response::new(answer::description(
            &self.features,
            &self.here,
        )))
    }

    async fn prepare(
        &self,
        request: Request<v1::PrepareRequest>,
    ) -> Result<Response<v1::PrepareResponse>, Status> {
        let (service, caller) = (self.clone(), caller::of(&request));
        let mut entry = self.gate.entry("prepare");
        self.to_its_end(Box::pin(async move {
            let request = request.into_inner();
            let done = service.do_prepare(&caller, request, &mut entry).await;
            Gate::close(entry, done).map(Response::new)
        }))
        .await
    }

    async fn arm(
        &self,
        request: Request<v1::ArmRequest>,
    ) -> Result<Response<v1::ArmResponse>, Status> {
        let (service, caller) = (self.clone(), caller::of(&request));
        let mut entry = self.gate.entry("arm");
        self.to_its_end(Box::pin(async move {
            let id = request.into_inner().id;
            let done = service.do_arm(&caller, id, &mut entry).await;
            Gate::close(entry, done).map(Response::new)
        }))
        .await
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::UpdateResponse>, Status> {
        let (service, caller) = (self.clone(), caller::of(&request));
        let mut entry = self.gate.entry("update");
        self.to_its_end(Box::pin(async move {
            let request = request.into_inner();
            let done = service.do_update(&caller, request, &mut entry).await;
            Gate::close(entry, done).map(Response::new)
        }))
        .await
    }

    async fn disarm(
        &self,
        request: Request<v1::DisarmRequest>,
    ) -> Result<Response<v1::DisarmResponse>, Status> {
        let (service, caller) = (self.clone(), caller::of(&request));
        let mut entry = self.gate.entry("disarm");
        self.to_its_end(Box::pin(async move {
            let which = request.into_inner().which;
            let done = service.do_disarm(&caller, which, &mut entry).await;
            Gate::close(entry, done).map(Response::new)
        }))
        .await
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let caller = caller::of(&request);
        let mut entry = self.gate.entry("list");
        let ended = request.into_inner().include_ended;
        let done = self.do_list(&caller, ended, &mut entry).await;
        Gate::close(entry, done).map(Response::new)
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller::of(&request);
        let v1::WatchRequest { id, hold, interval } = request.into_inner();
        let interval = match interval.map(Duration::try_from) {
            None => DEFAULT_INTERVAL,
            Some(Ok(interval)) if INTERVALS.contains(&interval) => interval,
            Some(_) => {
                return Err(Status::invalid_argument(
                    "a watch interval is 50 ms to 60 s",
                ));
            }
        };
        let mut entry = self.gate.entry(if hold { "hold" } else { "watch" });
        let known = self.may_watch(&caller, &id, hold, &mut entry).await;
        Gate::close(entry, known)?;
        let guard = hold.then(|| Hold::of(&self.agent, &id));
        let (messages, stream) = mpsc::channel(4);
        let (agent, here) = (self.agent.clone(), self.here.clone());
        tokio::spawn(async move {
            let _guard = guard;
            let mut changes = agent.changes();
            loop {
                changes.mark_unchanged();
                let wanted = id.clone();
                let message = ask(&agent, move |core| core.status(&wanted)).await;
                let over = !matches!(
                    &message,
                    Ok(Experiment {
                        state: State::Prepared | State::Armed,
                        ..
                    })
                );
                let message = message.map(|now| v1::WatchResponse {
                    experiment: Some(answer::experiment(&now, &here)),
                });
                if messages.send(message).await.is_err() || over {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    () = messages.closed() => return,
                    _ = changes.changed() => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// While it lives, an experiment has a client.
struct Hold {
    agent: Agent,
    id: String,
}

impl Hold {
    fn of(agent: &Agent, id: &str) -> Self {
        let held = id.to_owned();
        agent.tell(move |core| core.hold(&held, true));
        Self {
            agent: agent.clone(),
            id: id.to_owned(),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let id = std::mem::take(&mut self.id);
        self.agent.tell(move |core| core.hold(&id, false));
    }
}
