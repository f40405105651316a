//! Messages of the wire in words.

pub mod dns;
mod fault;
mod rewrite;
mod rule;
pub mod service;

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{
    AttachMode, Connections, Direction, Distribution, EndReason, Experiment, Filter, LineEngine,
    PodsSelector, Protocol, Selector, State, XdpMode,
};

use super::requests;
use super::whole::Whole;

pub use fault::fault;
pub use rewrite::{hex, rewritten};
pub use rule::{pulse, rule};

/// A state in one word.
pub fn state(state: State) -> &'static str {
    match state {
        State::Unspecified => "unknown",
        State::Prepared => "prepared",
        State::Armed => "armed",
        State::Ended => "ended",
    }
}

/// The reason of an end in one or two words; nothing before the end.
pub fn end_reason(reason: EndReason) -> Option<&'static str> {
    match reason {
        EndReason::Unspecified => None,
        EndReason::Expired => Some("expired"),
        EndReason::Stopped => Some("stopped"),
        EndReason::ClientGone => Some("client gone"),
        EndReason::TargetGone => Some("target gone"),
        EndReason::AgentStopped => Some("agent stopped"),
        EndReason::AgentStalled => Some("agent stalled"),
        EndReason::Failed => Some("failed"),
    }
}

/// The reason of an end as a sentence's second half: "it ended because …".
pub fn end_because(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Unspecified => "the agent gave no reason",
        EndReason::Expired => "its duration has passed",
        EndReason::Stopped => "somebody stopped it",
        EndReason::ClientGone => "its client was gone for longer than its grace period",
        EndReason::TargetGone => "all its targets are gone",
        EndReason::AgentStopped => "the agent was told to stop",
        EndReason::AgentStalled => "the agent hung, and the kernel ended the fault without it",
        EndReason::Failed => "something that it needs broke",
    }
}

/// The name of a delay line's engine.
pub fn engine(engine: LineEngine) -> Option<&'static str> {
    match engine {
        LineEngine::Unspecified => None,
        LineEngine::Fq => Some("fq"),
        LineEngine::Tap => Some("tap"),
    }
}

/// The name of a way to attach.
pub fn attach_mode(mode: AttachMode) -> Option<&'static str> {
    match mode {
        AttachMode::Unspecified => None,
        AttachMode::Tcx => Some("tcx"),
        AttachMode::Clsact => Some("clsact"),
    }
}

/// The name of a way to XDP.
pub fn xdp(mode: XdpMode) -> Option<&'static str> {
    match mode {
        XdpMode::Unspecified => None,
        XdpMode::Native => Some("native"),
        XdpMode::Generic => Some("generic"),
    }
}

/// What the user pointed at: `service web (namespace default)`.
pub fn selector(selector: Option<&Selector>) -> String {
    let Some(selector) = selector else {
        return "nothing".to_owned();
    };
    let mut text = match &selector.r#where {
        None => "nothing".to_owned(),
        Some(Where::Service(service)) if service.namespace.is_empty() => {
            format!("service {}", service.name)
        }
        Some(Where::Service(service)) => {
            format!("service {} (namespace {})", service.name, service.namespace)
        }
        Some(Where::Netns(netns)) => format!("netns {netns}"),
        Some(Where::Pid(pid)) => format!("pid {pid}"),
        Some(Where::Cgroup(cgroup)) => format!("cgroup {cgroup}"),
        Some(Where::Node(_)) => "node".to_owned(),
        Some(Where::Pods(pods)) => self::pods(pods),
    };
    if !selector.interface.is_empty() {
        text.push_str(", interface ");
        text.push_str(&selector.interface);
    }
    text
}

/// `service web (namespace shop): 5 pods`, or where they were named one by one their names or number.
fn pods(pods: &PodsSelector) -> String {
    let mut text = match (&pods.origin, &pods.pods[..]) {
        (Some(origin), all) => {
            let kind = match origin.kind.as_str() {
                "Service" => "service",
                "Pod" => "pods with",
                kind => kind,
            };
            let (name, namespace) = (&origin.name, &origin.namespace);
            let count = counted(all.len(), "pod");
            format!("{kind} {name} (namespace {namespace}): {count}")
        }
        (None, [pod]) => format!("pod {} (namespace {})", pod.name, pod.namespace),
        (None, all) => counted(all.len(), "pod"),
    };
    if !pods.container.is_empty() {
        text.push_str(", container ");
        text.push_str(&pods.container);
    }
    text
}

/// `1 target`, `5 targets`.
pub fn targets(count: usize) -> String {
    counted(count, "target")
}

/// `5 targets`, or where they are on several nodes `5 targets on 2 nodes`.
pub fn places(whole: &Whole) -> String {
    let count = targets(whole.experiment.targets.len());
    if whole.is_spread() {
        format!("{count} on {}", counted(whole.node_count(), "node"))
    } else {
        count
    }
}

/// A number of things, in singular where it is one.
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// All faults of an experiment in a few words: `delay 100 ms egress`.
pub fn summary(experiment: &Experiment) -> String {
    let parts: Vec<_> = experiment
        .rules
        .iter()
        .map(|rule| {
            let direction = rule
                .filter
                .as_ref()
                .map_or(Direction::Egress, Filter::direction);
            if rule.fault.as_ref().is_some_and(requests::is_of) {
                // They only arrive.
                return fault(rule);
            }
            format!("{} {}", fault(rule), self::direction(direction))
        })
        .collect();
    parts.join(" + ")
}

/// A direction in one word.
pub fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Unspecified | Direction::Egress => "egress",
        Direction::Ingress => "ingress",
        Direction::Both => "both",
    }
}

/// A protocol in one word; nothing for any.
pub fn protocol(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Unspecified => None,
        Protocol::Tcp => Some("tcp"),
        Protocol::Udp => Some("udp"),
        Protocol::Icmp => Some("icmp"),
    }
}

/// Connections in one word; nothing for all.
pub fn connections(connections: Connections) -> Option<&'static str> {
    match connections {
        Connections::Unspecified => None,
        Connections::New => Some("new"),
        Connections::Established => Some("established"),
    }
}

/// A distribution in one word.
pub fn distribution(distribution: Distribution) -> &'static str {
    match distribution {
        Distribution::Unspecified | Distribution::Uniform => "uniform",
        Distribution::Normal => "normal",
        Distribution::Pareto => "pareto",
        Distribution::Paretonormal => "paretonormal",
    }
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::{Origin, Pod};

    use super::*;

    #[test]
    fn pods_are_called_by_what_they_were_chosen_from() {
        let pod = |name: &str| Pod {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            uid: String::new(),
        };
        let origin = |kind: &str, name: &str| {
            Some(Origin {
                kind: kind.to_owned(),
                namespace: "shop".to_owned(),
                name: name.to_owned(),
                ..Origin::default()
            })
        };
        for (origin, count, text) in [
            (
                origin("Service", "web"),
                2,
                "service web (namespace shop): 2 pods",
            ),
            (
                origin("Pod", "app=web"),
                1,
                "pods with app=web (namespace shop): 1 pod",
            ),
            (
                origin("Deployment", "web"),
                1,
                "Deployment web (namespace shop): 1 pod",
            ),
            (None, 1, "pod a (namespace shop)"),
            (None, 2, "2 pods"),
        ] {
            let all = ["a", "b"].map(pod);
            let mut of = PodsSelector {
                pods: all[..count].to_vec(),
                origin,
                container: String::new(),
            };
            assert_eq!(pods(&of), text);
            of.container = "app".to_owned();
            assert_eq!(pods(&of), format!("{text}, container app"));
        }
    }
}
