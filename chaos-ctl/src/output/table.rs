//! Columns for a person: no lines, no colours, the same whether piped or not.

use std::fmt::Write as _;

use chaos_proto::v1::{DescribeResponse, EndReason, Experiment, State, Target};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

pub use super::hits::hits;
use super::whole::{Part, Whole};
use super::{effect, words};
use crate::client::Address;
use crate::quantity::{from_wire, time_in_words};

/// The phases of a drill: name, length, requests, failed, dropped, and four figures of their latency.
pub fn phases(rows: &[[String; 9]]) -> String {
    let header = [
        "PHASE", "LENGTH", "REQUESTS", "FAILED", "DROPPED", "MED", "P(95)", "P(99)", "MAX",
    ];
    let mut table = table(&header);
    for row in rows {
        table.add_row(row);
    }
    finish(&table)
}

/// A column for the nodes, where targets are on several.
pub(super) struct Nodes<'a>(pub(super) Option<&'a [String]>);

impl<'a> Nodes<'a> {
    pub(super) fn of(whole: &'a Whole) -> Self {
        Self(whole.is_spread().then_some(&whole.nodes))
    }

    pub(super) fn header(&self, names: &[&'static str]) -> Vec<&'static str> {
        let node = self.0.map(|_| "NODE");
        node.into_iter().chain(names.iter().copied()).collect()
    }

    pub(super) fn cell(&self, place: usize) -> Vec<String> {
        self.0
            .map(|nodes| nodes.get(place).cloned().unwrap_or_default())
            .into_iter()
            .collect()
    }
}

/// What would happen: targets, rules, and the effect to expect.
///
/// With what else the agent says to it.
pub fn plan(whole: &Whole, said: &str) -> String {
    let experiment = &whole.experiment;
    let mut text = String::new();
    if experiment.targets.is_empty() {
        text.push_str("No targets.\n");
    } else {
        let nodes = Nodes::of(whole);
        let mut table = table(&nodes.header(&["TARGET", "NETNS", "INTERFACE"]));
        for (place, target) in experiment.targets.iter().enumerate() {
            let mut row = nodes.cell(place);
            row.extend([target.name.clone(), target.netns.clone(), interface(target)]);
            table.add_row(row);
        }
        text.push_str(&finish(&table));
        text.push('\n');
        for target in &experiment.targets {
            if !target.note.is_empty() {
                let _ = write!(text, "\nDoor:   {}: {}", target.name, target.note);
            }
        }
    }
    for (rule, on) in whole.rules().each() {
        let _ = write!(
            text,
            "\nRule:   {}{on}\nEffect: {}",
            words::rule(rule),
            effect::of_rule(rule)
        );
    }
    let _ = write!(
        text,
        "\nTime:   {}{said}\n\nNothing was applied.",
        time_in_words(from_wire(experiment.duration.as_ref()))
    );
    text
}

/// Experiments, one in a line.
pub fn list(wholes: &[Whole]) -> String {
    if wholes.is_empty() {
        return String::new();
    }
    let is_spread = wholes.iter().any(|whole| whole.node_count() > 1);
    let node = is_spread.then_some("NODES");
    let header =
        ["ID", "STATE", "WHERE"]
            .into_iter()
            .chain(node)
            .chain(["TARGETS", "WHAT", "REMAINING"]);
    let mut table = table(&header.collect::<Vec<_>>());
    for whole in wholes {
        let experiment = &whole.experiment;
        let mut row = vec![
            experiment.id.clone(),
            state(experiment),
            words::selector(experiment.selector.as_ref()),
        ];
        row.extend(is_spread.then(|| whole.node_count().to_string()));
        row.extend([
            experiment.targets.len().to_string(),
            words::summary(experiment),
            remaining(experiment),
        ]);
        table.add_row(row);
    }
    finish(&table)
}

/// Everything about one experiment.
pub fn status(whole: &Whole) -> String {
    let experiment = &whole.experiment;
    let mut lines = vec![
        ("Id:", experiment.id.clone()),
        ("State:", state(experiment)),
    ];
    if !experiment.end_detail.is_empty() {
        lines.push(("", experiment.end_detail.clone()));
    }
    lines.push(("Where:", words::selector(experiment.selector.as_ref())));
    for (rule, on) in whole.rules().each() {
        lines.push(("Rule:", format!("{}{on}", words::rule(rule))));
    }
    lines.push((
        "Duration:",
        time_in_words(from_wire(experiment.duration.as_ref())),
    ));
    lines.push(("Remaining:", remaining(experiment)));
    let client = if experiment.detached {
        "detached"
    } else {
        "attached"
    };
    lines.push(("Client:", client.to_owned()));
    lines.push(("Seed:", experiment.seed.to_string()));
    let engine = words::engine(experiment.line_engine()).unwrap_or("none needed");
    lines.push(("Engine:", engine.to_owned()));
    for target in &experiment.targets {
        if let Some(mode) = words::xdp(target.xdp()) {
            lines.push(("XDP:", format!("{mode}, on {}", target.interface)));
        }
    }
    for target in &experiment.targets {
        if !target.note.is_empty() {
            lines.push(("Door:", format!("{}: {}", target.name, target.note)));
        }
    }
    if !experiment.started_by.is_empty() {
        lines.push(("By:", experiment.started_by.clone()));
    }
    if whole.parts.len() > 1 {
        for part in &whole.parts {
            lines.push(("Node:", self::part(part)));
        }
    } else if let Some(part) = whole.parts.first().filter(|part| !part.node.is_empty()) {
        lines.push(("Node:", part.node.clone()));
    }
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<11}{value}");
    }
    text.push('\n');
    text.push_str(&hits(whole));
    text
}

/// What several experiments hit, each under its id.
pub fn stopped(wholes: &[Whole]) -> String {
    let parts: Vec<_> = wholes
        .iter()
        .map(|whole| {
            format!(
                "{}: {} ({})\n{}",
                whole.experiment.id,
                words::summary(&whole.experiment),
                state(&whole.experiment),
                hits(whole)
            )
        })
        .collect();
    parts.join("\n\n")
}

/// What an agent's kernel offers and what the agent uses.
pub fn doctor(address: &impl ToString, agent: &DescribeResponse) -> String {
    let attach =
        words::attach_mode(agent.attach_mode()).unwrap_or("nothing works: no fault can be applied");
    let engine =
        words::engine(agent.line_engine()).unwrap_or("nothing works: no delay can be applied");
    let mut text = format!(
        "Agent:      chaos-daemon {} at {}\nNode:       {}, kernel {}\nAttach:     {attach}\nDelay line: {engine}\n",
        agent.agent_version,
        address.to_string(),
        agent.node_name,
        agent.kernel_release,
    );
    if agent.features.is_empty() {
        return text;
    }
    let mut table = table(&["FEATURE", "AVAILABLE", "USED", "DETAIL"]);
    let yes = |yes| if yes { "yes" } else { "no" };
    for feature in &agent.features {
        table.add_row([
            feature.name.as_str(),
            yes(feature.available),
            yes(feature.used),
            feature.detail.as_str(),
        ]);
    }
    text.push('\n');
    text.push_str(&finish(&table));
    text
}

/// What the kernels of all nodes offer, a line for each.
pub fn doctors(agents: &[(String, (Address, DescribeResponse))]) -> String {
    let mut table = table(&["NODE", "AGENT", "KERNEL", "ATTACH", "DELAY LINE", "POD"]);
    for (node, (address, agent)) in agents {
        let pod = match address {
            Address::Pod { pod, .. } => pod.clone(),
            Address::Socket(_) | Address::Server(_) => address.to_string(),
        };
        table.add_row([
            node,
            &agent.agent_version,
            &agent.kernel_release,
            words::attach_mode(agent.attach_mode()).unwrap_or("nothing works"),
            words::engine(agent.line_engine()).unwrap_or("nothing works"),
            &pod,
        ]);
    }
    finish(&table)
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

/// Cells start at the margin, and lines end with their last word.
pub(super) fn finish(table: &Table) -> String {
    let lines: Vec<_> = table
        .lines()
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect();
    lines.join("\n")
}

pub(super) fn name(target: &Target) -> String {
    let gone = if target.gone { " (gone)" } else { "" };
    format!("{}{gone}", target.name)
}

fn interface(target: &Target) -> String {
    format!("{} (number {})", target.interface, target.ifindex)
}

fn state(experiment: &Experiment) -> String {
    state_and_reason(experiment.state(), experiment.end_reason())
}

fn state_and_reason(state: State, reason: EndReason) -> String {
    let state = words::state(state);
    match words::end_reason(reason) {
        Some(reason) => format!("{state}: {reason}"),
        None => state.to_owned(),
    }
}

/// One node's part of an experiment: `worker-1, delay-3f9a1c.2, armed`.
fn part(part: &Part) -> String {
    let mut text = format!(
        "{}, {}, {}",
        part.node,
        part.id,
        state_and_reason(part.state, part.end_reason)
    );
    if part.is_lost {
        text.push_str(" (as last seen)");
    }
    if !part.end_detail.is_empty() {
        let _ = write!(text, ": {}", part.end_detail);
    }
    text
}

fn remaining(experiment: &Experiment) -> String {
    match experiment.state() {
        State::Ended => "-".to_owned(),
        State::Unspecified | State::Prepared | State::Armed => {
            let left = from_wire(experiment.remaining.as_ref());
            time_in_words(super::progress::to_tenths(left))
        }
    }
}
