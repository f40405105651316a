//! Runs that did not end as asked: the sentence, the exit code, and what to do.

use std::error::Error as _;
use std::fmt;
use std::io;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Connections, Direction, Experiment, Filter, Protocol, State};
use tonic::Status;

use super::requests;
use super::start::Refusal;
use crate::client::{Address, ClientError};
use crate::error::{CommandError, ErrorKind};
use crate::output::words;
use crate::quantity::packets;

/// More nodes than that say the same again, most of the time.
const MOST_ROWS: usize = 20;
const MOST_HINTS: usize = 3;

/// Which node said what, one in a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows(pub Vec<(String, String)>);

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(MOST_ROWS)];
        let width = shown.iter().map(|(node, _)| node.len()).max().unwrap_or(0);
        for (node, said) in shown {
            write!(f, "\n  {node:<width$}  {said}")?;
        }
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl Rows {
    /// In the order of the nodes.
    pub(crate) fn new(mut rows: Vec<(String, String)>) -> Self {
        rows.sort();
        rows.dedup();
        Self(rows)
    }

    /// `2 of 5 nodes`, or the name of the only one.
    pub(crate) fn nodes(&self, of: usize) -> String {
        let mut nodes: Vec<_> = self.0.iter().map(|(node, _)| node).collect();
        nodes.dedup();
        match nodes[..] {
            [node] if of == 1 => node.clone(),
            _ => format!("{} of {}", nodes.len(), words::counted(of, "node")),
        }
    }
}

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
    /// Ctrl-C, but some agents did not take it.
    #[error("could not stop the experiment on {}:{rows}", rows.nodes(*of))]
    NotToldThere {
        /// What went wrong where.
        rows: Rows,
        /// Of so many nodes.
        of: usize,
    },
    /// A plan that some nodes would refuse.
    #[error("{refusing} of {} would refuse: see the plan", words::counted(*of, "part"))]
    WouldRefuse {
        /// How many.
        refusing: usize,
        /// Of so many parts.
        of: usize,
    },
    /// Some nodes cannot do it.
    #[error("nothing was applied, because {} cannot take part:{rows}", rows.nodes(*of))]
    NotPrepared {
        /// What they said.
        rows: Rows,
        /// Of so many nodes.
        of: usize,
        /// What to do about it.
        hints: Vec<String>,
    },
    /// Some nodes did not begin.
    #[error("everything was ended again, because {} did not begin:{rows}", rows.nodes(*of))]
    NotArmed {
        /// What they said.
        rows: Rows,
        /// Of so many nodes.
        of: usize,
    },
    /// Some nodes did not begin, and some could not be told to end it again.
    #[error(
        "{} did not begin:{rows}\n{id} may act on {}, which could not be told to end it:{untold}",
        rows.nodes(*of), untold.nodes(*of)
    )]
    NotUndone {
        /// The experiment.
        id: String,
        /// Why it did not begin.
        rows: Rows,
        /// Who could not be told.
        untold: Rows,
        /// Of so many nodes.
        of: usize,
    },
    /// The only agent did not begin, and could not be told to end it again.
    #[error(
        "{id} did not begin: {why}; it may act all the same, because the agent could not be told to end it: {source}"
    )]
    NotUndoneHere {
        /// The experiment.
        id: String,
        /// Why it did not begin.
        why: String,
        /// Why it could not be told.
        source: ClientError,
    },
    /// It went wrong on some nodes, while it ran.
    #[error("{id} did not run to its end on {}:{rows}", rows.nodes(*of))]
    NotEverywhere {
        /// The experiment.
        id: String,
        /// What went wrong where.
        rows: Rows,
        /// Of so many nodes.
        of: usize,
    },
    /// It ran, and no packet matched.
    #[error("nothing was hit: no {} matched", if requests::is_all_of(experiment) { "request" } else { "packet" })]
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
            | RunError::NotToldThere { .. }
            | RunError::WouldRefuse { .. }
            | RunError::NotPrepared { .. }
            | RunError::NotArmed { .. }
            | RunError::NotUndone { .. }
            | RunError::NotUndoneHere { .. }
            | RunError::NotEverywhere { .. }
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
            RunError::NotPrepared { hints, .. } => hints.clone(),
            RunError::NotTold { .. } | RunError::NotToldThere { .. } => vec![
                "it ends by itself: by the agent's grace period, unless it is detached, and in the kernel by its deadline".to_owned(),
            ],
            RunError::NotUndone { id, .. } | RunError::NotUndoneHere { id, .. } => vec![format!(
                "`chaosctl stop {id}` ends it once they can be reached; by itself it ends by its deadline, and without --detach after its grace period"
            )],
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
            | RunError::WouldRefuse { .. }
            | RunError::NotArmed { .. }
            | RunError::NotEverywhere { .. }
            | RunError::EndedEarly { .. } => Vec::new(),
        };
        Self {
            hints,
            ..Self::new(kind, error)
        }
    }
}

/// What some nodes, or the only agent, said instead of preparing.
pub(super) fn not_begun(refused: Vec<Refusal>, of: usize) -> CommandError {
    not(refused, |rows, hints| RunError::NotPrepared {
        rows,
        of,
        hints,
    })
}

/// What some nodes, or the only agent, said instead of arming, and who could not be told to take it back.
pub(super) fn not_armed(
    id: &str,
    refused: Vec<Refusal>,
    mut untold: Vec<(String, ClientError)>,
    of: usize,
) -> CommandError {
    let id = id.to_owned();
    if let [(node, _)] = &untold[..]
        && node.is_empty()
        && let Some((_, source)) = untold.pop()
    {
        let why = refused.first().map(|(_, why)| why.to_string());
        let why = why.unwrap_or_default();
        return RunError::NotUndoneHere { id, why, source }.into();
    }
    if untold.is_empty() {
        return not(refused, |rows, _| RunError::NotArmed { rows, of });
    }
    let untold = untold
        .into_iter()
        .map(|(node, error)| (node, error.to_string()));
    let untold = Rows::new(untold.collect());
    not(refused, |rows, _| RunError::NotUndone {
        id,
        rows,
        untold,
        of,
    })
}

fn not(
    mut refused: Vec<Refusal>,
    error: impl FnOnce(Rows, Vec<String>) -> RunError,
) -> CommandError {
    if let [(slot, _)] = &refused[..]
        && slot.node.is_empty()
        && let Some((_, only)) = refused.pop()
    {
        return only.into();
    }
    let mut rows = Vec::new();
    let mut hints = Vec::new();
    for (slot, said) in refused {
        rows.push((slot.node, said.to_string()));
        for hint in CommandError::from(said).hints {
            if !hints.contains(&hint) && hints.len() < MOST_HINTS {
                hints.push(hint);
            }
        }
    }
    error(Rows::new(rows), hints).into()
}

/// Why it ended: in the agent's own words where it has some, else what the reason means.
pub(super) fn because(ended: &Experiment) -> String {
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
    if requests::is_all_of(experiment) {
        return requests::what_to_check(experiment);
    }
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
