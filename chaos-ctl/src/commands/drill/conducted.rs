//! A drill that is over, before anybody has made figures of it.

use std::time::Duration;

use super::phases::PhaseEnded;
use crate::drill::measured::Measurements;
use crate::drill::timeline::Timeline;

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// All phases were gone through.
    Completed,
    /// A threshold that ends the drill was crossed.
    Aborted {
        /// Of which series.
        series: String,
        /// Which.
        threshold: String,
    },
    /// By Ctrl-C.
    Interrupted,
    /// Nobody answered, although nothing was done to them yet.
    Unanswered,
    /// By faults that could not act, or did not to their end.
    Failed,
}

/// A drill that is over.
#[derive(Debug)]
pub(super) struct Conducted {
    pub(super) how: How,
    pub(super) measured: Measurements,
    pub(super) timeline: Timeline,
    /// When each phase began, since the beginning of the load, and how long it was; those that were begun.
    pub(super) phases: Vec<(Duration, Duration)>,
    /// From the first request to the end of the load, or to that of the last request where it is later.
    pub(super) elapsed: Duration,
    pub(super) faults: Vec<PhaseEnded>,
    /// By how much a request was sent after its time, at most.
    pub(super) latest: Duration,
}
