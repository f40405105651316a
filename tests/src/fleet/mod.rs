//! Simulated agents: the agent's interface without a node behind it. Each has a port on loopback, keeps experiments as a
//! real one does (their states, deadlines and holds, and nothing else), writes down what it was asked, and refuses, hangs
//! or dies when a test says so.

mod experiments;
mod large;
mod service;

pub use large::{Large, Times};

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use chaos_proto::v1::{Experiment, agent_service_server::AgentServiceServer};
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tonic::{Code, Status, service::Routes};

use self::{experiments::Experiments, service::Service};
use crate::apiserver::{ApiServer, scene::NewPod};

/// Namespace of the agents' pods.
pub const NAMESPACE: &str = "chaos-system";
/// Port of an agent on its node.
pub const PORT: u16 = 7411;

/// One call, as an agent got it.
#[derive(Debug, Clone)]
pub struct Call {
    /// When.
    pub at: Instant,
    /// "prepare", "arm", …
    pub method: &'static str,
    /// The id that it is about; empty where there is none.
    pub id: String,
    /// The message, for a person.
    pub message: String,
    /// The token in its metadata.
    pub token: Option<String>,
}

/// What an agent does instead of what it is asked.
#[derive(Debug, Clone, Default)]
enum Mood {
    /// What it is asked.
    #[default]
    Good,
    /// Says no to this method; to all if there is none.
    Refuses(Option<&'static str>, Status),
    /// Says no to calls that have this text in them.
    RefusesAbout(String, Status),
    /// Never answers this method; none of them if there is none.
    Hangs(Option<&'static str>),
    /// Does what this method asks, and never answers.
    Swallows(&'static str),
    /// Takes so long before it does what this method asks.
    Slow(&'static str, Duration),
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    mood: Mood,
    experiments: Experiments,
}

/// Shared by an agent's handle and its service.
#[derive(Debug)]
struct Inner {
    node: String,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all streams that something changed.
    fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// One agent.
#[derive(Debug)]
pub struct Agent {
    inner: Arc<Inner>,
    address: SocketAddr,
    handle: Handle,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Agent {
    fn start(node: &str, handle: &Handle) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let agent = Self {
            inner: Arc::new(Inner {
                node: node.to_owned(),
                state: Mutex::default(),
                changed: watch::Sender::new(0),
            }),
            address: listener.local_addr()?,
            handle: handle.clone(),
            task: Mutex::new(None),
        };
        agent.serve(listener)?;
        Ok(agent)
    }

    fn serve(&self, listener: std::net::TcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        let _inside = self.handle.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let service = AgentServiceServer::new(Service::new(Arc::clone(&self.inner)));
        let task = self.handle.spawn(accept(listener, service));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(())
    }

    /// Name of its node.
    pub fn node(&self) -> &str {
        &self.inner.node
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked until now.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.state().calls.clone()
    }

    /// Calls of one method.
    pub fn calls_of(&self, method: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.method == method);
        calls
    }

    /// Its experiments as they are now, oldest first.
    pub fn experiments(&self) -> Vec<Experiment> {
        self.inner.state().experiments.all()
    }

    /// Says no to a method (none: to all) with this code and these words.
    pub fn refuse(&self, method: Option<&'static str>, code: Code, message: &str) {
        self.inner.state().mood = Mood::Refuses(method, Status::new(code, message));
    }

    /// Says no to calls that have this text in them.
    pub fn refuse_about(&self, text: &str, code: Code, message: &str) {
        let status = Status::new(code, message);
        self.inner.state().mood = Mood::RefusesAbout(text.to_owned(), status);
    }

    /// Takes calls of a method (none: all), and never answers.
    pub fn hang(&self, method: Option<&'static str>) {
        self.inner.state().mood = Mood::Hangs(method);
    }

    /// Takes so long before it does what calls of a method ask.
    pub fn slow_down(&self, method: &'static str, by: Duration) {
        self.inner.state().mood = Mood::Slow(method, by);
    }

    /// Does what calls of a method ask, and never answers them.
    pub fn swallow(&self, method: &'static str) {
        self.inner.state().mood = Mood::Swallows(method);
    }

    /// The network or the container of a pod is another one: its targets are gone, and it can be hit anew.
    pub fn lose_pod(&self, name: &str) {
        self.inner.state().experiments.lose_pod(name);
        self.inner.notify();
    }

    /// Does again what it is asked.
    pub fn behave(&self) {
        self.inner.state().mood = Mood::Good;
    }

    /// Dies: its port is closed, and its experiments are over. As with a real one, nobody is told.
    pub fn die(&self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.abort();
            while !task.is_finished() {
                std::thread::yield_now();
            }
        }
        self.inner.state().experiments = Experiments::default();
        self.inner.notify();
    }

    /// Starts again at the same port, without a memory.
    pub fn come_back(&self) -> Result<()> {
        let listener = std::net::TcpListener::bind(self.address);
        self.serve(listener.context("listen at the agent's port again")?)
    }

    /// Ends as a real one does that is told to stop: its experiments end first.
    pub fn stop(&self) {
        self.inner.state().experiments.stop_agent();
        self.inner.notify();
    }
}

/// Serves until it is dropped; connections end with it, as those of a process that dies.
async fn accept(listener: tokio::net::TcpListener, service: AgentServiceServer<Service>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(Routes::new(service.clone()));
        connections.spawn(async move {
            let _gone = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Many agents, one a node.
#[derive(Debug)]
pub struct Fleet {
    agents: Vec<Agent>,
    /// None only while it is dropped, which may be inside of another runtime.
    runtime: Option<Runtime>,
}

impl Fleet {
    /// Starts an agent for each of these nodes, and adds its pod to the cluster, with a way to it.
    pub fn start(server: &ApiServer, nodes: &[String]) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("agents")
            .enable_all()
            .build()
            .context("start simulated agents")?;
        if server.object("Namespace", "", NAMESPACE).is_none() {
            server.add_namespace(NAMESPACE);
        }
        let mut agents = Vec::new();
        for node in nodes {
            let agent = Agent::start(node, runtime.handle())?;
            add_agent_pod(server, node);
            server.forward_port(NAMESPACE, &pod_name(node), PORT, agent.address);
            agents.push(agent);
        }
        Ok(Self {
            agents,
            runtime: Some(runtime),
        })
    }

    /// All of them, in the order of the nodes.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// The agent of a node.
    pub fn agent(&self, node: &str) -> Result<&Agent> {
        let found = self.agents.iter().find(|agent| agent.node() == node);
        found.with_context(|| format!("no agent on {node}"))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Name of the agent's pod of a node.
pub fn pod_name(node: &str) -> String {
    format!("chaos-daemon-{node}")
}

/// Adds the agent's pod of a node, as the `DaemonSet` makes it: on the host's network.
pub fn add_agent_pod(server: &ApiServer, node: &str) {
    let object = server.object("Node", "", node).unwrap_or_default();
    let address = object["status"]["addresses"][0]["address"].as_str();
    let address = address.and_then(|address| address.parse().ok());
    let mut pod = NewPod::new(
        NAMESPACE,
        &pod_name(node),
        node,
        address.unwrap_or(Ipv4Addr::LOCALHOST.into()),
    )
    .label("app.kubernetes.io/name", "chaos-daemon")
    .owned_by("DaemonSet", "chaos-daemon")
    .on_host_network();
    pod.containers = vec!["chaos-daemon".to_owned()];
    server.add_pod(&pod);
}
