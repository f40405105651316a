//! Where a run goes that is part of something larger: a phase of a drill, a request of another program.

use std::fmt;

use chaos_proto::v1::Experiment;
use serde_json::Value;

use super::whole::Whole;

/// Takes what would otherwise be printed.
pub trait Sink: fmt::Debug + Sync {
    /// The experiment acts from now on.
    fn armed(&self, _whole: &Whole) {}

    /// How far it is; its counters are those of all nodes together.
    fn news(&self, _experiment: &Experiment) {}

    /// What `-o json` prints at the end of the command, and what a person would read: also where the command then fails.
    fn result(&self, json: Value, table: String);

    /// A line that a person would read on the side.
    fn said(&self, how: Said, line: &str);
}

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// News.
    Note,
    /// The result is not what it seems.
    Warning,
}
