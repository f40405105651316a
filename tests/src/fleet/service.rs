//! The interface of a simulated agent.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use chaos_proto::v1::{
    ArmRequest, ArmResponse, AttachMode, DescribeRequest, DescribeResponse, DisarmRequest,
    DisarmResponse, LineEngine, ListRequest, ListResponse, PrepareRequest, PrepareResponse, State,
    UpdateRequest, UpdateResponse, WatchRequest, WatchResponse, agent_service_server::AgentService,
    disarm_request::Which,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Call, Inner, Mood};

/// Between two messages of a watch that does not say.
const INTERVAL: Duration = Duration::from_millis(500);

/// The service of one agent.
#[derive(Debug)]
pub(super) struct Service {
    inner: Arc<Inner>,
}

impl Service {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Writes a call down, and does what the agent's mood says.
    async fn asked<T: std::fmt::Debug>(
        &self,
        method: &'static str,
        id: &str,
        request: &Request<T>,
    ) -> Result<(), Status> {
        let token = request.metadata().get("authorization");
        let token = token
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let message = format!("{:?}", request.get_ref());
        let mood = {
            let mut state = self.inner.state();
            state.calls.push(Call {
                at: Instant::now(),
                method,
                id: id.to_owned(),
                message: message.clone(),
                token: token.map(str::to_owned),
            });
            state.mood.clone()
        };
        let meant = |which: Option<&str>| which.is_none_or(|which| which == method);
        match mood {
            Mood::Refuses(which, status) if meant(which) => Err(status),
            Mood::Hangs(which) if meant(which) => pending().await,
            Mood::RefusesAbout(text, status) if message.contains(&text) => Err(status),
            Mood::Slow(which, by) if which == method => {
                tokio::time::sleep(by).await;
                Ok(())
            }
            Mood::Good
            | Mood::Slow(..)
            | Mood::Refuses(..)
            | Mood::RefusesAbout(..)
            | Mood::Hangs(_)
            | Mood::Swallows(_) => Ok(()),
        }
    }

    /// Never returns where the agent's mood is to keep its answers of this method.
    async fn answered(&self, method: &str) {
        let is_swallowed =
            matches!(self.inner.state().mood, Mood::Swallows(which) if which == method);
        if is_swallowed {
            pending::<()>().await;
        }
    }
}

/// Lets go of an experiment when the stream that held it is gone.
struct Hold {
    inner: Arc<Inner>,
    id: String,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.inner.state().experiments.release(&self.id);
    }
}

#[tonic::async_trait]
impl AgentService for Service {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        self.asked("describe", "", &request).await?;
        Ok(Response::new(DescribeResponse {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel_release: "6.12.0-simulated".to_owned(),
            node_name: self.inner.node.clone(),
            attach_mode: AttachMode::Tcx.into(),
            line_engine: LineEngine::Fq.into(),
            features: Vec::new(),
        }))
    }

    async fn prepare(
        &self,
        request: Request<PrepareRequest>,
    ) -> Result<Response<PrepareResponse>, Status> {
        self.asked("prepare", &request.get_ref().id, &request)
            .await?;
        let experiment = self
            .inner
            .state()
            .experiments
            .prepare(&self.inner.node, request.into_inner())?;
        Ok(Response::new(PrepareResponse {
            experiment: Some(experiment),
            ..PrepareResponse::default()
        }))
    }

    async fn arm(&self, request: Request<ArmRequest>) -> Result<Response<ArmResponse>, Status> {
        self.asked("arm", &request.get_ref().id, &request).await?;
        let experiment = self.inner.state().experiments.arm(&request.get_ref().id)?;
        self.inner.notify();
        self.answered("arm").await;
        let experiment = Some(experiment);
        Ok(Response::new(ArmResponse { experiment }))
    }

    async fn disarm(
        &self,
        request: Request<DisarmRequest>,
    ) -> Result<Response<DisarmResponse>, Status> {
        let id = match &request.get_ref().which {
            Some(Which::Id(id)) => id.clone(),
            Some(Which::All(_)) | None => String::new(),
        };
        self.asked("disarm", &id, &request).await?;
        let experiments = match request.into_inner().which {
            Some(Which::Id(id)) => vec![self.inner.state().experiments.disarm(&id)?],
            Some(Which::All(true)) => self.inner.state().experiments.disarm_all(),
            Some(Which::All(false)) | None => {
                return Err(Status::invalid_argument("which experiments is missing"));
            }
        };
        self.inner.notify();
        Ok(Response::new(DisarmResponse { experiments }))
    }

    async fn update(
        &self,
        request: Request<UpdateRequest>,
    ) -> Result<Response<UpdateResponse>, Status> {
        self.asked("update", &request.get_ref().id, &request)
            .await?;
        let experiment = self
            .inner
            .state()
            .experiments
            .update(request.into_inner())?;
        self.inner.notify();
        let experiment = Some(experiment);
        Ok(Response::new(UpdateResponse { experiment }))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        self.asked("list", "", &request).await?;
        let mut experiments = self.inner.state().experiments.all();
        experiments.reverse();
        if !request.get_ref().include_ended {
            experiments.retain(|experiment| experiment.state() != State::Ended);
        }
        Ok(Response::new(ListResponse { experiments }))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.asked("watch", &request.get_ref().id, &request).await?;
        let WatchRequest { id, hold, interval } = request.into_inner();
        self.inner.state().experiments.one(&id)?;
        let held = hold.then(|| {
            self.inner.state().experiments.hold(&id);
            Hold {
                inner: Arc::clone(&self.inner),
                id: id.clone(),
            }
        });
        let interval = interval
            .and_then(|interval| Duration::try_from(interval).ok())
            .unwrap_or(INTERVAL);
        let inner = Arc::clone(&self.inner);
        let (messages, stream) = mpsc::channel(4);
        tokio::spawn(async move {
            let _held = held;
            let mut changed = inner.changed.subscribe();
            loop {
                let now = inner.state().experiments.one(&id);
                let last = now.as_ref().map_or(true, |now| now.state() == State::Ended);
                let message = now.map(|now| WatchResponse {
                    experiment: Some(now),
                });
                if messages.send(message).await.is_err() || last {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    _ = changed.changed() => {}
                    () = messages.closed() => return,
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
