//! The agent of one node: finds targets, attaches BPF programs, and ends every fault on time.
//!
//! `api` translates requests for the `agent` thread, which has the `engine` decide and `attach` carry out.
//! See ARCHITECTURE.md for the arrows between the modules.

pub mod agent;
pub mod api;
pub mod attach;
pub mod config;
pub mod engine;
pub mod expiry;
pub mod holder;
pub mod netlink;
pub mod netns;
pub mod sentence;
pub mod targets;
pub mod telemetry;

use std::{io, os::fd::AsFd, time::Duration};

use anyhow::Context;
use nix::sys::prctl;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::{
    agent::Agent,
    api::{ServeError, Server, Service},
    attach::{Kernel, Object, features::Features, protection, retire, sweep},
    config::{Action, Config},
};

/// How long a stopping agent waits for held packets to leave: less than the 30 s that Kubernetes gives it.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

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
                Ok(()) => info!(devices, filters = swept.filters, "clean"),
                Err(ServeError::Taken(socket)) => info!(
                    devices,
                    filters = swept.filters,
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
    if !swept.devices.is_empty() || swept.filters > 0 {
        info!(
            devices = swept.devices.len(),
            filters = swept.filters,
            "an earlier agent left something; its filters are removed, and its devices go when they are empty"
        );
    }
    let heartbeat = object.heartbeat()?;
    let mut kernel = Kernel::new(object, features.attach_mode, features.line_engine)
        .context("cannot prepare the data plane")?;
    kernel.retire(swept.devices);
    kernel.try_xdp(wishes.xdp);
    let protected = config.protected();
    kernel
        .protect(&protected)
        .context("cannot protect what --protect names")?;
    features.list.push(protection::feature(&protected));
    let (agent, running) = Agent::start(kernel, heartbeat, config.finder())?;
    // The socket appears when there is somebody to answer.
    let server = Server::bind(&config.socket, config.listen).await?;
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
            agent.stop().await;
        }
    };
    let node = config.node_name.clone();
    let service = Service::new(agent.clone(), features, config.grace, node);
    server.serve(service, stop).await?;
    agent.finish();
    let engine = tokio::task::spawn_blocking(move || running.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the agent's thread panicked"))?;
    tokio::task::spawn_blocking(move || engine.into_datapath().finish(STOP_PATIENCE)).await?;
    info!("stopped");
    Ok(())
}

fn name_process() -> io::Result<()> {
    prctl::set_name(&std::ffi::CString::new(PROCESS_NAME)?)?;
    Ok(())
}
