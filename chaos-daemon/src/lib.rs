//! The agent of one node: finds targets, attaches BPF programs, and ends every fault on time.
//!
//! `api` translates requests for the `agent` thread, which has the `engine` decide and `attach` carry out.
//! See ARCHITECTURE.md for the arrows between the modules.

pub mod access;
pub mod agent;
pub mod api;
pub mod attach;
pub mod audit;
pub mod cluster;
pub mod config;
pub mod engine;
pub mod expiry;
pub mod holder;
pub mod metrics;
pub mod missing;
pub mod near;
pub mod netlink;
pub mod netns;
pub mod plane;
pub mod policy;
pub mod protected;
pub mod recorder;
pub mod relay;
pub mod sentence;
pub mod targets;
pub mod telemetry;

use std::{io, os::fd::AsFd, sync::Arc, time::Duration};

use anyhow::Context;
use nix::sys::prctl;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::{
    access::Access,
    agent::Agent,
    api::{Gate, ServeError, Server, Service},
    attach::{Kernel, Object, doors::Doors, features::Features, protection, retire, sweep},
    audit::{Audit, Writer},
    cluster::{Cluster, Place},
    config::{Action, Config},
    metrics::Tally,
    plane::Plane,
    policy::Policies,
    protected::Protections,
    recorder::Recorder,
};

/// How long a stopping agent waits for held packets to leave: less than the 30 s that Kubernetes gives it.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How long a stopping agent waits for its audit log.
const AUDIT_PATIENCE: Duration = Duration::from_secs(1);

/// Name of an agent's process in `/proc`, however the program is called: others know by it that it lives.
const PROCESS_NAME: &str = "chaos-daemon";

/// Does what the command line asks for.
pub fn run(config: &Config) -> anyhow::Result<()> {
    match config.action {
        Some(Action::HoldLines) => {
            let control = io::stdin().as_fd().try_clone_to_owned()?;
            holder::run(&control).context("the holder failed")
        }
        Some(Action::Cleanup) => {
            telemetry::start(&config.log, config.log_format)?;
            let swept = sweep::sweep();
            let devices = swept.devices.len();
            retire::remove_all(swept.devices);
            match api::remove_stale_socket(&config.socket) {
                Ok(()) => info!(
                    devices,
                    filters = swept.filters,
                    rules = swept.rules,
                    "clean"
                ),
                Err(ServeError::Taken(socket)) => info!(
                    devices,
                    filters = swept.filters,
                    rules = swept.rules,
                    socket = %socket.display(),
                    "clean, apart from the agent that runs"
                ),
                Err(error) => return Err(error.into()),
            }
            Ok(())
        }
        None => {
            telemetry::start(&config.log, config.log_format)?;
            name_process()?;
            // Half an agent would keep faults alive that nobody can end.
            std::panic::set_hook(Box::new(|panic| {
                error!(%panic, "the agent ends at once");
                std::process::abort();
            }));
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?
                .block_on(serve(config))
        }
    }
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    // Before anybody can know that we are here.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Said at once, not after everything has been loaded.
    api::remove_stale_socket(&config.socket)?;
    let wishes = config.wishes();
    let (swept, mut features, mut object) = tokio::task::spawn_blocking(move || {
        let swept = sweep::sweep();
        anyhow::Ok((swept, Features::find(wishes)?, Object::load()?))
    })
    .await??;
    if !swept.devices.is_empty() || swept.filters > 0 || swept.rules > 0 {
        info!(
            devices = swept.devices.len(),
            filters = swept.filters,
            rules = swept.rules,
            "an earlier agent left something; its filters and routing rules are removed, and its devices go when they are empty"
        );
    }
    let heartbeat = object.heartbeat()?;
    let mut kernel = Kernel::new(object, features.attach_mode, features.line_engine)
        .context("cannot prepare the data plane")?;
    kernel.retire(swept.devices);
    kernel.try_xdp(wishes.xdp);
    let cluster = find_cluster(config).await?;
    let protections = Arc::new(Protections::new(config.protected(), cluster.is_some()));
    let protected = protections.known();
    kernel
        .protect(&protected)
        .context("cannot protect what --protect names")?;
    features.list.push(protection::feature(&protected));
    let mut doors = Doors::new(heartbeat.words()).context("cannot prepare doors")?;
    doors
        .protect(&protected)
        .context("cannot protect what --protect names")?;
    if wishes.keep_sockets {
        doors.keep_sockets();
    }
    let plane = Plane::new(kernel, doors).context("cannot prepare doors")?;
    let (agent, running) = Agent::start(plane, heartbeat, config.finder())?;
    let tally = Arc::new(Tally::default());
    if let Some(address) = config.metrics {
        let watched = metrics::serve(address, agent.clone(), Arc::clone(&tally)).await;
        watched.with_context(|| format!("cannot serve --metrics at {address}"))?;
    }
    let (gate, writer) = gate(config, cluster.clone(), Arc::clone(&tally))?;
    // The socket appears when there is somebody to answer, everywhere.
    let tls = config.tls();
    let server = Server::bind(&config.socket, config.listen, tls.as_ref()).await?;
    missing::look(agent.clone(), cluster.clone(), Arc::clone(&protections));
    let recorder = Recorder::start(agent.clone(), cluster, Arc::clone(&tally));
    info!(
        attach_mode = ?features.attach_mode,
        line_engine = features.line_engine.map(tracing::field::debug),
        socket = %config.socket.display(),
        "ready"
    );
    let stop = {
        let agent = agent.clone();
        async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            info!("stopping");
            tally.stopping();
            agent.stop().await;
        }
    };
    let node = config.node_name.clone();
    let service = Service::new(
        agent.clone(),
        features,
        config.grace,
        node,
        gate,
        protections,
    );
    server.serve(service, stop).await?;
    recorder.finish().await;
    agent.finish();
    let engine = tokio::task::spawn_blocking(move || running.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the agent's thread panicked"))?;
    tokio::task::spawn_blocking(move || engine.into_datapath().finish(STOP_PATIENCE)).await?;
    if let Some(writer) = writer {
        tokio::task::spawn_blocking(|| writer.finish(AUDIT_PATIENCE)).await?;
    }
    info!("stopped");
    Ok(())
}

async fn find_cluster(config: &Config) -> anyhow::Result<Option<Cluster>> {
    if !config.is_in_cluster() {
        return Ok(None);
    }
    let place = Place {
        kubeconfig: config.kubeconfig.clone(),
        node: config.node_name.clone(),
        namespace: config.agent_namespace.clone(),
        audiences: config.audience.clone(),
    };
    Ok(Some(Cluster::find(place).await?))
}

/// What stands before calls, and what writes down what it decides.
fn gate(
    config: &Config,
    cluster: Option<Cluster>,
    tally: Arc<Tally>,
) -> anyhow::Result<(Gate, Option<Writer>)> {
    let agents = cluster.as_ref().map(Cluster::namespace);
    let agents = agents.unwrap_or_default().to_owned();
    let policies = match &config.policy {
        Some(path) => Policies::File {
            path: path.clone(),
            agents,
        },
        None if cluster.is_some() => Policies::Default { agents },
        None => Policies::None,
    };
    if let Some(Err(error)) = policies.read() {
        error!("{error}");
    }
    let decides = cluster.is_some() || config.policy.is_some() || config.tls_cert.is_some();
    let (audit, writer) = if decides || config.audit_log.is_some() {
        let file = config.audit_log.as_deref();
        let (audit, writer) = Audit::start(config.node_name.clone(), file)
            .context("cannot open what --audit-log names")?;
        (audit, Some(writer))
    } else {
        (Audit::none(), None)
    };
    let reviews = cluster.clone().map(|cluster| Box::new(cluster) as _);
    let gate = Gate {
        access: Access::new(reviews, config.audience.join(" or ")),
        policies,
        cluster,
        audit,
        tally,
        addresses: protected::node_addresses,
    };
    Ok((gate, writer))
}

fn name_process() -> io::Result<()> {
    prctl::set_name(&std::ffi::CString::new(PROCESS_NAME)?)?;
    Ok(())
}
