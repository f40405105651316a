//! An experiment again and again: when, how often, and what came of all of it.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use std::collections::VecDeque;
use std::io::Write as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chaos_toolkit::journal;
use chaos_toolkit::run::Signals;
use chaos_toolkit::schedule::{InvalidCron, Schedule};
use chaos_toolkit::verdict::junit;
use clap::Args;
use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::error::{CommandError, ErrorKind};
use crate::output::Output;
use crate::quantity::duration;

/// So many of the last runs are in the file for CI.
const IN_JUNIT: usize = 100;

/// The options about it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Again and again")]
pub(super) struct AgainArgs {
    /// Run it again this long after the last run began, such as 5m; the journals' names then have the time of the run
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "cron")]
    every: Option<Duration>,

    /// Run it whenever this crontab expression says, such as "30 2 * * 1-5", in this host's time zone or the one at its end
    #[arg(long, value_name = "EXPR", value_parser = cron)]
    cron: Option<Schedule>,

    /// End after so many runs [default: go on until interrupted]
    #[arg(long, value_name = "N", value_parser = runs)]
    max_runs: Option<NonZeroU64>,

    /// Write what came of it as JUnit XML, for CI
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

fn cron(text: &str) -> Result<Schedule, InvalidCron> {
    Schedule::cron(text)
}

/// A number of runs on the command line that is none.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no number of runs: give a whole one above 0")]
struct NoNumberOfRuns(String);

fn runs(text: &str) -> Result<NonZeroU64, NoNumberOfRuns> {
    text.parse().map_err(|_| NoNumberOfRuns(text.to_owned()))
}

/// A file for CI that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {why}", file.display())]
struct Unwritten {
    file: PathBuf,
    why: String,
}

/// `--max-runs` without anything to repeat.
#[derive(Debug, thiserror::Error)]
#[error("--max-runs goes with --every or --cron: say when the experiment is to run again")]
struct NothingToRepeat;

/// A crontab expression of no time that will come.
#[derive(Debug, thiserror::Error)]
#[error("no time is ever as --cron says: look at its day and month")]
struct NeverDue;

/// All runs of one command.
pub(super) struct Again<'a> {
    arguments: &'a AgainArgs,
    schedule: Schedule,
    output: Output<'static>,
    runs: u64,
    began: Timestamp,
    journals: VecDeque<Map<String, Value>>,
}

impl AgainArgs {
    pub(super) fn start(&self, output: Output<'static>) -> Result<Again<'_>, CommandError> {
        let schedule = match (&self.every, &self.cron) {
            (Some(every), _) => Schedule::Every(*every),
            (None, Some(cron)) => cron.clone(),
            (None, None) => Schedule::Once,
        };
        if self.max_runs.is_some() && matches!(schedule, Schedule::Once) {
            return Err(CommandError::new(ErrorKind::Usage, NothingToRepeat));
        }
        let now = Timestamp::now();
        if matches!(schedule, Schedule::Cron(_)) && schedule.next(now, now).is_none() {
            return Err(CommandError::new(ErrorKind::Usage, NeverDue));
        }
        let again = Again {
            arguments: self,
            schedule,
            output,
            runs: 0,
            began: Timestamp::now(),
            journals: VecDeque::new(),
        };
        // What an earlier command left must not be taken for this one's, and where nothing can be written is said first.
        again.write()?;
        Ok(again)
    }
}

impl Again<'_> {
    /// Whether there is one run and no other.
    pub(super) fn is_once(&self) -> bool {
        matches!(self.schedule, Schedule::Once)
    }

    /// How many have begun.
    pub(super) fn runs(&self) -> u64 {
        self.runs
    }

    /// Waits until it is time for the next run; none: there is none, or somebody interrupted.
    pub(super) async fn next(&mut self, signals: &mut Signals) -> Option<Timestamp> {
        let now = Timestamp::now();
        let is_first = self.runs == 0;
        let due = match &self.schedule {
            Schedule::Once | Schedule::Every(_) if is_first => now,
            Schedule::Once => return None,
            _ if self
                .arguments
                .max_runs
                .is_some_and(|most| self.runs >= most.get()) =>
            {
                return None;
            }
            Schedule::Every(_) | Schedule::Cron(_) => self.schedule.next(self.began, now)?,
        };
        let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
        if !wait.is_zero() {
            self.output.talk(&format!("next run at {due:.0}"));
        }
        tokio::select! {
            biased;
            _ = signals.next() => return None,
            () = tokio::time::sleep(wait) => {}
        }
        self.runs += 1;
        self.began = Timestamp::now();
        Some(self.began)
    }

    /// Where the journal of this run goes: with its time, if there may be several.
    pub(super) fn journal(&self, path: &Path) -> PathBuf {
        if self.is_once() {
            return path.to_owned();
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let time = self.began.strftime("%Y%m%dT%H%M%SZ");
        let extension = path.extension().map(|extension| {
            let extension = extension.to_string_lossy();
            format!(".{extension}")
        });
        let extension = extension.unwrap_or_default();
        let mut named = path.with_file_name(format!("{stem}-{time}{extension}"));
        let mut count = 1;
        // Several runs may begin within a second.
        while named.exists() {
            count += 1;
            named = path.with_file_name(format!("{stem}-{time}_{count}{extension}"));
        }
        named
    }

    /// Takes note of what came of a run.
    pub(super) fn note(&mut self, journal: Map<String, Value>) -> Result<(), CommandError> {
        if self.journals.len() == IN_JUNIT {
            self.journals.pop_front();
        }
        self.journals.push_back(journal);
        self.write()
    }

    fn write(&self) -> Result<(), CommandError> {
        let Some(file) = &self.arguments.junit else {
            return Ok(());
        };
        let unwritten = |why: String| {
            let file = file.clone();
            CommandError::new(ErrorKind::Failed, Unwritten { file, why })
        };
        let xml = junit(&self.journals).map_err(|error| unwritten(error.to_string()))?;
        let saved = journal::save(file, |file| file.write_all(xml.as_bytes()));
        saved.map_err(|error| unwritten(error.to_string()))
    }
}
