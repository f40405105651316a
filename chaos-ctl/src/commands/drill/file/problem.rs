//! What can be wrong with a drill file, one sentence each.

use std::io;

use serde_saphyr::Error as YamlError;

use super::MOST_PHASES;
use crate::commands::apply::file::{FileError, in_words};
use crate::drill::check::InvalidStatus;
use crate::drill::metric::InvalidSeries;
use crate::drill::threshold::InvalidThreshold;
use crate::error::{CommandError, ErrorKind};

/// A drill file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands::drill) enum DrillFileError {
    /// It cannot be read.
    #[error("cannot read the drill {file}: {source}")]
    Read {
        /// Its name.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is no drill.
    #[error("the drill {file} is not valid: {}", in_words(error))]
    Parse {
        /// Its name.
        file: String,
        /// Where and why.
        error: Box<YamlError>,
    },
    /// Something is missing, or does not go together.
    #[error("the drill {file} {problem}")]
    Problem {
        /// Its name.
        file: String,
        /// What.
        problem: Problem,
    },
    /// A phase does what cannot be done.
    #[error(transparent)]
    Faults(#[from] FileError),
}

/// What is wrong with a drill.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands::drill) enum Problem {
    /// No load.
    #[error("does not say what to send: give `load` with `url` and `rate`")]
    NoLoad,
    /// No rate.
    #[error("does not say how often: give `rate` of `load`, such as 20/s")]
    NoRate,
    /// An address that cannot be used.
    #[error("has the url `{url}`, which {why} (one that can be used is http://10.0.0.5:8080/path)")]
    Url { url: String, why: &'static str },
    /// A method that is none.
    #[error("has the method `{0}`, which is none: give one such as GET or POST")]
    Method(String),
    /// A header that is none.
    #[error(
        "has the header `{0}`, which cannot be sent: names are of letters, digits and dashes, values are one line"
    )]
    Header(String),
    /// Nothing could be sent.
    #[error("lets 0 requests be under way: give `max-in-flight` above 0")]
    NoneInFlight,
    /// Two answers to one question.
    #[error("has both `ca` and `insecure`: with `insecure` nobody's certificate is looked at")]
    Trusts,
    /// A status that is none.
    #[error("{0}")]
    Status(#[from] InvalidStatus),
    /// No phases.
    #[error("has no phases: give at least one, with `name` and `for`")]
    NoPhases,
    /// Too many phases.
    #[error("has {0} phases: give at most {MOST_PHASES}")]
    Phases(usize),
    /// A name that cannot be one.
    #[error(
        "calls its phase {number} `{name}`: give it a name of letters, digits, dots, dashes and underscores"
    )]
    Name { number: usize, name: String },
    /// Two phases of one name.
    #[error(
        "has two phases called `{0}`: give each a name of its own, for thresholds and the report"
    )]
    SameName(String),
    /// No time.
    #[error("does not say how long its phase `{0}` is: give `for`, such as 30s")]
    NoLength(String),
    /// A threshold on something that is not measured.
    #[error("sets a threshold that cannot be: {0}")]
    Series(#[from] InvalidSeries),
    /// A threshold that is none.
    #[error("sets a threshold that cannot be: {0}")]
    Threshold(#[from] InvalidThreshold),
    /// A threshold on a phase that there is not.
    #[error("sets a threshold on `{series}`, and there is no such phase: there are {}", phases.join(", "))]
    NoPhase { series: String, phases: Vec<String> },
    /// A threshold on a check that there is not.
    #[error("sets a threshold on `{series}`, and there is no such check: there are {}", checks.join(", "))]
    NoCheck { series: String, checks: Vec<String> },
}

impl From<DrillFileError> for CommandError {
    fn from(error: DrillFileError) -> Self {
        Self::new(ErrorKind::Usage, error)
    }
}
