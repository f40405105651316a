//! `chaosctl run`: an experiment in the format of Chaos Toolkit.

mod again;
mod confirm;
mod ending;
mod keys;
mod listeners;
mod load;
mod once;
mod tell;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chaos_toolkit::run::{self, Dry};
use clap::Args;
use serde_json::{Map, Value};

use super::python::PythonArgs;
use super::source::SourceArgs;
use crate::error::{CommandError, ErrorKind};
use crate::global::Global;
use crate::output::Output;
use again::AgainArgs;
use confirm::Lines;
use listeners::ListenerArgs;
use once::{NoRun, Once};

/// Run an experiment in the format of Chaos Toolkit: hypothesis, method, hypothesis, rollbacks
///
/// SOURCE is a file or an address, JSON or YAML. What is believed is looked at, the method is played, and what is believed
/// is looked at again; docs/chaostoolkit.md says what the format has, and where this is safer than the reference. A
/// journal of what happened is written, which `chaos report` reads too.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub struct RunArgs {
    #[command(flatten)]
    source: SourceArgs,

    /// Where to write the journal
    #[arg(long, value_name = "FILE", default_value = "./journal.json")]
    journal_path: PathBuf,

    /// Go through it, but leave probes, actions, both (`activities`) or pauses out
    #[arg(long, value_name = "WHAT", value_parser = Dry::NAMES)]
    dry: Option<String>,

    /// Do not look for mistakes in the experiment first
    #[arg(long)]
    no_validation: bool,

    /// When to play the rollbacks [default: unless interrupted or failed]
    #[arg(long, value_name = "WHEN", value_parser = run::RollbackStrategy::NAMES)]
    rollback_strategy: Option<String>,

    /// A value of the configuration, KEY=VALUE or KEY:TYPE=VALUE with int, float or bytes; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    var: Vec<String>,

    /// A file of values for configuration and secrets: JSON, YAML or .env; may be repeated
    #[arg(long, value_name = "FILE", value_parser = load::existing)]
    var_file: Vec<PathBuf>,

    /// A file of controls that apply as if the settings had them; may be repeated
    #[arg(long, value_name = "FILE", value_parser = load::existing)]
    control_file: Vec<PathBuf>,

    /// When to look at the hypothesis
    #[arg(long, value_name = "WHEN", value_parser = hypothesis_strategies())]
    hypothesis_strategy: Option<String>,

    /// Seconds between two looks, with during-method-only and continuously
    #[arg(long, value_name = "SECONDS", default_value = "1.0", value_parser = seconds)]
    hypothesis_frequency: Duration,

    /// End the method as soon as one of those looks sees the hypothesis not met
    #[arg(long)]
    fail_fast: bool,

    /// Fail unless the hypothesis was met whenever it was looked at, all faults acted as written, and all was undone; the
    /// reference succeeds where the hypothesis is not met before the method
    #[arg(long)]
    strict: bool,

    /// Look at the hypothesis once more when everything is undone and all faults have ended; not met: failed
    #[arg(long)]
    verify_recovery: bool,

    #[command(flatten)]
    python: PythonArgs,

    /// Ask before each activity of the method and the rollbacks: yes, skip, or abort
    ///
    /// On a terminal one key is enough, and the key x stops everything at any time, also without this option.
    #[arg(long)]
    confirm: bool,

    #[command(flatten)]
    again: AgainArgs,

    #[command(flatten)]
    listeners: ListenerArgs,
}

const AFTER_HELP: &str = "\
Examples:
  chaosctl run experiment.json
  chaosctl run experiment.yaml --rollback-strategy always --verify-recovery
  chaosctl run experiment.yaml --hypothesis-strategy continuously --hypothesis-frequency 0.5 --fail-fast
  chaosctl run experiment.yaml --every 1h --max-runs 24 --junit chaos.xml --webhook https://hooks.slack.com/services/...

Exit codes: 0 where the run completed and nothing deviated, else 1; 2 where the command line is wrong.
SIGINT, SIGTERM and SIGUSR1 interrupt; SIGUSR2 also leaves rollbacks out; a second Ctrl-C ends at once. Faults end always.";

fn hypothesis_strategies() -> clap::builder::PossibleValuesParser {
    let hidden = clap::builder::PossibleValue::new("continously").hide(true);
    let names = run::Strategy::NAMES.map(clap::builder::PossibleValue::new);
    names.into_iter().chain([hidden]).into()
}

/// A number of seconds on the command line that is none.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no number of seconds: give one such as 0.5")]
struct NoSeconds(String);

fn seconds(text: &str) -> Result<Duration, NoSeconds> {
    let seconds = text.parse().ok();
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| NoSeconds(text.to_owned()))
}

/// Of several runs, some did not go well; each has said why.
#[derive(Debug, thiserror::Error)]
#[error("{bad} of {runs} runs did not go well")]
struct SomeNotWell {
    bad: u64,
    runs: u64,
}

/// No run began.
#[derive(Debug, thiserror::Error)]
#[error("interrupted before the first run: nothing ran")]
struct NothingRan;

impl RunArgs {
    /// Where the run is told as JSON, so is everything else.
    pub(super) fn output(&self, output: Output<'static>) -> Output<'static> {
        if self.listeners.tells_people() {
            output
        } else {
            output.logging_json()
        }
    }

    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'static>,
    ) -> Result<(), CommandError> {
        let mut again = self.again.start(output)?;
        // Also between two runs.
        let mut signals = run::listen().map_err(failed)?;
        let global = Arc::new(global.clone());
        // Those of all runs: what one has not read is for the next.
        let lines = Lines::default();
        let mut bad = 0;
        while again.next(&mut signals).await.is_some() {
            let path = again.journal(&self.journal_path);
            let once = self.once(&global, &path, &lines, output).await;
            let Once {
                journal,
                is_stopped,
                is_refused,
            } = match once {
                Ok(once) => once,
                // What has run before may run again, when the file is whole or the server answers again.
                Err(NoRun::Unloaded(error)) if again.runs() > 1 => {
                    output.error(&error);
                    again.note(unrun(&self.source))?;
                    bad += 1;
                    continue;
                }
                Err(NoRun::Unloaded(error) | NoRun::Failed(error)) => return Err(error),
            };
            let came = ending::say(&journal, is_refused, self.strict, &path, output);
            again.note(journal)?;
            if again.is_once() {
                return came;
            }
            if let Err(error) = came {
                output.error(&error);
                bad += 1;
            }
            if is_stopped {
                break;
            }
        }
        match bad {
            0 if again.runs() == 0 => Err(failed(NothingRan)),
            0 => Ok(()),
            bad => Err(failed(SomeNotWell {
                bad,
                runs: again.runs(),
            })),
        }
    }
}

/// What stands for the journal of a run that did not begin.
fn unrun(source: &SourceArgs) -> Map<String, Value> {
    let now = jiff::Timestamp::now().to_string();
    let journal = serde_json::json!({
        "experiment": { "title": source.name() },
        "status": "aborted",
        "deviated": false,
        "start": now,
        "end": now,
        "duration": 0,
    });
    journal.as_object().cloned().unwrap_or_default()
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> CommandError {
    CommandError::new(ErrorKind::Failed, error)
}
