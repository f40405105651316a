//! For those who watch the agent: whether it lives, whether it is ready, and numbers, over HTTP.
//!
//! Nobody is asked who they are: there are no names in it.

use std::{
    collections::BTreeMap,
    io,
    net::{AddrParseError, IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State as Extract,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};
use tokio::net::TcpListener;

use crate::{
    agent::Agent,
    engine::{Counters, EndReason, Experiment, PacketCounters, Rule, State},
};

/// An agent that does not answer for so long hangs.
const PATIENCE: Duration = Duration::from_secs(3);
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Reads where to serve. An IPv6 address may be without brackets: what puts a node's address in front of the port does not
/// know which kind it is.
pub fn address(text: &str) -> Result<SocketAddr, AddrParseError> {
    let error = match text.parse() {
        Ok(address) => return Ok(address),
        Err(error) => error,
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(|| error.clone())?;
    let port = port.parse().map_err(|_| error.clone())?;
    let host: IpAddr = host.parse().map_err(|_| error)?;
    Ok(SocketAddr::new(host, port))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// What rules did.
#[derive(Clone, Default)]
struct Done {
    packets: PacketCounters,
    /// By the name of the fault: requests that rules took, and of those the ones that they failed.
    requests: BTreeMap<&'static str, (u64, u64)>,
}

impl Done {
    fn add(&mut self, experiment: &Experiment) {
        for hit in &experiment.hits {
            for (Rule { fault, .. }, counters) in experiment.spec.rules.iter().zip(&hit.counters) {
                let Counters { packets, requests } = counters;
                self.packets += packets;
                if let Some(requests) = requests {
                    let (taken, failed) = self.requests.entry(fault.name()).or_default();
                    *taken += requests.taken();
                    *failed += requests.errors + requests.aborted;
                }
            }
        }
    }
}

/// Numbers since the agent started.
#[derive(Default)]
pub struct Tally {
    refusals: Family<Reason, Counter>,
    ended: Family<Reason, Counter>,
    /// What experiments did that have ended.
    done: Mutex<Done>,
    experiments: Family<InState, Gauge>,
    matched: Counter,
    delayed: Counter,
    dropped: Counter,
    requests: Family<Kind, Counter>,
    failed: Family<Kind, Counter>,
    is_stopping: AtomicBool,
}

impl Tally {
    /// Somebody was refused.
    pub fn refused(&self, reason: &str) {
        let reason = Reason {
            reason: reason.to_owned(),
        };
        self.refusals.get_or_create(&reason).inc();
    }

    /// An experiment has ended.
    pub fn ended(&self, experiment: &Experiment, reason: EndReason) {
        let reason = Reason {
            reason: name_of(reason).to_owned(),
        };
        self.ended.get_or_create(&reason).inc();
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.add(experiment);
    }

    /// The agent takes no more orders.
    pub fn stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("chaos");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What this agent is", build);
        registry.register(
            "experiments",
            "Experiments that have not ended, by state",
            self.experiments.clone(),
        );
        registry.register(
            "experiments_ended",
            "Experiments that have ended, by reason",
            self.ended.clone(),
        );
        registry.register(
            "refusals",
            "Calls that were refused, by reason",
            self.refusals.clone(),
        );
        for (name, help, counter) in [
            ("matched", "Packets that filters took", &self.matched),
            ("delayed", "Packets that were held", &self.delayed),
            ("dropped", "Packets that were dropped", &self.dropped),
        ] {
            let unit = Unit::Other("packets".to_owned());
            registry.register_with_unit(name, help, unit, counter.clone());
        }
        registry.register(
            "requests",
            "Requests that rules took, by kind of fault",
            self.requests.clone(),
        );
        registry.register(
            "failed_requests",
            "Of those, the ones that were answered with an error or not at all",
            self.failed.clone(),
        );
        registry
    }

    /// Takes over what experiments that have not ended did.
    fn count(&self, live: &[Experiment]) {
        let mut sum = self
            .done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (mut prepared, mut armed) = (0, 0);
        for experiment in live {
            match experiment.state {
                State::Prepared => prepared += 1,
                State::Armed => armed += 1,
                State::Ended(_) => {}
            }
            sum.add(experiment);
        }
        for (state, count) in [("prepared", prepared), ("armed", armed)] {
            let state = InState {
                state: state.to_owned(),
            };
            self.experiments.get_or_create(&state).set(count);
        }
        for (counter, value) in [
            (&self.matched, sum.packets.matched_packets),
            (&self.delayed, sum.packets.delayed_packets),
            (&self.dropped, sum.packets.dropped_packets),
        ] {
            // Between an experiment's end and its entry here it is in neither sum; a counter never falls.
            counter.inner().fetch_max(value, Ordering::Relaxed);
        }
        for (kind, (taken, failed)) in sum.requests {
            for (family, value) in [(&self.requests, taken), (&self.failed, failed)] {
                let counter = family.get_or_create(&Kind { kind });
                counter.inner().fetch_max(value, Ordering::Relaxed);
            }
        }
    }
}

const fn name_of(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Expired => "expired",
        EndReason::Stopped => "stopped",
        EndReason::ClientGone => "client_gone",
        EndReason::TargetGone => "target_gone",
        EndReason::AgentStopped => "agent_stopped",
        EndReason::AgentStalled => "agent_stalled",
        EndReason::Failed => "failed",
    }
}

#[derive(Clone)]
struct Watched {
    agent: Agent,
    tally: Arc<Tally>,
}

/// Serves them at this address, for as long as the process lives.
pub async fn serve(address: SocketAddr, agent: Agent, tally: Arc<Tally>) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(numbers))
        .with_state(Watched { agent, tally });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

async fn live(Extract(watched): Extract<Watched>) -> Response {
    let answer = watched.agent.ask(|_| ());
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(())) => "ok\n".into_response(),
        Ok(Err(_)) | Err(_) => unavailable("the agent's thread does not answer\n"),
    }
}

async fn ready(Extract(watched): Extract<Watched>) -> Response {
    if watched.tally.is_stopping.load(Ordering::Relaxed) {
        return unavailable("the agent is stopping\n");
    }
    live(Extract(watched)).await
}

async fn numbers(Extract(watched): Extract<Watched>) -> Response {
    let live = watched.agent.ask(|core| core.list(false));
    let Ok(Ok(live)) = tokio::time::timeout(PATIENCE, live).await else {
        return unavailable("the agent's thread does not answer\n");
    };
    watched.tally.count(&live);
    let mut text = String::new();
    match encode(&mut text, &watched.tally.registry()) {
        Ok(()) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
        Err(_) => unavailable("the numbers cannot be written\n"),
    }
}

fn unavailable(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_address_may_be_of_either_family() {
        for (text, read) in [
            ("10.0.0.1:7412", "10.0.0.1:7412"),
            ("[fd00::1]:7412", "[fd00::1]:7412"),
            ("fd00::1:7412", "[fd00::1]:7412"),
        ] {
            assert_eq!(address(text), Ok(read.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "7412",
            ":7412",
            "host:7412",
            "10.0.0.1:",
            "10.0.0.1:99999",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_have_the_names_that_the_documents_say() {
        let tally = Tally::default();
        tally.refused("denied");
        tally.count(&[]);
        let mut text = String::new();
        encode(&mut text, &tally.registry()).unwrap();
        for line in [
            "chaos_refusals_total{reason=\"denied\"} 1",
            "chaos_experiments{state=\"armed\"} 0",
            "chaos_matched_packets_total 0",
            "chaos_build_info{version=",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
