//! Runs an experiment: the order of things, and what happens when it is cut short.
//!
//! The rules are those of the reference, except where docs/chaostoolkit.md says that ours are safer. Knows no provider by
//! name but `chaos`, whose faults it ends, and prints nothing: who wants to hear of a run is an
//! [`Observer`](crate::observe::Observer).

mod acting;
mod activity;
mod conduct;
mod controls;
mod guards;
mod halt;
mod heard;
mod hypothesis;
mod line;
mod method;
mod rollbacks;
mod signals;
mod strategies;
#[cfg(test)]
mod tests;
mod undo;
mod words;
mod work;
mod world;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde_json::{Map, Value};
use tokio::time::timeout;

pub use controls::{
    Call, Controls, Interrupted, Level, Moment, Scope, controls_of, tell_of_loading,
};
pub use signals::{Signal, Signals, listen};
pub use strategies::{Dry, Options, RollbackStrategy, Strategy, UnknownStrategy};
pub use words::{expected, failure, seen};

use crate::faults::Faults;
use crate::journal::{Part, Record, Redact, Status, WriteError, lock, write};
use crate::observe::{Event, Gate, Observer};
use crate::problem::Problem;
use crate::provider::python::Python;
use crate::variables::{Variables, substitute};
use acting::ActingFaults;
use guards::guards;
use heard::Heard;
use line::Line;
use work::{Providers, Work};
use world::World;

/// How long faults may take to end when everything is to end at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long observers, and Python, may take to end where nobody is in a hurry.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is run, and with what.
pub struct Setup {
    /// The experiment.
    pub experiment: Value,
    /// Its configuration and secrets.
    pub variables: Variables,
    /// What the settings file says.
    pub settings: Value,
    /// How.
    pub options: Options,
    /// Where the journal is written; none: nowhere.
    pub journal: Option<PathBuf>,
    /// Who does what is Python's.
    pub python: Arc<Python>,
    /// Who does what providers of `type: chaos` say.
    pub faults: Option<Arc<dyn Faults>>,
    /// Who does what controls do.
    pub controls: Option<Arc<dyn Controls>>,
    /// The controls that the settings declare, and `--control-file`, each with its name.
    pub controls_of_settings: Vec<Value>,
    /// Who hears of it.
    pub observers: Vec<Arc<dyn Observer>>,
    /// Who is asked.
    pub gate: Option<Arc<dyn Gate>>,
    /// What ends it; from [`listen`].
    pub signals: Signals,
}

/// A run that there was not, or whose journal is lost.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Of the guards. Nothing ran.
    #[error("{0}")]
    Guard(Box<Problem>),
    /// The journal cannot be written there. Nothing ran.
    #[error(transparent)]
    Part(WriteError),
    /// It ran, but the journal could not be written at its end.
    #[error("{source}; what the run left is in {}", part.display())]
    Journal {
        /// Why not.
        source: WriteError,
        /// What there is.
        part: PathBuf,
    },
}

/// Lets go of the faults however the run ends.
struct Ending(Arc<World>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.faults.abandon();
    }
}

/// Runs an experiment; gives its journal, which is on disk.
pub async fn run(setup: Setup) -> Result<Map<String, Value>, RunError> {
    let work = Box::new(Providers(setup.python.clone()));
    run_with(setup, work).await
}

async fn run_with(mut setup: Setup, work: Box<dyn Work>) -> Result<Map<String, Value>, RunError> {
    let guards = guards(&setup.experiment).map_err(|problem| RunError::Guard(Box::new(problem)))?;
    let part = setup.journal.as_deref().map(Part::create).transpose();
    let part = part.map_err(RunError::Part)?.flatten();
    let mut signals = std::mem::replace(&mut setup.signals, stream::pending().boxed());
    let path = setup.journal.clone();
    let world = World::new(setup, work, part);
    let ending = Ending(world.clone());
    world.heard.hear(Event::Started {
        journal: &world.record.redacted(),
    });
    let (journal, patience) = tokio::select! {
        biased;
        () = second_ctrl_c(&world, &mut signals) => (world.end_at_once().await, AT_ONCE),
        journal = world.conduct(guards) => (journal, PATIENCE),
    };
    drop(ending);
    let journal = world.record.without_secrets(journal);
    let written = path.as_deref().map_or(Ok(()), |path| write(path, &journal));
    world.heard.hear(Event::Ended { journal: &journal });
    // Somebody in a hurry does not wait for what observers have to say.
    world.heard.close(patience).await;
    let _ = timeout(patience, world.work.close()).await;
    if let (Err(source), Some(path)) = (written, path) {
        let part = crate::journal::part_path(&path);
        return Err(RunError::Journal { source, part });
    }
    world.record.forget_part();
    Ok(journal)
}

/// Hands signals on; done at the second Ctrl-C.
async fn second_ctrl_c(world: &World, signals: &mut Signals) {
    let mut interrupts = 0;
    let mut is_left = false;
    while let Some(signal) = signals.next().await {
        // A shell that goes and the kernel both say that the terminal is gone; service managers say so after SIGTERM. It
        // must not cut short what is undone because of it.
        if signal == Signal::HangUp && is_left {
            continue;
        }
        is_left |= matches!(signal, Signal::HangUp | Signal::Terminate);
        interrupts += u32::from(signal == Signal::Interrupt);
        if interrupts > 1 {
            return;
        }
        if signal == Signal::Stop {
            world.trip("watcher", "a key: stop everything").await;
            continue;
        }
        world.line.cut(signal.halt());
        world.heard.hear(Event::Interrupted(signal.words()));
    }
    std::future::pending::<()>().await;
}

impl World {
    fn new(setup: Setup, work: Box<dyn Work>, part: Option<Part>) -> Arc<Self> {
        let mut experiment = setup.experiment;
        if let Some(experiment) = experiment.as_object_mut() {
            if let Some(title) = experiment.get_mut("title") {
                *title = substitute(title, &setup.variables);
            }
            let dry = setup.options.dry.map(Dry::name);
            experiment.insert("dry".to_owned(), dry.into());
        }
        let variables = Arc::new(Mutex::new(Arc::new(setup.variables)));
        // Controls may add to them.
        let known = variables.clone();
        let redact: Redact = Box::new(move |value| lock(&known).redact_value(value));
        let has_guards = experiment.get("abort_when").is_some();
        let record = Arc::new(Record::new(experiment.clone(), has_guards, part, redact));
        let heard = Arc::new(Heard(setup.observers));
        Arc::new(Self {
            named: named(&experiment),
            experiment: Mutex::new(experiment),
            variables,
            settings: setup.settings,
            options: setup.options,
            faults: ActingFaults::new(setup.faults, record.clone(), heard.clone()),
            record,
            heard,
            work,
            controls: setup.controls,
            controls_of_settings: Mutex::new(setup.controls_of_settings),
            gate: setup.gate,
            line: Line::default(),
            count: AtomicU64::new(0),
            undo: Mutex::default(),
            has_tripped: AtomicBool::new(false),
            is_undoing: AtomicBool::new(false),
        })
    }

    /// Somebody insists: nothing is waited for but that faults are told.
    async fn end_at_once(&self) -> Map<String, Value> {
        let _ = timeout(AT_ONCE, self.faults.stop()).await;
        self.faults.ended(Some(AT_ONCE)).await;
        self.record.set_status(Status::Interrupted);
        self.journal()
    }
}

/// Where the activities stand that can be referred to: of the method, then of the hypothesis; the last of a name counts.
fn named(experiment: &Value) -> HashMap<String, String> {
    let mut named = HashMap::new();
    for list in ["/method", "/steady-state-hypothesis/probes"] {
        let activities = experiment.pointer(list).and_then(Value::as_array);
        for (index, activity) in activities.into_iter().flatten().enumerate() {
            if let Some(name) = activity.get("name").and_then(Value::as_str)
                && !name.is_empty()
            {
                named.insert(name.to_owned(), format!("{list}/{index}"));
            }
        }
    }
    named
}
