//! One run: what it is about, who does what of it, who hears of it, and who may end it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chaos_toolkit::observe::{Gate, Observer};
use chaos_toolkit::run::{self, Dry, Options, Setup, Signal, Signals};
use futures::StreamExt as _;
use futures::stream;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::confirm::{Confirm, From, Lines};
use super::keys::Keys;
use super::load::Loaded;
use super::tell::Tell;
use super::{RunArgs, failed};
use crate::commands::actions::ToolkitFaults;
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;

/// How long a run that is over waits for agents to be told of faults that it let go of.
const LAST_WORD: Duration = Duration::from_secs(1);
/// The key that stops everything.
const STOP: char = 'x';

/// Somebody interrupted before there was anything to interrupt.
#[derive(Debug, thiserror::Error)]
#[error("interrupted while the experiment was loaded: nothing ran")]
struct InterruptedLoading;

/// Why nothing came of a run.
pub(super) enum NoRun {
    /// The experiment could not be loaded: nothing ran, and the next time it may be whole.
    Unloaded(CommandError),
    /// Anything else.
    Failed(CommandError),
}

impl std::convert::From<CommandError> for NoRun {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

/// What came of one run.
pub(super) struct Once {
    pub(super) journal: Map<String, Value>,
    /// Somebody who watched wanted everything to stop, and so what would come after it.
    pub(super) is_stopped: bool,
    /// Somebody who was asked said no to everything.
    pub(super) is_refused: bool,
}

impl RunArgs {
    /// Runs it; its journal is on disk then.
    pub(super) async fn once(
        &self,
        global: &Arc<Global>,
        journal: &Path,
        lines: &Lines,
        output: Output<'static>,
    ) -> Result<Once, NoRun> {
        // Before anybody is asked for anything: a mistake in the command line is found first.
        let mut observers = self.listeners.listeners()?;
        // From here on: what comes while the experiment is loaded must not be lost.
        let mut signals = run::listen().map_err(failed)?;
        let faults = Arc::new(ToolkitFaults::new(Arc::clone(global), output));
        let Loaded {
            experiment,
            variables,
            settings,
            python,
            controls,
            controls_of_settings,
            notifications,
        } = tokio::select! {
            biased;
            _ = signals.next() => return Err(failed(InterruptedLoading).into()),
            loaded = self.load(&*faults, global.verbose, output) => loaded.map_err(NoRun::Unloaded)?,
        };
        faults.hide(variables.clone());
        let mut options = Options {
            frequency: self.hypothesis_frequency,
            fail_fast: self.fail_fast,
            dry: self.dry.as_deref().and_then(Dry::named),
            verify_recovery: self.verify_recovery,
            ..Options::default()
        };
        let [hypothesis, rollbacks] =
            [&self.hypothesis_strategy, &self.rollback_strategy].map(Option::as_deref);
        options
            .strategies(hypothesis, rollbacks, &experiment, &settings)
            .map_err(failed)?;
        // Controls may register handlers of events.
        observers.push(controls.clone());
        observers.push(notifications);
        if self.listeners.tells_people() {
            // A secret may stand in the file itself.
            let told = variables.redact_value(&experiment);
            let tell: Arc<dyn Observer> = Arc::new(Tell::new(output, &told));
            observers.insert(0, tell);
        }
        let Asking {
            gate,
            signals,
            keys,
            is_stopped,
            is_refused,
        } = self.asking(signals, lines, output)?;
        let setup = Setup {
            experiment,
            variables,
            settings,
            options,
            journal: Some(journal.to_owned()),
            python,
            faults: Some(faults.clone()),
            controls: Some(controls),
            controls_of_settings,
            observers,
            gate,
            signals,
        };
        let journal = run::run(setup).await;
        drop(keys);
        // What is not told by then, agents end by themselves.
        let _ = tokio::time::timeout(LAST_WORD, faults.settled()).await;
        Ok(Once {
            journal: journal.map_err(failed)?,
            is_stopped: is_stopped.load(Ordering::Relaxed),
            is_refused: is_refused.load(Ordering::Relaxed),
        })
    }

    /// Who is asked, and what ends the run.
    fn asking(
        &self,
        signals: Signals,
        lines: &Lines,
        output: Output<'static>,
    ) -> Result<Asking, CommandError> {
        let (stop, stopped) = mpsc::unbounded_channel();
        let (answer, answers) = mpsc::unbounded_channel();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let is_pressed = Arc::clone(&is_stopped);
        let keys = Keys::listen(move |key| {
            // Nobody listens any more where the run is over.
            let _over = match key {
                STOP => {
                    is_pressed.store(true, Ordering::Relaxed);
                    stop.send(Signal::Stop).is_err()
                }
                key => answer.send(key).is_err(),
            };
        });
        let keys = keys.map_err(failed)?;
        let from = if keys.is_some() {
            output.talk(&format!("(press {STOP} to stop everything)"));
            From::Keys(answers)
        } else {
            From::Lines(lines.clone())
        };
        let is_refused = Arc::new(AtomicBool::new(false));
        let gate = self
            .confirm
            .then(|| Confirm::new(from, output, Arc::clone(&is_refused)));
        Ok(Asking {
            gate: gate.map(|gate| Arc::new(gate) as Arc<dyn Gate>),
            signals: stream::select(signals, UnboundedReceiverStream::new(stopped)).boxed(),
            keys,
            is_stopped,
            is_refused,
        })
    }
}

/// Who is asked, and what ends the run.
struct Asking {
    gate: Option<Arc<dyn Gate>>,
    signals: Signals,
    /// The terminal, while there is something to hear from it.
    keys: Option<Keys>,
    /// Whether the key was pressed that stops everything.
    is_stopped: Arc<AtomicBool>,
    /// Whether somebody who was asked said no to everything.
    is_refused: Arc<AtomicBool>,
}
