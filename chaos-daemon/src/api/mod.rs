//! The gRPC service: translates, asks the agent, translates back. The only module that knows tonic.

mod answer;
mod dns;
mod fault;
mod filter;
mod pods;
mod ramp;
mod request;
mod rewrite;
mod serve;
mod status;
mod wire;

use std::{pin::Pin, time::Duration};

use chaos_proto::v1::{self, agent_service_server::AgentService};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use tracing::info;

pub use serve::{ServeError, Server, remove_stale_socket};

use crate::{
    agent::{Agent, AgentError, Core},
    attach::features::Features,
    engine::{Ending, Experiment, Pods, Repoint, State},
};
use answer::Here;

const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_mins(1);

/// The service of one agent.
pub struct Service {
    agent: Agent,
    features: Features,
    default_grace: Duration,
    here: Here,
}

impl Service {
    /// For this agent, which found these features, on the node of this name.
    pub const fn new(
        agent: Agent,
        features: Features,
        default_grace: Duration,
        node: String,
    ) -> Self {
        let engine = features.line_engine;
        Self {
            agent,
            features,
            default_grace,
            here: Here { node, engine },
        }
    }

    fn experiment(&self, experiment: &Experiment) -> v1::Experiment {
        answer::experiment(experiment, &self.here)
    }
}

impl Service {
    /// Looks up those of an experiment's pods that are no targets of it yet.
    async fn find_joining(&self, id: &str, pods: Pods) -> Result<Repoint, Status> {
        let refused = |error: AgentError| status::of(&error);
        pods.check().map_err(|error| refused(error.into()))?;
        let id = id.to_owned();
        let experiment = ask(&self.agent, move |core| core.status(&id)).await?;
        let selector = experiment.to_find(&pods);
        let found = match selector.map_err(|error| refused(error.into()))? {
            Some(selector) => self.agent.find(&selector).await.map_err(refused)?,
            None => Vec::new(),
        };
        Ok(Repoint { pods, found })
    }
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
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Ok(Response::new(answer::description(
            &self.features,
            &self.here,
        )))
    }

    async fn prepare(
        &self,
        request: Request<v1::PrepareRequest>,
    ) -> Result<Response<v1::PrepareResponse>, Status> {
        let request = request.into_inner();
        let dry_run = request.dry_run;
        let id = request::id(&request.id).map_err(|error| status::of(&error.into()))?;
        let started_by = None;
        let spec = request::spec(request, self.default_grace)
            .map_err(|error| status::of_request(&error))?;
        spec.check().map_err(|error| status::of(&error.into()))?;
        let line = self.features.line_for(&spec);
        line.map_err(|error| status::of_datapath(&error))?;
        let targets = self.agent.find(&spec.selector).await;
        let targets = targets.map_err(|error| status::of(&error))?;
        let experiment = if dry_run {
            if let Some(id) = id.clone() {
                ask(&self.agent, move |core| core.check_free(&id)).await?;
            }
            answer::plan(id, &spec, &targets, &self.here)
        } else {
            let prepare = move |core: &mut Core| {
                let drawn = || request::new_id(&spec, |id| core.check_free(id).is_ok());
                let id = id.unwrap_or_else(drawn);
                core.prepare(&id, spec, targets, started_by)
            };
            let prepared = ask(&self.agent, prepare).await?;
            info!(
                id = prepared.id,
                targets = prepared.hits.len(),
                "experiment prepared"
            );
            self.experiment(&prepared)
        };
        Ok(Response::new(v1::PrepareResponse {
            experiment: Some(experiment),
            ..v1::PrepareResponse::default()
        }))
    }

    async fn arm(
        &self,
        request: Request<v1::ArmRequest>,
    ) -> Result<Response<v1::ArmResponse>, Status> {
        let id = request.into_inner().id;
        let armed = ask(&self.agent, move |core| core.arm(&id)).await?;
        info!(id = armed.id, duration = ?armed.spec.duration, "experiment armed");
        Ok(Response::new(v1::ArmResponse {
            experiment: Some(self.experiment(&armed)),
        }))
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::UpdateResponse>, Status> {
        let (id, mut change, pods) =
            request::update(request.into_inner()).map_err(|error| status::of_request(&error))?;
        if let Some(pods) = pods {
            change.pods = Some(self.find_joining(&id, pods).await?);
        }
        let updated = ask(&self.agent, move |core| core.update(&id, &change)).await?;
        Ok(Response::new(v1::UpdateResponse {
            experiment: Some(self.experiment(&updated)),
        }))
    }

    async fn disarm(
        &self,
        request: Request<v1::DisarmRequest>,
    ) -> Result<Response<v1::DisarmResponse>, Status> {
        let experiments = match request.into_inner().which {
            Some(v1::disarm_request::Which::Id(id)) => {
                vec![ask(&self.agent, move |core| core.stop(&id)).await?]
            }
            Some(v1::disarm_request::Which::All(true)) => {
                ask(&self.agent, |core| Ok(core.stop_all(&Ending::stopped()))).await?
            }
            Some(v1::disarm_request::Which::All(false)) | None => {
                return Err(Status::invalid_argument(
                    "say which experiment to end: an id, or all",
                ));
            }
        };
        let experiments = experiments
            .iter()
            .map(|experiment| self.experiment(experiment))
            .collect();
        Ok(Response::new(v1::DisarmResponse { experiments }))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let ended = request.into_inner().include_ended;
        let all = ask(&self.agent, move |core| Ok(core.list(ended))).await?;
        let experiments = all
            .iter()
            .map(|experiment| self.experiment(experiment))
            .collect();
        Ok(Response::new(v1::ListResponse { experiments }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
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
        let wanted = id.clone();
        ask(&self.agent, move |core| core.status(&wanted)).await?;
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
