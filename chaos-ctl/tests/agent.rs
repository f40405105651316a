//! A scripted agent: a real gRPC server on a Unix socket that answers as it is told and remembers what it was asked.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use chaos_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use chaos_proto::v1::disarm_request::Which;
use chaos_proto::v1::{
    ArmRequest, ArmResponse, DescribeRequest, DescribeResponse, DisarmRequest, DisarmResponse,
    EndReason, Experiment, LineEngine, ListRequest, ListResponse, PrepareRequest, PrepareResponse,
    State, UpdateRequest, UpdateResponse, WatchRequest, WatchResponse,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status};

use crate::script::{Answer, Script, Then};

/// No condition of a test takes nearly this long; past it, the test has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A call that the agent was asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Describe,
    Prepare(Box<PrepareRequest>),
    Arm(String),
    Disarm(Which),
    List(bool),
    Update(Box<UpdateRequest>),
    Watch { id: String, hold: bool },
}

#[derive(Default)]
struct Memory {
    calls: Mutex<Vec<Call>>,
    called: Condvar,
    experiment: Mutex<Option<Experiment>>,
    changed: Notify,
    may_prepare: Notify,
}

/// A running agent; it dies when dropped.
pub(crate) struct Agent {
    runtime: Option<Runtime>,
    memory: Arc<Memory>,
    directory: TempDir,
}

impl Agent {
    /// Starts serving.
    pub(crate) fn start(script: Script) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let memory = Arc::new(Memory::default());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = {
            let _guard = runtime.enter();
            UnixListener::bind(directory.path().join("chaos.sock")).unwrap()
        };
        let service = AgentServiceServer::new(Service {
            script,
            memory: memory.clone(),
        });
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        Self {
            runtime: Some(runtime),
            memory,
            directory,
        }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("chaos.sock")
    }

    /// A directory that lives as long as the agent.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Dies as by `kill -9`: every connection breaks.
    pub(crate) fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Everything it was asked so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.memory.calls.lock().unwrap().clone()
    }

    /// Lets a prepare that is held answer.
    pub(crate) fn let_prepare(&self) {
        self.memory.may_prepare.notify_one();
    }

    /// Waits until it was asked for something that fits.
    pub(crate) fn wait_for(&self, fits: impl Fn(&Call) -> bool) {
        let started = Instant::now();
        let mut calls = self.memory.calls.lock().unwrap();
        while !calls.iter().any(&fits) {
            let left = DEADLINE.saturating_sub(started.elapsed());
            assert!(!left.is_zero(), "not asked in time, only {calls:?}");
            calls = self.memory.called.wait_timeout(calls, left).unwrap().0;
        }
    }

    /// What it was asked to prepare, when that was one thing.
    pub(crate) fn prepared(&self) -> PrepareRequest {
        let mut requests: Vec<_> = self
            .calls()
            .into_iter()
            .filter_map(|call| match call {
                Call::Prepare(request) => Some(*request),
                Call::Describe
                | Call::Arm(_)
                | Call::Disarm(_)
                | Call::List(_)
                | Call::Update(_)
                | Call::Watch { .. } => None,
            })
            .collect();
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.die();
    }
}

struct Service {
    script: Script,
    memory: Arc<Memory>,
}

impl Service {
    fn asked(&self, call: Call) {
        self.memory.calls.lock().unwrap().push(call);
        self.memory.called.notify_all();
    }

    fn known(&self, id: &str) -> Option<Experiment> {
        let current = self.memory.experiment.lock().unwrap().clone();
        current
            .into_iter()
            .chain(self.script.experiments.clone())
            .find(|experiment| experiment.id == id)
    }

    /// Changes the experiment, with its counters as the script has them once it acts.
    fn change(&self, change: impl FnOnce(&mut Experiment)) -> Experiment {
        let mut current = self.memory.experiment.lock().unwrap();
        let experiment = current.as_mut().unwrap();
        change(experiment);
        for target in &mut experiment.targets {
            target.counters = vec![self.script.hits; experiment.rules.len()];
        }
        let changed = experiment.clone();
        self.memory.changed.notify_waiters();
        changed
    }
}

fn ended(experiment: &mut Experiment, reason: EndReason, detail: &str) {
    experiment.state = State::Ended.into();
    experiment.end_reason = reason.into();
    detail.clone_into(&mut experiment.end_detail);
    experiment.remaining = Some(prost_types::Duration::default());
}

fn unknown(id: &str) -> Status {
    Status::not_found(format!(
        "there is no experiment {id} on this node: `chaosctl list --all` shows all"
    ))
}

#[tonic::async_trait]
impl AgentService for Service {
    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        self.asked(Call::Describe);
        Ok(Response::new(self.script.describe.clone()))
    }

    async fn prepare(
        &self,
        request: Request<PrepareRequest>,
    ) -> Result<Response<PrepareResponse>, Status> {
        let request = request.into_inner();
        self.asked(Call::Prepare(Box::new(request.clone())));
        match self.script.prepare {
            Answer::AtOnce => {}
            Answer::WhenTold => self.memory.may_prepare.notified().await,
            Answer::Never => std::future::pending().await,
        }
        if let Some(status) = &self.script.refuse_prepare {
            return Err(status.clone());
        }
        let experiment = Experiment {
            id: if request.dry_run { "" } else { "delay-3f9a1c" }.to_owned(),
            state: State::Prepared.into(),
            selector: request.selector,
            rules: request.rules,
            duration: request.duration,
            remaining: request.duration,
            detached: request.detached,
            seed: request.seed.unwrap_or(u64::MAX),
            targets: self.script.targets.clone(),
            line_engine: LineEngine::Tap.into(),
            ..Experiment::default()
        };
        *self.memory.experiment.lock().unwrap() = Some(experiment.clone());
        Ok(Response::new(PrepareResponse {
            experiment: Some(experiment),
            ..self.script.says.clone()
        }))
    }

    async fn arm(&self, request: Request<ArmRequest>) -> Result<Response<ArmResponse>, Status> {
        self.asked(Call::Arm(request.into_inner().id));
        if self.script.hang_arm {
            std::future::pending::<()>().await;
        }
        if let Some(status) = &self.script.refuse_arm {
            return Err(status.clone());
        }
        let experiment = self.change(|experiment| experiment.state = State::Armed.into());
        Ok(Response::new(ArmResponse {
            experiment: Some(experiment),
        }))
    }

    async fn disarm(
        &self,
        request: Request<DisarmRequest>,
    ) -> Result<Response<DisarmResponse>, Status> {
        let which = request.into_inner().which.unwrap();
        self.asked(Call::Disarm(which.clone()));
        if self.script.hang_disarm {
            std::future::pending::<()>().await;
        }
        let stopped = |mut experiment: Experiment| {
            ended(&mut experiment, EndReason::Stopped, "");
            experiment
        };
        let experiments = match which {
            Which::All(all) => {
                assert!(all);
                self.script
                    .experiments
                    .iter()
                    .cloned()
                    .map(stopped)
                    .collect()
            }
            Which::Id(id) => {
                let experiment = self.known(&id).ok_or_else(|| unknown(&id))?;
                let current = self.memory.experiment.lock().unwrap().is_some();
                if current {
                    self.change(|experiment| ended(experiment, EndReason::Stopped, ""));
                }
                vec![stopped(self.known(&id).unwrap_or(experiment))]
            }
        };
        Ok(Response::new(DisarmResponse { experiments }))
    }

    async fn update(
        &self,
        request: Request<UpdateRequest>,
    ) -> Result<Response<UpdateResponse>, Status> {
        let request = request.into_inner();
        self.asked(Call::Update(Box::new(request.clone())));
        let mut experiment = self
            .known(&request.id)
            .ok_or_else(|| unknown(&request.id))?;
        if !request.rules.is_empty() {
            experiment.rules = request.rules;
        }
        experiment.remaining = request.duration.or(experiment.remaining);
        Ok(Response::new(UpdateResponse {
            experiment: Some(experiment),
        }))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        self.asked(Call::List(request.into_inner().include_ended));
        if let Some(status) = &self.script.refuse_list {
            return Err(status.clone());
        }
        let mut experiments = self.script.experiments.clone();
        experiments.retain(|experiment| !self.script.unlisted.contains(&experiment.id));
        Ok(Response::new(ListResponse { experiments }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let WatchRequest { id, hold, .. } = request.into_inner();
        self.asked(Call::Watch {
            id: id.clone(),
            hold,
        });
        let now = self.known(&id).ok_or_else(|| unknown(&id))?;
        let (sender, receiver) = mpsc::channel(8);
        let memory = self.memory.clone();
        tokio::spawn(tell(now, memory, self.script.clone(), sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// One watcher's stream: the experiment now, when it is armed, and when it has ended.
async fn tell(
    now: Experiment,
    memory: Arc<Memory>,
    script: Script,
    sender: mpsc::Sender<Result<WatchResponse, Status>>,
) {
    let news = |experiment| {
        Ok(WatchResponse {
            experiment: Some(experiment),
        })
    };
    let mut state = now.state();
    let _ = sender.send(news(now)).await;
    while state != State::Ended {
        let changed = memory.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let current = memory.experiment.lock().unwrap().clone();
        match current {
            Some(current) if current.state() != state => {
                state = current.state();
                let _ = sender.send(news(current.clone())).await;
                for seconds in script.ticks.iter().filter(|_| state == State::Armed) {
                    let mut tick = current.clone();
                    tick.remaining = Some(prost_types::Duration {
                        seconds: *seconds,
                        nanos: 0,
                    });
                    let _ = sender.send(news(tick)).await;
                }
                match (&script.then, state) {
                    (Then::End(reason, detail), State::Armed) => {
                        let mut last = current;
                        ended(&mut last, *reason, detail);
                        last.targets[0].gone = *reason == EndReason::TargetGone;
                        let _ = sender.send(news(last)).await;
                        return;
                    }
                    (Then::Fail(status), State::Armed) => {
                        let _ = sender.send(Err(status.clone())).await;
                        return;
                    }
                    _ => {}
                }
            }
            _ => changed.await,
        }
    }
}
