//! What is heard of a phase's faults while they run, and what became of them.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::error::{CommandError, ErrorKind};
use crate::output::sink::{Said, Sink};
use crate::output::whole::Whole;
use crate::output::{Output, words};

/// What became of a phase's faults.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its number.
    pub(super) phase: usize,
    /// What `-o json` has of it.
    pub(super) json: Option<Value>,
    /// What a person reads of it.
    pub(super) table: Option<String>,
    /// What it did, in words.
    pub(super) did: Option<String>,
    /// If it did not go as asked.
    pub(super) error: Option<CommandError>,
}

impl Ended {
    /// Whether the drill is worth nothing any more: what was to act does not.
    pub(super) fn is_fatal(&self) -> bool {
        let kind = self.error.as_ref().map(|error| error.kind);
        kind.is_some_and(|kind| kind != ErrorKind::NothingHit)
            && self.outcome() != Some("nothing_delayed")
    }

    pub(super) fn outcome(&self) -> Option<&str> {
        self.json.as_ref()?.get("outcome")?.as_str()
    }
}

/// Takes what a phase's experiment says.
#[derive(Debug)]
pub(super) struct Listener {
    output: Output<'static>,
    /// Of the phase.
    name: String,
    armed: Mutex<Option<oneshot::Sender<Instant>>>,
    did: Mutex<Option<String>>,
    result: Mutex<Option<(Value, String)>>,
}

impl Sink for Listener {
    fn armed(&self, whole: &Whole) {
        let now = Instant::now();
        let did = format!(
            "{} on {}",
            words::summary(&whole.experiment),
            words::places(whole)
        );
        *self.did.lock().unwrap_or_else(PoisonError::into_inner) = Some(did);
        let armed = self
            .armed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(armed) = armed {
            let _ = armed.send(now);
        }
    }

    fn result(&self, json: Value, table: String) {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        *result = Some((json, table));
    }

    fn said(&self, how: Said, line: &str) {
        let line = format!("{}: {line}", self.name);
        match how {
            Said::Note => self.output.detail(&line),
            Said::Warning => self.output.warn(&line),
        }
    }
}

impl Listener {
    /// Of a phase of that name; `armed` is told when its faults act.
    pub(super) fn new(
        name: &str,
        armed: oneshot::Sender<Instant>,
        output: Output<'static>,
    ) -> Self {
        Self {
            output,
            name: name.to_owned(),
            armed: Mutex::new(Some(armed)),
            did: Mutex::default(),
            result: Mutex::default(),
        }
    }

    /// What acts, in words; nothing before it does.
    pub(super) fn did(&self) -> Option<String> {
        self.did
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What became of it, and with which error.
    pub(super) fn ended(&self, phase: usize, error: Option<CommandError>) -> Ended {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        let (json, table) = result.take().unzip();
        Ended {
            phase,
            json,
            table,
            did: self.did(),
            error,
        }
    }
}
