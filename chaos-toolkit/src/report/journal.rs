//! What a report needs of a journal. Lenient: what is missing is missing in the report, too.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::fault::Fault;

/// A journal that was read.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The file, as the user named it.
    pub source: String,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) contributions: Vec<(String, Level)>,
    pub(super) hypothesis: Option<Hypothesis>,
    pub(super) controls: Vec<Control>,
    /// Kept to be shown as they are: configuration, secrets, extensions.
    pub(super) kept: Vec<(&'static str, Value)>,
    /// Whether anything was left out on purpose.
    pub(super) dry: Option<String>,
    pub(super) status: String,
    pub(super) deviated: bool,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
    pub(super) seconds: Option<f64>,
    pub(super) before: Option<State>,
    pub(super) during: Vec<State>,
    pub(super) after: Option<State>,
    pub(super) recovery: Option<State>,
    pub(super) runs: Vec<Run>,
    pub(super) rollbacks: Vec<Run>,
    /// How many activities the method declares.
    pub(super) declared: usize,
    pub(super) guards: Vec<Guard>,
    /// Where and with what it ran.
    pub(super) environment: Vec<(&'static str, String)>,
}

/// How much an experiment tells of a characteristic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    None,
    Low,
    Medium,
    High,
    /// A word that the format does not have.
    Other(String),
}

impl Level {
    pub(super) fn read(word: &str) -> Self {
        match word {
            "none" => Self::None,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            other => Self::Other(other.to_owned()),
        }
    }

    pub(super) fn word(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Other(word) => word,
        }
    }

    /// Out of three.
    pub(super) fn pips(&self) -> u8 {
        match self {
            Self::None | Self::Other(_) => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
        }
    }
}

/// What was believed.
#[derive(Clone, Debug)]
pub(super) struct Hypothesis {
    pub(super) title: String,
    pub(super) probes: Vec<Activity>,
}

/// A control as declared, and for what.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) of: String,
    pub(super) name: String,
    pub(super) does: String,
}

/// One look at the hypothesis.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) met: Option<bool>,
    pub(super) probes: Vec<Run>,
}

/// What a file says of an activity.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    pub(super) name: String,
    /// `probe` or `action`.
    pub(super) kind: String,
    pub(super) provider: Map<String, Value>,
    pub(super) tolerance: Option<Value>,
    pub(super) is_background: bool,
    /// Before and after, as written.
    pub(super) pauses: [Option<Value>; 2],
    /// Whether it stands for `undo` of an action.
    pub(super) is_undo: bool,
}

/// What came of an activity.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) activity: Activity,
    pub(super) status: String,
    pub(super) start: Option<Timestamp>,
    pub(super) seconds: Option<f64>,
    pub(super) output: Value,
    pub(super) exception: Option<String>,
    /// Of a probe of the hypothesis: whether it was within the tolerance.
    pub(super) met: Option<bool>,
    pub(super) fault: Option<Fault>,
}

impl Run {
    /// One that somebody left out did not fail.
    pub(super) fn failed(&self) -> bool {
        !matches!(self.status.as_str(), "succeeded" | "skipped")
    }
}

/// A guard that tripped, or did not.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) name: String,
    pub(super) tripped_at: Option<Timestamp>,
    pub(super) saw: Option<String>,
}

/// How it ended, as one word that a reader looks for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The hypothesis was met, before and after.
    Met,
    /// It ran, and there was no hypothesis to judge it by.
    Completed,
    Deviated,
    /// The hypothesis was not met at the beginning: nothing was done.
    NotSteady,
    Failed,
    Aborted,
    Interrupted,
    /// The journal does not say.
    Unknown,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Met => "steady",
            Self::Completed => "completed",
            Self::Deviated => "deviated",
            Self::NotSteady => "not steady before",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
            Self::Unknown => "unknown",
        }
    }

    /// The class of its colour.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Met => "good",
            Self::Completed | Self::Unknown => "plain",
            Self::Deviated | Self::Failed => "bad",
            Self::NotSteady | Self::Aborted | Self::Interrupted => "warn",
        }
    }
}

impl Journal {
    pub(super) fn verdict(&self) -> Verdict {
        let met = |state: &Option<State>| state.as_ref().and_then(|state| state.met);
        match self.status.as_str() {
            "aborted" => Verdict::Aborted,
            "interrupted" => Verdict::Interrupted,
            _ if self.deviated => Verdict::Deviated,
            _ if met(&self.before) == Some(false) => Verdict::NotSteady,
            "failed" => Verdict::Failed,
            "completed" if met(&self.after) == Some(true) => Verdict::Met,
            "completed" => Verdict::Completed,
            _ => Verdict::Unknown,
        }
    }

    /// Every look at the hypothesis, in the order of time, with a word for when.
    pub(super) fn states(&self) -> impl Iterator<Item = (&'static str, &State)> {
        let before = self.before.iter().map(|state| ("before", state));
        let during = self.during.iter().map(|state| ("during", state));
        let after = self.after.iter().map(|state| ("after", state));
        let recovery = self.recovery.iter().map(|state| ("recovery", state));
        before.chain(during).chain(after).chain(recovery)
    }

    /// The looks of each phase that had any, under its heading.
    pub(super) fn looks(&self) -> impl Iterator<Item = (&'static str, &[State])> {
        let looks = [
            ("Before", self.before.as_slice()),
            ("During", &self.during),
            ("After", self.after.as_slice()),
            ("Recovery", self.recovery.as_slice()),
        ];
        looks.into_iter().filter(|(_, states)| !states.is_empty())
    }

    /// All that was played: the method, and what undid it.
    pub(super) fn activities(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().chain(&self.rollbacks)
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = (&Run, &Fault)> {
        self.activities()
            .filter_map(|run| Some((run, run.fault.as_ref()?)))
    }
}
