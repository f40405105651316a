//! Ways for an experiment to end: what is printed, and which exit code it is.

use std::error::Error as _;
use std::io;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Connections, Direction, EndReason, Experiment, Filter, Protocol, State};
use tonic::Status;

use super::in_vain;
use crate::client::{Address, ClientError};
use crate::error::{CommandError, ErrorKind};
use crate::output::json::{Outcome, Run};
use crate::output::{Output, table, tally, words};
use crate::quantity::packets;

/// A run that did not end as asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Without signals an experiment could not be stopped by Ctrl-C.
    #[error("cannot listen for Ctrl-C: {0}")]
    NoSignals(io::Error),
    /// Ctrl-C before anything acted.
    #[error("interrupted before the experiment began: nothing was applied")]
    InterruptedBeforeStart,
    /// Ctrl-C before anything acted, and the agent has not said that it took everything back.
    #[error(
        "interrupted while the agent was preparing the experiment: it never acts, and the agent drops it within 30 s"
    )]
    InterruptedWhilePreparing,
    /// Ctrl-C twice.
    #[error("left without waiting for the agent")]
    LeftAtOnce {
        /// The experiment.
        id: String,
    },
    /// Ctrl-C, but the agent did not take it.
    #[error("could not stop the experiment: {source}")]
    NotTold {
        /// What went wrong.
        source: ClientError,
    },
    /// It ran, and no packet matched.
    #[error("nothing was hit: no packet matched")]
    NothingHit {
        /// The experiment, for the hints.
        experiment: Box<Experiment>,
    },
    /// It ran, and every packet that it should have delayed passed at once.
    #[error("nothing was delayed: the delay line took none of {} packets", packets(*passed))]
    NothingDelayed {
        /// How many passed.
        passed: u64,
    },
    /// It ended for a reason of its own.
    #[error("{} ended before its time: {}", experiment.id, because(experiment))]
    EndedEarly {
        /// The experiment.
        experiment: Box<Experiment>,
    },
    /// The connection broke in the middle.
    #[error(
        "the agent at {address} is gone: its faults end by themselves, because the kernel passes everything once the agent is silent"
    )]
    AgentLost {
        /// The agent.
        address: Address,
        /// What the transport said.
        #[source]
        cause: Option<Status>,
    },
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        let kind = match &error {
            RunError::NothingHit { .. } => ErrorKind::NothingHit,
            RunError::AgentLost { .. } | RunError::NotTold { .. } => ErrorKind::Unreachable,
            RunError::NoSignals(_)
            | RunError::InterruptedBeforeStart
            | RunError::InterruptedWhilePreparing
            | RunError::LeftAtOnce { .. }
            | RunError::NothingDelayed { .. }
            | RunError::EndedEarly { .. } => ErrorKind::Failed,
        };
        let hints = match &error {
            RunError::NothingHit { experiment } => what_to_check(experiment),
            RunError::LeftAtOnce { id } => vec![format!(
                "if it still runs, `chaosctl stop {id}` ends it at once; by itself it ends after its grace period, and with --detach after its duration"
            )],
            RunError::NotTold { .. } => vec![
                "it ends by itself: by the agent's grace period, unless it is detached, and in the kernel by its deadline".to_owned(),
            ],
            RunError::NothingDelayed { .. } => vec![
                "packets pass at once where the line cannot take them: docs/faults.md, \"Not delayed\", says which".to_owned(),
            ],
            RunError::AgentLost {
                cause: Some(said), ..
            } if said.source().is_none() && !said.message().is_empty() => {
                vec![format!("its last words: {}", said.message())]
            }
            RunError::AgentLost { .. } => vec![
                "see the agent's log for why; the experiment does not come back with a new agent: start it again".to_owned(),
            ],
            RunError::NoSignals(_)
            | RunError::InterruptedBeforeStart
            | RunError::InterruptedWhilePreparing
            | RunError::EndedEarly { .. } => Vec::new(),
        };
        Self {
            hints,
            ..Self::new(kind, error)
        }
    }
}

/// Whether any packet matched.
pub(super) fn hit(experiment: &Experiment) -> bool {
    tally::of_experiment(experiment).matched_packets > 0
}

/// Whether packets should have been delayed, and none was.
fn passed_all(experiment: &Experiment) -> bool {
    let total = tally::of_experiment(experiment);
    total.undelayed_packets > 0 && total.delayed_packets == 0
}

/// One line about an end, for the talk; nothing where the error will say it.
pub(super) fn last_words(ended: &Experiment, interrupted: bool) -> Option<String> {
    if interrupted && ended.end_reason() == EndReason::Stopped {
        return Some(format!("{}: stopped", ended.id));
    }
    in_time(ended).then(|| format!("{}: ended: {}", ended.id, because(ended)))
}

/// Prints what was hit, and says by its result whether that is what was asked for.
pub(super) fn conclude(
    ended: &Experiment,
    interrupted: bool,
    output: Output,
) -> Result<(), CommandError> {
    let outcome = if !in_time(ended) {
        Outcome::EndedEarly
    } else if !hit(ended) {
        Outcome::NothingMatched
    } else if passed_all(ended) {
        Outcome::NothingDelayed
    } else if interrupted || ended.end_reason() == EndReason::Stopped {
        Outcome::Stopped
    } else {
        Outcome::Completed
    };
    print(outcome, ended, output)?;
    let experiment = Box::new(ended.clone());
    match outcome {
        Outcome::EndedEarly => Err(RunError::EndedEarly { experiment }.into()),
        Outcome::NothingMatched => Err(RunError::NothingHit { experiment }.into()),
        Outcome::NothingDelayed => Err(RunError::NothingDelayed {
            passed: tally::of_experiment(ended).undelayed_packets,
        }
        .into()),
        Outcome::Completed
        | Outcome::Stopped
        | Outcome::AgentLost
        | Outcome::Detached
        | Outcome::DryRun => Ok(()),
    }
}

/// Whether it ended as its user or its duration wanted.
fn in_time(ended: &Experiment) -> bool {
    match ended.end_reason() {
        EndReason::Expired | EndReason::Stopped => true,
        EndReason::Unspecified
        | EndReason::ClientGone
        | EndReason::TargetGone
        | EndReason::AgentStopped
        | EndReason::AgentStalled
        | EndReason::Failed => false,
    }
}

/// Prints what was last seen of an experiment whose agent is gone.
pub(super) fn lost(
    address: &Address,
    seen: &Experiment,
    cause: Option<Status>,
    output: Output,
) -> Result<(), CommandError> {
    print(Outcome::AgentLost, seen, output)?;
    Err(RunError::AgentLost {
        address: address.clone(),
        cause,
    }
    .into())
}

fn print(outcome: Outcome, experiment: &Experiment, output: Output) -> Result<(), CommandError> {
    let passed = tally::of_experiment(experiment).undelayed_packets;
    if passed > 0 && outcome != Outcome::NothingDelayed {
        output.warn(&format!(
            "{} packets should have been delayed and were not: the delay line would not take them",
            packets(passed)
        ));
    }
    for sentence in in_vain::sentences(experiment) {
        output.warn(&sentence);
    }
    output.result(|| table::hits(experiment), || Run::new(outcome, experiment))?;
    Ok(())
}

/// Why it ended: in the agent's own words where it has some, else what the reason means.
fn because(ended: &Experiment) -> String {
    let detail = ended.end_detail.trim().trim_end_matches('.');
    if !detail.is_empty() {
        return detail.to_owned();
    }
    if ended.state() == State::Ended {
        words::end_because(ended.end_reason()).to_owned()
    } else {
        "the agent does not say that it has ended".to_owned()
    }
}

/// What may be wrong with a filter that matched nothing.
fn what_to_check(experiment: &Experiment) -> Vec<String> {
    let mut hints = Vec::new();
    let filters = || {
        experiment
            .rules
            .iter()
            .filter_map(|rule| rule.filter.as_ref())
    };
    let any = |is: fn(&Filter) -> bool| filters().any(is);
    let has = |is: fn(&Fault) -> bool| {
        let mut faults = experiment
            .rules
            .iter()
            .filter_map(|rule| rule.fault.as_ref());
        faults.any(is)
    };
    if has(|fault| matches!(fault, Fault::Dns(_))) {
        hints.push(
            "names: they are as the resolver asks for them, with its search domain; a cache in the target asks nobody, and DNS over TCP or TLS is not seen".to_owned(),
        );
    }
    if any(|filter| filter.direction() != Direction::Both) || filters().next().is_none() {
        hints.push(
            "direction: it is seen from the target, egress leaves it and ingress arrives; try the other one".to_owned(),
        );
    }
    if !has(|fault| matches!(fault, Fault::Dns(_) | Fault::Reset(_)))
        && any(|filter| filter.protocol() != Protocol::Unspecified)
    {
        hints.push("protocol: try without --proto".to_owned());
    }
    if any(|filter| {
        !(filter.ports.is_empty() && filter.target_ports.is_empty() && filter.peer_ports.is_empty())
    }) {
        hints.push(
            "port: it is the one that the target itself uses or talks to, before or after any translation elsewhere".to_owned(),
        );
    }
    if any(|filter| !filter.peers.is_empty() || !filter.except_peers.is_empty()) {
        hints.push(
            "peer: it is the other side as the target sees it, which may be a proxy or a translated address".to_owned(),
        );
    }
    if any(|filter| filter.connections() != Connections::Unspecified || filter.syn_only) {
        hints.push(
            "connections: the packet that opens one (SYN) leaves a client and arrives at a server; a new one was opened during the experiment".to_owned(),
        );
    }
    if any(|filter| filter.flows_ppm.is_some()) {
        hints.push(
            "percent-flows: of few connections a small share may be none; try more, or another --seed".to_owned(),
        );
    }
    if any(|filter| filter.dscp.is_some() || filter.length.is_some()) {
        hints.push("dscp, length: try without them".to_owned());
    }
    let interfaces: Vec<_> = experiment
        .targets
        .iter()
        .take(1)
        .map(|target| format!("{} in {}", target.interface, target.netns))
        .collect();
    hints.push(match interfaces.first() {
        Some(place) => format!("traffic: was there any? see `tcpdump -ni any` at {place}"),
        None => "targets: there were none".to_owned(),
    });
    hints
}
