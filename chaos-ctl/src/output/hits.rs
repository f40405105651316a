//! What was hit, in columns: packets, requests, or both.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Counters, DnsReply, Experiment, Target};

use super::table::{Nodes, finish, name, table};
use super::whole::Whole;
use super::{requests, tally};
use crate::quantity::{bytes, packets};

/// What an experiment hit, a line for each target, and the sum when there are several. What few faults do has a column
/// only where it was asked for.
pub fn hits(whole: &Whole) -> String {
    let faults = || whole.experiment.rules.iter().flat_map(|rule| &rule.fault);
    let has_requests = faults().any(requests::is_of);
    let has_packets = !has_requests || !faults().all(requests::is_of);
    let tables = [
        has_packets.then(|| of_packets(whole)),
        has_requests.then(|| of_requests(whole)),
    ];
    let tables: Vec<String> = tables.into_iter().flatten().collect();
    tables.join("\n\n")
}

fn of_packets(whole: &Whole) -> String {
    let experiment = &whole.experiment;
    let total = packets_of(&experiment.targets);
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
    let row = |target: &Target| {
        let place = [name(target), target.interface.clone()];
        let cells = cells(&columns, &packets_of([target]));
        place.into_iter().chain(cells).collect()
    };
    lines(whole, &header, row, cells(&columns, &total))
}

/// Nothing of it has to do with an interface.
fn of_requests(whole: &Whole) -> String {
    let experiment = &whole.experiment;
    let columns = requests::columns(experiment);
    let mut header = vec!["TARGET"];
    header.extend(columns.iter().map(|column| column.name));
    let row = |target: &Target| {
        let cells = requests::cells(&columns, tally::of_target(target).requests);
        std::iter::once(name(target)).chain(cells).collect()
    };
    let total = tally::of_experiment(experiment).requests;
    lines(whole, &header, row, requests::cells(&columns, total))
}

/// A line for each target, and the sum when there are several.
fn lines(
    whole: &Whole,
    header: &[&'static str],
    row: impl Fn(&Target) -> Vec<String>,
    total: Vec<String>,
) -> String {
    let Experiment { targets, .. } = &whole.experiment;
    let nodes = Nodes::of(whole);
    let header = nodes.header(header);
    let mut table = table(&header);
    for (place, target) in targets.iter().enumerate() {
        let mut cells = nodes.cell(place);
        cells.extend(row(target));
        table.add_row(cells);
    }
    if targets.len() != 1 {
        let mut cells = vec!["total".to_owned()];
        cells.resize(header.len() - total.len(), String::new());
        cells.extend(total);
        table.add_row(cells);
    }
    finish(&table)
}

/// What rules of packets did.
fn packets_of<'a>(targets: impl IntoIterator<Item = &'a Target>) -> Counters {
    let counters = targets.into_iter().flat_map(|target| &target.counters);
    tally::sum(counters.filter(|counters| counters.requests.is_none()))
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
