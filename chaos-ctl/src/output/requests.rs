//! What was done to requests, in columns.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Experiment, Requests};

use super::tally;
use crate::quantity::packets;

/// A column, and whether it is there although there is nothing to count.
pub(super) struct Column {
    /// Its head.
    pub(super) name: &'static str,
    count: fn(&Requests) -> u64,
    is_of: fn(&Fault) -> bool,
}

const COLUMNS: [Column; 11] = [
    Column {
        name: "REQUESTS",
        count: taken,
        is_of: |_| true,
    },
    Column {
        name: "DELAYED",
        count: |requests| requests.delayed,
        is_of: |fault| {
            matches!(fault, Fault::Http(http) if http.delay.is_some())
                || matches!(fault, Fault::Grpc(grpc) if grpc.delay.is_some())
        },
    },
    Column {
        name: "ERRORS",
        count: |requests| requests.errors,
        is_of: |fault| {
            matches!(fault, Fault::Http(http) if http.error_ppm > 0 || http.error_first > 0)
                || matches!(fault, Fault::Grpc(grpc) if grpc.error_ppm > 0 || grpc.error_first > 0)
        },
    },
    Column {
        name: "ABORTED",
        count: |requests| requests.aborted,
        is_of: |fault| matches!(fault, Fault::Http(http) if http.abort_ppm > 0),
    },
    Column {
        name: "THROTTLED",
        count: |requests| requests.throttled,
        is_of: |fault| matches!(fault, Fault::Http(http) if http.throttle_bytes_per_second > 0),
    },
    Column {
        name: "TRUNCATED",
        count: |requests| requests.truncated,
        is_of: |fault| matches!(fault, Fault::Http(http) if http.truncate_body.is_some()),
    },
    Column {
        name: "CHANGED",
        count: |requests| requests.headers_changed,
        is_of: |_| false,
    },
    Column {
        name: "EXCLUDED",
        count: |requests| requests.excluded,
        is_of: |_| false,
    },
    Column {
        name: "CONNECTIONS",
        count: |requests| requests.connections,
        is_of: |_| true,
    },
    Column {
        name: "ENCRYPTED",
        count: |requests| requests.encrypted_connections,
        is_of: |_| false,
    },
    Column {
        name: "OTHER",
        count: |requests| requests.other_connections.saturating_add(requests.unframed),
        is_of: |_| false,
    },
];

/// Requests that the rules took.
pub fn taken(requests: &Requests) -> u64 {
    requests
        .seen
        .saturating_sub(requests.excluded)
        .saturating_sub(requests.unmatched)
}

/// The columns that have something to say.
pub(super) fn columns(experiment: &Experiment) -> Vec<&'static Column> {
    let total = tally::of_experiment(experiment).requests;
    let total = total.unwrap_or_default();
    let has = |is: fn(&Fault) -> bool| {
        let mut faults = experiment.rules.iter().flat_map(|rule| &rule.fault);
        faults.any(is)
    };
    let columns = COLUMNS.iter();
    columns
        .filter(|column| (column.count)(&total) > 0 || has(column.is_of))
        .collect()
}

/// A cell for each of the columns.
pub(super) fn cells(columns: &[&Column], requests: Option<Requests>) -> Vec<String> {
    let requests = requests.unwrap_or_default();
    let cell = |column: &&Column| packets((column.count)(&requests));
    columns.iter().map(cell).collect()
}

/// Whether the fault is one of requests.
pub fn is_of(fault: &Fault) -> bool {
    match fault {
        Fault::Http(_) | Fault::Grpc(_) => true,
        Fault::Delay(_)
        | Fault::Loss(_)
        | Fault::Duplicate(_)
        | Fault::Reorder(_)
        | Fault::Corrupt(_)
        | Fault::Rate(_)
        | Fault::Partition(_)
        | Fault::Reset(_)
        | Fault::Rewrite(_)
        | Fault::Dns(_) => false,
    }
}
