//! Who hears of a run, and who is asked before an activity: logs, traces, webhooks, people.

use futures::future::BoxFuture;
use serde_json::{Map, Value};

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The hypothesis, before the method.
    Before,
    /// The hypothesis, while the method runs.
    During,
    /// The method.
    Method,
    /// The hypothesis, after the method.
    After,
    /// What undoes the method.
    Rollbacks,
    /// The hypothesis, after the rollbacks.
    Recovery,
}

impl Phase {
    /// As programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "hypothesis before",
            Self::During => "hypothesis during",
            Self::Method => "method",
            Self::After => "hypothesis after",
            Self::Rollbacks => "rollbacks",
            Self::Recovery => "recovery",
        }
    }
}

/// Something that happens in a run, when it happens.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The run begins; the journal has no runs yet.
    Started {
        /// The journal.
        journal: &'a Map<String, Value>,
    },
    /// A phase begins.
    PhaseStarted(Phase),
    /// A phase ends.
    PhaseEnded {
        /// Which.
        phase: Phase,
        /// Of a hypothesis: whether it was met.
        met: Option<bool>,
    },
    /// An activity begins. `number` is the same when it ends; several may be under way.
    ActivityStarted {
        /// Counts from 1.
        number: u64,
        /// In which phase.
        phase: Phase,
        /// What the file says of it; secrets are not in it.
        activity: &'a Map<String, Value>,
    },
    /// An activity has ended.
    ActivityEnded {
        /// The number of its start.
        number: u64,
        /// In which phase.
        phase: Phase,
        /// Its run, as in the journal.
        run: &'a Map<String, Value>,
    },
    /// A fault has ended.
    FaultEnded {
        /// The name of its action.
        name: &'a str,
        /// What it hit, and why it ended.
        ended: &'a Value,
    },
    /// A guard tripped: all faults are told to stop.
    GuardTripped {
        /// The guard's name.
        name: &'a str,
        /// What it saw.
        saw: &'a str,
    },
    /// The run was interrupted: by whom, in words.
    Interrupted(&'a str),
    /// Something could not be done at all, which ends the run: what and why, in a sentence.
    Broken(&'a str),
    /// The run is over; the journal is whole.
    Ended {
        /// The journal.
        journal: &'a Map<String, Value>,
    },
    /// Somebody who wanted to hear of it could not be told: why, in a sentence. Comes after everything else.
    Untold(&'a str),
}

/// Hears of a run. What it does must be quick, or go on elsewhere: the run waits for it.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn hear(&self, event: Event<'_>);

    /// An activity that is under way, as whoever it calls is told of it: a `traceparent` of W3C Trace Context.
    fn traceparent(&self, _number: u64) -> Option<String> {
        None
    }

    /// The run is over: sends what has not been sent, for a few seconds at most. What could not be told is said in a
    /// sentence.
    fn close(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

/// What somebody says to an activity that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Yes,
    /// Leave this one out.
    Skip,
    /// End the run here; rollbacks are played.
    Abort,
}

/// Is asked before each activity of the method and of the rollbacks.
pub trait Gate: Send + Sync {
    /// May it begin?
    fn ask<'a>(&'a self, phase: Phase, activity: &'a Map<String, Value>) -> BoxFuture<'a, Answer>;
}
