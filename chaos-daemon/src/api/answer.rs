//! From what the engine knows to messages.

use std::time::Instant;

use chaos_proto::v1;

use super::{fault, filter, pods, wire::write_time};
use crate::{
    attach::features::Features,
    engine::{
        AttachMode, Counters, EndReason, Experiment, Hit, LineEngine, Requests, Rule, Selector,
        Spec, State, Target, Where, XdpMode,
    },
    policy::Guard,
};

/// What all experiments of one agent have in common.
#[derive(Clone)]
pub(super) struct Here {
    /// Name of its node.
    pub(super) node: String,
    /// What holds its packets.
    pub(super) engine: Option<LineEngine>,
}

/// An experiment as the engine has it.
pub(super) fn experiment(experiment: &Experiment, here: &Here) -> v1::Experiment {
    let remaining = experiment.remaining(Instant::now());
    let (state, reason, detail) = match &experiment.state {
        State::Prepared => (v1::State::Prepared, v1::EndReason::Unspecified, ""),
        State::Armed => (v1::State::Armed, v1::EndReason::Unspecified, ""),
        State::Ended(ending) => (
            v1::State::Ended,
            end_reason(ending.reason),
            ending.detail.as_str(),
        ),
    };
    v1::Experiment {
        id: experiment.id.clone(),
        state: state.into(),
        end_reason: reason.into(),
        end_detail: detail.to_owned(),
        remaining: Some(write_time(remaining)),
        targets: experiment.hits.iter().map(hit).collect(),
        started_by: experiment.started_by.clone().unwrap_or_default(),
        ..planned(&experiment.spec, here)
    }
}

/// An experiment that will not be.
pub(super) fn plan(
    id: Option<String>,
    spec: &Spec,
    targets: &[Target],
    here: &Here,
) -> v1::Experiment {
    v1::Experiment {
        id: id.unwrap_or_default(),
        targets: targets.iter().map(target).collect(),
        ..planned(spec, here)
    }
}

/// What a guard says.
pub(super) fn guard(guard: Guard) -> v1::Guard {
    v1::Guard {
        name: guard.name.to_owned(),
        allows: guard.allows,
        detail: guard.detail,
    }
}

/// What the agent is.
pub(super) fn description(features: &Features, here: &Here) -> v1::DescribeResponse {
    let uname = nix::sys::utsname::uname();
    let text = |part: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        uname.as_ref().map_or_else(
            |_| String::new(),
            |uname| part(uname).to_string_lossy().into_owned(),
        )
    };
    v1::DescribeResponse {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel_release: text(nix::sys::utsname::UtsName::release),
        node_name: here.node.clone(),
        attach_mode: match features.attach_mode {
            AttachMode::Tcx => v1::AttachMode::Tcx,
            AttachMode::Clsact => v1::AttachMode::Clsact,
        }
        .into(),
        line_engine: line_engine(features.line_engine).into(),
        features: features
            .list
            .iter()
            .map(|feature| v1::Feature {
                name: feature.name.to_owned(),
                available: feature.available,
                used: feature.used,
                detail: feature.detail.clone(),
            })
            .collect(),
    }
}

fn planned(spec: &Spec, here: &Here) -> v1::Experiment {
    let engine = if spec.delays() {
        line_engine(here.engine)
    } else {
        v1::LineEngine::Unspecified
    };
    v1::Experiment {
        selector: Some(selector(&spec.selector)),
        rules: spec.rules.iter().map(rule).collect(),
        duration: Some(write_time(spec.duration)),
        remaining: Some(write_time(spec.duration)),
        detached: spec.detached,
        seed: spec.seed,
        line_engine: engine.into(),
        node: here.node.clone(),
        ..v1::Experiment::default()
    }
}

fn selector(selector: &Selector) -> v1::Selector {
    use v1::selector::Where as Wire;
    let at = match &selector.at {
        // The inventory's text was the asker's; it need not travel back.
        Where::Service {
            name,
            namespace,
            inventory: _,
            inventory_file: _,
        } => Wire::Service(v1::ServiceSelector {
            name: name.clone(),
            namespace: namespace.clone(),
            inventory: String::new(),
            inventory_file: String::new(),
        }),
        Where::Netns(name) => Wire::Netns(name.clone()),
        Where::Pid(pid) => Wire::Pid(*pid),
        Where::Cgroup(path) => Wire::Cgroup(path.clone()),
        Where::Node => Wire::Node(v1::NodeSelector {}),
        Where::Pods(chosen) => Wire::Pods(pods::write(chosen)),
    };
    v1::Selector {
        r#where: Some(at),
        interface: selector.interface.clone().unwrap_or_default(),
    }
}

fn rule(rule: &Rule) -> v1::Rule {
    v1::Rule {
        filter: Some(filter::write(&rule.filter)),
        fault: Some(fault::write(&rule.fault)),
        pulse: rule.pulse.map(|pulse| v1::Pulse {
            on: Some(write_time(pulse.on)),
            off: Some(write_time(pulse.off)),
        }),
    }
}

fn hit(hit: &Hit) -> v1::Target {
    v1::Target {
        gone: hit.gone,
        xdp: match hit.xdp {
            None => v1::XdpMode::Unspecified,
            Some(XdpMode::Native) => v1::XdpMode::Native,
            Some(XdpMode::Generic) => v1::XdpMode::Generic,
        }
        .into(),
        counters: hit.counters.iter().map(counters).collect(),
        keeps_source: hit.entrance.as_ref().is_some_and(|of| of.keeps_source),
        note: hit
            .entrance
            .as_ref()
            .map_or_else(String::new, |entrance| entrance.note.clone()),
        ..target(&hit.target)
    }
}

fn target(target: &Target) -> v1::Target {
    v1::Target {
        name: target.name.clone(),
        netns: target.netns.path().display().to_string(),
        interface: target.interface.clone(),
        ifindex: target.ifindex,
        gone: false,
        counters: Vec::new(),
        xdp: v1::XdpMode::Unspecified.into(),
        pod: target.pod.as_ref().map(pods::write_one),
        keeps_source: false,
        note: String::new(),
    }
}

fn counters(counters: &Counters) -> v1::Counters {
    let Counters { packets, requests } = counters;
    v1::Counters {
        matched_packets: requests.map_or(packets.matched_packets, |requests| requests.taken()),
        matched_bytes: packets.matched_bytes,
        delayed_packets: packets.delayed_packets,
        delayed_bytes: packets.delayed_bytes,
        dropped_packets: packets.dropped_packets,
        dropped_bytes: packets.dropped_bytes,
        undelayed_packets: packets.undelayed_packets,
        duplicated_packets: packets.duplicated_packets,
        corrupted_packets: packets.corrupted_packets,
        answered_packets: packets.answered_packets,
        rewritten_packets: packets.rewritten_packets,
        requests: requests.as_ref().map(self::requests),
    }
}

const fn requests(requests: &Requests) -> v1::Requests {
    v1::Requests {
        seen: requests.seen,
        excluded: requests.excluded,
        unmatched: requests.unmatched,
        delayed: requests.delayed,
        errors: requests.errors,
        aborted: requests.aborted,
        throttled: requests.throttled,
        truncated: requests.truncated,
        headers_changed: requests.headers_changed,
        passed: requests.passed,
        upstream_failed: requests.upstream_failed,
        connections: requests.connections,
        open_connections: requests.open_connections,
        closed_existing: requests.closed_existing,
        encrypted_connections: requests.encrypted_connections,
        other_connections: requests.other_connections,
        unframed: requests.unframed,
        spared: requests.spared,
    }
}

const fn end_reason(reason: EndReason) -> v1::EndReason {
    match reason {
        EndReason::Expired => v1::EndReason::Expired,
        EndReason::Stopped => v1::EndReason::Stopped,
        EndReason::ClientGone => v1::EndReason::ClientGone,
        EndReason::TargetGone => v1::EndReason::TargetGone,
        EndReason::AgentStopped => v1::EndReason::AgentStopped,
        EndReason::AgentStalled => v1::EndReason::AgentStalled,
        EndReason::Failed => v1::EndReason::Failed,
    }
}

const fn line_engine(engine: Option<LineEngine>) -> v1::LineEngine {
    match engine {
        None => v1::LineEngine::Unspecified,
        Some(LineEngine::Fq) => v1::LineEngine::Fq,
        Some(LineEngine::Tap) => v1::LineEngine::Tap,
    }
}
