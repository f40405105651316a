//! An experiment that something larger steers: what is heard of it while it acts, and what became of it. Does not know
//! what it is a part of.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use super::apply::Described;
use crate::error::{CommandError, ErrorKind};
use crate::experiment::{Hand, Steer};
use crate::global::Global;
use crate::output::sink::{Said, Sink};
use crate::output::whole::Whole;
use crate::output::{Output, json, words};

/// An experiment in a task of its own.
pub(super) struct Steered {
    pub(super) hand: Hand,
    /// Told when it acts on all nodes; taken by whoever waits for that.
    pub(super) armed: Option<oneshot::Receiver<Acts>>,
    pub(super) run: JoinHandle<Result<(), CommandError>>,
    listener: Arc<Listener>,
}

/// An experiment that acts.
#[derive(Debug)]
pub(super) struct Acts {
    /// Since when.
    pub(super) since: Instant,
    /// What it does and where, in words.
    pub(super) did: String,
    /// What `-o json` has of it.
    pub(super) experiment: Value,
}

/// What became of one.
#[derive(Debug)]
pub(super) struct Ended {
    /// What `-o json` has of it.
    pub(super) json: Option<Value>,
    /// What a person reads of it.
    pub(super) table: Option<String>,
    /// What it did, in words.
    pub(super) did: Option<String>,
    /// What `-o json` has of it when it began to act.
    pub(super) began: Option<Value>,
    /// What was said on the side and must not be missed.
    pub(super) warnings: Vec<String>,
    /// If it did not go as asked.
    pub(super) error: Option<CommandError>,
}

/// What takes out of a line what nobody is to read.
#[derive(Clone)]
pub(super) struct Hide(Arc<dyn Fn(&str) -> String + Send + Sync>);

impl Hide {
    pub(super) fn by(hide: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(hide))
    }

    /// Everybody may read everything.
    pub(super) fn nothing() -> Self {
        Self::by(str::to_owned)
    }
}

impl fmt::Debug for Hide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hide")
    }
}

impl Steered {
    /// Runs what is described, for so long or as it says itself. What it says on the side is said with its name.
    pub(super) fn start(
        name: &str,
        described: Arc<Described>,
        length: Option<Duration>,
        global: &Arc<Global>,
        (hand, steer): (Hand, Steer),
        output: Output<'static>,
        hide: Hide,
    ) -> Self {
        let (armed, is_armed) = oneshot::channel();
        let listener = Arc::new(Listener {
            output,
            hide,
            name: name.to_owned(),
            armed: Mutex::new(Some(armed)),
            heard: Mutex::default(),
        });
        let (global, sink) = (Arc::clone(global), Arc::clone(&listener));
        let run = tokio::spawn(async move {
            let output = Output::to_sink(&*sink);
            described.run(length, false, &global, steer, output).await
        });
        Self {
            hand,
            armed: Some(is_armed),
            run,
            listener,
        }
    }

    /// What became of it, by what its task came to.
    pub(super) fn ended(self, result: Result<Result<(), CommandError>, JoinError>) -> Ended {
        let error = match result {
            Ok(result) => result.err(),
            Err(error) => Some(CommandError::new(ErrorKind::Failed, error)),
        };
        let heard = std::mem::take(&mut *self.listener.heard());
        let (json, table) = heard.result.unzip();
        Ended {
            json,
            table,
            did: heard.did,
            began: heard.began,
            warnings: heard.warnings,
            error,
        }
    }
}

impl Ended {
    /// Whether what it was for is worth nothing any more: what was to act did not.
    pub(super) fn is_fatal(&self) -> bool {
        let kind = self.error.as_ref().map(|error| error.kind);
        kind.is_some_and(|kind| kind != ErrorKind::NothingHit)
            && self.outcome() != Some("nothing_delayed")
    }

    /// How it went, as `-o json` has it.
    pub(super) fn outcome(&self) -> Option<&str> {
        self.json.as_ref()?.get("outcome")?.as_str()
    }
}

/// Takes what the experiment says.
#[derive(Debug)]
struct Listener {
    output: Output<'static>,
    hide: Hide,
    name: String,
    armed: Mutex<Option<oneshot::Sender<Acts>>>,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    did: Option<String>,
    began: Option<Value>,
    result: Option<(Value, String)>,
    warnings: Vec<String>,
}

impl Listener {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Listener {
    fn armed(&self, whole: &Whole) {
        let since = Instant::now();
        let did = format!(
            "{} on {}",
            words::summary(&whole.experiment),
            words::places(whole)
        );
        let experiment = serde_json::to_value(json::Experiment::from(whole));
        let experiment = experiment.unwrap_or_default();
        {
            let mut heard = self.heard();
            heard.did = Some(did.clone());
            heard.began = Some(experiment.clone());
        }
        let armed = self
            .armed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(armed) = armed {
            let _ = armed.send(Acts {
                since,
                did,
                experiment,
            });
        }
    }

    fn result(&self, json: Value, table: String) {
        self.heard().result = Some((json, table));
    }

    fn said(&self, how: Said, line: &str) {
        if how == Said::Warning {
            self.heard().warnings.push(line.to_owned());
        }
        let line = (self.hide.0)(&format!("{}: {line}", self.name));
        match how {
            Said::Note => self.output.detail(&line),
            Said::Warning => self.output.warn(&line),
        }
    }
}
