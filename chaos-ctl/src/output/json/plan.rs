//! A plan in a cluster, in the schema of `-o json`.

use chaos_proto::v1 as wire;
use serde::Serialize;

use super::rule::Rule;
use super::{Outcome, Target, ns};
use crate::cluster;
use crate::output::effect;

/// Result of `--dry-run` in a cluster.
#[derive(Debug, Serialize)]
pub struct DryRun {
    outcome: Outcome,
    plan: Plan,
}

#[derive(Debug, Serialize)]
struct Plan {
    what: String,
    origin: Option<Origin>,
    ports: Vec<Translation>,
    peers: Vec<Peers>,
    notes: Vec<String>,
    duration_ns: u64,
    detached: bool,
    seed: Option<String>,
    parts: Vec<Part>,
}

/// What pods were chosen from.
#[derive(Debug, Serialize)]
pub(super) struct Origin {
    kind: String,
    namespace: String,
    name: String,
    ready: u32,
    chosen: u32,
}

#[derive(Debug, Serialize)]
struct Translation {
    port: String,
    target_port: u16,
    pods: usize,
}

#[derive(Debug, Serialize)]
struct Peers {
    peer: String,
    addresses: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Part {
    node: String,
    pods: Vec<Pod>,
    container: Option<String>,
    rules: Vec<Rule>,
    expected_effects: Vec<String>,
    answer: Option<Answer>,
}

#[derive(Debug, Serialize)]
struct Pod {
    namespace: String,
    name: String,
    uid: String,
}

/// What an agent says to its part of a plan.
#[derive(Debug, Serialize)]
pub struct Answer {
    would_run: bool,
    refusal: Option<String>,
    targets: Vec<Target>,
    protected: Vec<String>,
    guards: Vec<Guard>,
}

#[derive(Debug, Serialize)]
struct Guard {
    name: String,
    allows: bool,
    detail: String,
}

impl DryRun {
    /// The plan, with what agents answered, in the order of its parts; nothing where none was asked.
    pub fn new(plan: &cluster::Plan, answers: &[cluster::Answer]) -> Self {
        let resolved = &plan.resolved;
        let request = plan.parts.first().map(|part| &part.request);
        let duration = request.and_then(|request| request.duration.as_ref());
        let parts = plan.parts.iter().enumerate();
        Self {
            outcome: Outcome::DryRun,
            plan: Plan {
                what: resolved.what.clone(),
                origin: resolved.origin.as_ref().map(Origin::from),
                ports: resolved.ports.iter().map(Translation::from).collect(),
                peers: resolved.peers.iter().map(Peers::from).collect(),
                notes: resolved.notes.clone(),
                duration_ns: ns(duration),
                detached: request.is_some_and(|request| request.detached),
                seed: request.and_then(|request| Some(request.seed?.to_string())),
                parts: parts
                    .map(|(index, part)| Part::new(part, answers.get(index)))
                    .collect(),
            },
        }
    }
}

impl Part {
    fn new(part: &cluster::Part, answer: Option<&cluster::Answer>) -> Self {
        let container = part.container();
        Self {
            node: part.node.clone(),
            pods: part.pods().iter().map(Pod::from).collect(),
            container: (!container.is_empty()).then(|| container.to_owned()),
            rules: part.request.rules.iter().map(Rule::from).collect(),
            expected_effects: part.request.rules.iter().map(effect::of_rule).collect(),
            answer: answer.map(Answer::from),
        }
    }
}

impl From<&wire::Origin> for Origin {
    fn from(origin: &wire::Origin) -> Self {
        Self {
            kind: origin.kind.clone(),
            namespace: origin.namespace.clone(),
            name: origin.name.clone(),
            ready: origin.ready,
            chosen: origin.chosen,
        }
    }
}

impl From<&cluster::Translation> for Translation {
    fn from(translation: &cluster::Translation) -> Self {
        Self {
            port: translation.port.clone(),
            target_port: translation.target_port,
            pods: translation.pods,
        }
    }
}

impl From<&cluster::Peers> for Peers {
    fn from(peers: &cluster::Peers) -> Self {
        Self {
            peer: peers.peer.clone(),
            addresses: peers.addresses.clone(),
        }
    }
}

impl From<&wire::Pod> for Pod {
    fn from(pod: &wire::Pod) -> Self {
        Self {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        }
    }
}

impl From<&cluster::Answer> for Answer {
    fn from(answer: &cluster::Answer) -> Self {
        let would_run = answer.is_yes();
        match answer {
            cluster::Answer::Refused(sentence) => Self {
                would_run,
                refusal: Some(sentence.clone()),
                targets: Vec::new(),
                protected: Vec::new(),
                guards: Vec::new(),
            },
            cluster::Answer::Prepared(prepared) => Self {
                would_run,
                refusal: None,
                targets: prepared
                    .experiment
                    .iter()
                    .flat_map(|experiment| &experiment.targets)
                    .map(|target| Target::new(target, None))
                    .collect(),
                protected: prepared.protected.clone(),
                guards: prepared.guards.iter().map(Guard::from).collect(),
            },
        }
    }
}

impl From<&wire::Guard> for Guard {
    fn from(guard: &wire::Guard) -> Self {
        Self {
            name: guard.name.clone(),
            allows: guard.allows,
            detail: guard.detail.clone(),
        }
    }
}
