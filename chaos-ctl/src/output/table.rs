//! Columns for a person: no lines, no colours, the same whether piped or not.

use std::fmt::Write as _;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Counters, DescribeResponse, DnsReply, Experiment, State, Target};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use super::{effect, tally, words};
use crate::quantity::{bytes, from_wire, packets, time_in_words};

/// What an experiment hit, a line for each target, and the sum when there are several. What few faults do has a column
/// only where it was asked for.
pub fn hits(experiment: &Experiment) -> String {
    let total = tally::of_experiment(experiment);
    let has = |is: fn(&Fault) -> bool| {
        let mut faults = experiment.rules.iter().flat_map(|rule| &rule.fault);
        faults.any(is)
    };
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| (column.count)(&total) > 0 || has(column.is_of))
        .collect();
    let mut header = vec!["TARGET", "INTERFACE", "MATCHED", "DELAYED", "DROPPED"];
    header.extend(columns.iter().map(|column| column.name));
    let mut table = table(&header);
    for target in &experiment.targets {
        let mut row = vec![name(target), target.interface.clone()];
        row.extend(cells(&columns, &tally::of_target(target)));
        table.add_row(row);
    }
    if experiment.targets.len() != 1 {
        let mut row = vec!["total".to_owned(), String::new()];
        row.extend(cells(&columns, &total));
        table.add_row(row);
    }
    finish(&table)
}

/// A column that is not always there.
struct Column {
    name: &'static str,
    count: fn(&Counters) -> u64,
    /// Whether the fault asks for it.
    is_of: fn(&Fault) -> bool,
}

const COLUMNS: [Column; 4] = [
    Column {
        name: "DUPLICATED",
        count: |counters| counters.duplicated_packets,
        is_of: |fault| matches!(fault, Fault::Duplicate(_)),
    },
    Column {
        name: "CORRUPTED",
        count: |counters| counters.corrupted_packets,
        is_of: |fault| matches!(fault, Fault::Corrupt(corrupt) if !corrupt.drop),
    },
    Column {
        name: "ANSWERED",
        count: |counters| counters.answered_packets,
        is_of: |fault| {
            matches!(fault, Fault::Partition(partition) if partition.reject)
                || matches!(fault, Fault::Reset(_))
                || matches!(fault, Fault::Dns(dns) if dns.reply() != DnsReply::Drop)
        },
    },
    Column {
        name: "REWRITTEN",
        count: |counters| counters.rewritten_packets,
        is_of: |fault| matches!(fault, Fault::Rewrite(_)),
    },
];

fn cells(columns: &[&Column], counters: &Counters) -> Vec<String> {
    let cell = |count, size| match count {
        0 => "0".to_owned(),
        count => format!("{} ({})", packets(count), bytes(size)),
    };
    let always = [
        cell(counters.matched_packets, counters.matched_bytes),
        cell(counters.delayed_packets, counters.delayed_bytes),
        cell(counters.dropped_packets, counters.dropped_bytes),
    ];
    let others = columns
        .iter()
        .map(|column| packets((column.count)(counters)));
    always.into_iter().chain(others).collect()
}

/// What would happen: targets, rules, and the effect to expect.
pub fn plan(experiment: &Experiment) -> String {
    let mut text = String::new();
    if experiment.targets.is_empty() {
        text.push_str("No targets.\n");
    } else {
        let mut table = table(&["TARGET", "NETNS", "INTERFACE"]);
        for target in &experiment.targets {
            table.add_row([target.name.clone(), target.netns.clone(), interface(target)]);
        }
        text.push_str(&finish(&table));
        text.push('\n');
    }
    for rule in &experiment.rules {
        let _ = write!(
            text,
            "\nRule:   {}\nEffect: {}",
            words::rule(rule),
            effect::of_rule(rule)
        );
    }
    let _ = write!(
        text,
        "\nTime:   {}\n\nNothing was applied.",
        time_in_words(from_wire(experiment.duration.as_ref()))
    );
    text
}

/// Experiments, one in a line.
pub fn list(experiments: &[Experiment]) -> String {
    if experiments.is_empty() {
        return String::new();
    }
    let mut table = table(&["ID", "STATE", "WHERE", "TARGETS", "WHAT", "REMAINING"]);
    for experiment in experiments {
        table.add_row([
            experiment.id.clone(),
            state(experiment),
            words::selector(experiment.selector.as_ref()),
            experiment.targets.len().to_string(),
            words::summary(experiment),
            remaining(experiment),
        ]);
    }
    finish(&table)
}

/// Everything about one experiment.
pub fn status(experiment: &Experiment) -> String {
    let mut lines = vec![
        ("Id:", experiment.id.clone()),
        ("State:", state(experiment)),
    ];
    if !experiment.end_detail.is_empty() {
        lines.push(("", experiment.end_detail.clone()));
    }
    lines.push(("Where:", words::selector(experiment.selector.as_ref())));
    for rule in &experiment.rules {
        lines.push(("Rule:", words::rule(rule)));
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
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<11}{value}");
    }
    text.push('\n');
    text.push_str(&hits(experiment));
    text
}

/// What several experiments hit, each under its id.
pub fn stopped(experiments: &[Experiment]) -> String {
    let parts: Vec<_> = experiments
        .iter()
        .map(|experiment| {
            format!(
                "{}: {} ({})\n{}",
                experiment.id,
                words::summary(experiment),
                state(experiment),
                hits(experiment)
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

fn name(target: &Target) -> String {
    let gone = if target.gone { " (gone)" } else { "" };
    format!("{}{gone}", target.name)
}

fn interface(target: &Target) -> String {
    format!("{} (number {})", target.interface, target.ifindex)
}

fn state(experiment: &Experiment) -> String {
    let state = words::state(experiment.state());
    match words::end_reason(experiment.end_reason()) {
        Some(reason) => format!("{state}: {reason}"),
        None => state.to_owned(),
    }
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
