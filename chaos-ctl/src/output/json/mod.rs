//! The schema of `-o json`: documented in docs/json.md, and stable. Fields are added, never renamed or removed.

mod counters;
pub mod plan;
mod rewrite;
mod rule;
mod service;

use chaos_proto::v1 as wire;
use chaos_proto::v1::selector::Where;
use serde::Serialize;

use counters::Counters;
use plan::Origin;
use rule::Rule;

use super::whole::{Part, Whole};
use super::{effect, tally, words};
use crate::client::Address;
use crate::quantity::from_wire;

/// Result of the verbs that run an experiment.
#[derive(Debug, Serialize)]
pub struct Run {
    /// How it went.
    pub outcome: Outcome,
    /// The experiment at its end, or with `--detach` at its start.
    pub experiment: Experiment,
    /// With `--dry-run`, one sentence for each rule; otherwise empty.
    pub expected_effects: Vec<String>,
    /// What happened on the way, one sentence each: pods that came and left, agents that were lost and found.
    pub notes: Vec<String>,
    /// With `--dry-run`, what the agent says to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<plan::Answer>,
}

/// How an experiment went, as far as the client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran for its duration and hit packets.
    Completed,
    /// It was stopped before its time, and had hit packets.
    Stopped,
    /// It ran or was stopped, and no packet had matched.
    NothingMatched,
    /// It ran or was stopped, and every packet that it should have delayed passed at once.
    NothingDelayed,
    /// It ended before its time for another reason.
    EndedEarly,
    /// The agent died; the counters are the last that were seen.
    AgentLost,
    /// It runs without a client.
    Detached,
    /// Nothing was applied.
    DryRun,
}

/// Result of `status`.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The one asked for.
    pub experiment: Experiment,
}

/// Result of `list` and `stop`.
#[derive(Debug, Serialize)]
pub struct Experiments {
    /// Newest first, or in the order in which they were stopped.
    pub experiments: Vec<Experiment>,
}

/// Result of `doctor`.
#[derive(Debug, Serialize)]
pub struct Doctor {
    /// The agent that answered.
    pub agent: Agent,
}

/// Result of `doctor` in a cluster.
#[derive(Debug, Serialize)]
pub struct Doctors {
    /// The agents that answered, by node.
    pub agents: Vec<Agent>,
}

impl Doctors {
    /// In the given order.
    pub fn new(agents: &[(String, (Address, wire::DescribeResponse))]) -> Self {
        let agents = agents.iter();
        Self {
            agents: agents
                .map(|(_, (address, agent))| Agent::new(address, agent))
                .collect(),
        }
    }
}

/// One agent and what it can do.
#[derive(Debug, Serialize)]
pub struct Agent {
    address: String,
    version: String,
    node_name: String,
    kernel_release: String,
    attach_mode: Option<&'static str>,
    line_engine: Option<&'static str>,
    features: Vec<Feature>,
}

#[derive(Debug, Serialize)]
struct Feature {
    name: String,
    available: bool,
    used: bool,
    detail: String,
}

/// One experiment.
#[derive(Debug, Serialize)]
pub struct Experiment {
    id: Option<String>,
    state: &'static str,
    end_reason: Option<String>,
    end_detail: Option<String>,
    selector: Option<Selector>,
    rules: Vec<Rule>,
    duration_ns: u64,
    remaining_ns: u64,
    detached: bool,
    /// A string: JSON readers that keep numbers as doubles would change a large one.
    seed: String,
    line_engine: Option<&'static str>,
    started_by: Option<String>,
    nodes: Vec<Node>,
    targets: Vec<Target>,
    totals: Counters,
}

/// One node's part of an experiment.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "keys of the JSON")]
struct Node {
    node: Option<String>,
    id: Option<String>,
    state: &'static str,
    end_reason: Option<String>,
    end_detail: Option<String>,
    lost: bool,
    rules: Option<Vec<Rule>>,
}

#[derive(Debug, Serialize)]
struct Selector {
    #[serde(flatten)]
    point: Option<Point>,
    interface: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Point {
    Service {
        name: String,
        namespace: String,
    },
    Netns {
        netns: String,
    },
    Pid {
        pid: u32,
    },
    Cgroup {
        cgroup: String,
    },
    Node,
    Pods {
        pods: Vec<String>,
        origin: Option<Origin>,
        container: Option<String>,
    },
}

#[derive(Debug, Serialize)]
struct Target {
    node: Option<String>,
    pod: Option<Pod>,
    name: String,
    netns: String,
    interface: String,
    ifindex: u32,
    gone: bool,
    xdp: Option<&'static str>,
    /// Where rules hit requests.
    keeps_source: Option<bool>,
    note: Option<String>,
    counters: Vec<Counters>,
}

#[derive(Debug, Serialize)]
struct Pod {
    namespace: String,
    name: String,
    uid: String,
}

impl Run {
    /// With the effects to expect only where nothing was applied.
    pub fn new(outcome: Outcome, whole: &Whole) -> Self {
        let experiment = &whole.experiment;
        let expected_effects = if outcome == Outcome::DryRun {
            experiment.rules.iter().map(effect::of_rule).collect()
        } else {
            Vec::new()
        };
        Self {
            outcome,
            experiment: whole.into(),
            expected_effects,
            notes: whole.notes.clone(),
            answer: None,
        }
    }

    /// Of a plan, with what the agent says to it.
    pub fn dry(whole: &Whole, answer: Option<&crate::cluster::Answer>) -> Self {
        Self {
            answer: answer.map(plan::Answer::from),
            ..Self::new(Outcome::DryRun, whole)
        }
    }
}

impl Experiments {
    /// In the given order.
    pub fn new(wholes: &[Whole]) -> Self {
        Self {
            experiments: wholes.iter().map(Experiment::from).collect(),
        }
    }
}

impl Agent {
    /// An agent's description of itself.
    pub fn new(address: &impl ToString, agent: &wire::DescribeResponse) -> Self {
        Self {
            address: address.to_string(),
            version: agent.agent_version.clone(),
            node_name: agent.node_name.clone(),
            kernel_release: agent.kernel_release.clone(),
            attach_mode: words::attach_mode(agent.attach_mode()),
            line_engine: words::engine(agent.line_engine()),
            features: agent
                .features
                .iter()
                .map(|feature| Feature {
                    name: feature.name.clone(),
                    available: feature.available,
                    used: feature.used,
                    detail: feature.detail.clone(),
                })
                .collect(),
        }
    }
}

impl From<&Whole> for Experiment {
    fn from(whole: &Whole) -> Self {
        let experiment = &whole.experiment;
        let nodes = whole.nodes.iter().map(|node| unless_empty(node));
        Self {
            id: unless_empty(&experiment.id),
            state: words::state(experiment.state()),
            end_reason: end_reason(experiment.end_reason()),
            end_detail: unless_empty(&experiment.end_detail),
            selector: experiment.selector.as_ref().map(Selector::from),
            rules: experiment.rules.iter().map(Rule::from).collect(),
            duration_ns: ns(experiment.duration.as_ref()),
            remaining_ns: ns(experiment.remaining.as_ref()),
            detached: experiment.detached,
            seed: experiment.seed.to_string(),
            line_engine: words::engine(experiment.line_engine()),
            started_by: unless_empty(&experiment.started_by),
            nodes: whole
                .parts
                .iter()
                .map(|part| Node::new(part, &experiment.rules))
                .collect(),
            targets: experiment
                .targets
                .iter()
                .zip(nodes)
                .map(|(target, node)| Target::new(target, node))
                .collect(),
            totals: Counters::from(&tally::of_experiment(experiment)),
        }
    }
}

impl From<&wire::Selector> for Selector {
    fn from(selector: &wire::Selector) -> Self {
        let point = selector.r#where.clone().map(|point| match point {
            Where::Service(service) => Point::Service {
                name: service.name,
                namespace: unless_empty(&service.namespace).unwrap_or_else(|| "default".to_owned()),
            },
            Where::Netns(netns) => Point::Netns { netns },
            Where::Pid(pid) => Point::Pid { pid },
            Where::Cgroup(cgroup) => Point::Cgroup { cgroup },
            Where::Node(_) => Point::Node,
            Where::Pods(pods) => Point::Pods {
                pods: pods.pods.into_iter().map(|pod| pod.name).collect(),
                origin: pods.origin.as_ref().map(Origin::from),
                container: unless_empty(&pods.container),
            },
        });
        Self {
            point,
            interface: unless_empty(&selector.interface),
        }
    }
}

impl Node {
    /// With its rules where they are others than those of the experiment.
    fn new(part: &Part, rules: &[wire::Rule]) -> Self {
        let own = Some(&part.rules).filter(|own| *own != rules);
        Self {
            rules: own.map(|own| own.iter().map(Rule::from).collect()),
            node: unless_empty(&part.node),
            id: unless_empty(&part.id),
            state: words::state(part.state),
            end_reason: end_reason(part.end_reason),
            end_detail: unless_empty(&part.end_detail),
            lost: part.is_lost,
        }
    }
}

impl Target {
    fn new(target: &wire::Target, node: Option<String>) -> Self {
        let mut counters = target.counters.iter();
        let hits_requests = counters.any(|counters| counters.requests.is_some());
        Self {
            node,
            pod: target.pod.as_ref().map(|pod| Pod {
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
                uid: pod.uid.clone(),
            }),
            name: target.name.clone(),
            netns: target.netns.clone(),
            interface: target.interface.clone(),
            ifindex: target.ifindex,
            gone: target.gone,
            xdp: words::xdp(target.xdp()),
            keeps_source: hits_requests.then_some(target.keeps_source),
            note: unless_empty(&target.note),
            counters: target.counters.iter().map(Counters::from).collect(),
        }
    }
}

fn end_reason(reason: wire::EndReason) -> Option<String> {
    words::end_reason(reason).map(|reason| reason.replace(' ', "_"))
}

fn ns(time: Option<&prost_types::Duration>) -> u64 {
    u64::try_from(from_wire(time).as_nanos()).unwrap_or(u64::MAX)
}

fn unless_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
