//! The journal while it grows: in memory, and line by line on disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::{Part, REFERENCE_VERSION, Stamp, VERSION_KEY};

/// The run of one activity. Shared, as in the reference: what ends later, and what controls change, shows in the journal.
pub(crate) type Entry = Arc<Mutex<Map<String, Value>>>;

/// An entry of these values.
pub(crate) fn entry(values: Map<String, Value>) -> Entry {
    Arc::new(Mutex::new(values))
}

/// How a run ended, in the words of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Completed,
    Failed,
    Aborted,
    Interrupted,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Where runs of activities are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Run,
    Rollbacks,
}

impl List {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Rollbacks => "rollbacks",
        }
    }
}

/// When the hypothesis was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    During,
    After,
    Recovery,
}

impl When {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
            Self::Recovery => "recovery",
        }
    }
}

/// Takes secrets out.
pub(crate) type Redact = Box<dyn Fn(&Value) -> Value + Send + Sync>;

/// The journal while it grows.
pub(crate) struct Record {
    grown: Mutex<Grown>,
    part: Option<Part>,
    redact: Redact,
}

struct Grown {
    /// What is known from the start.
    head: Map<String, Value>,
    start: Stamp,
    status: Option<Status>,
    deviated: bool,
    /// Before, after, recovery.
    states: [Option<Value>; 3],
    during: Vec<Value>,
    run: Vec<Entry>,
    rollbacks: Vec<Entry>,
    guards: Option<Vec<Value>>,
}

/// A panic elsewhere must not take the journal with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    /// Of an experiment; with a list of guards if it has any.
    pub(crate) fn new(
        experiment: Value,
        has_guards: bool,
        part: Option<Part>,
        redact: Redact,
    ) -> Self {
        let start = Stamp::now();
        let mut head = Map::new();
        head.insert("chaoslib-version".into(), REFERENCE_VERSION.into());
        head.insert(VERSION_KEY.into(), env!("CARGO_PKG_VERSION").into());
        head.insert("platform".into(), platform().into());
        head.insert("node".into(), node().into());
        head.insert("experiment".into(), experiment);
        head.insert("start".into(), start.text().into());
        let record = Self {
            grown: Mutex::new(Grown {
                head,
                start,
                status: None,
                deviated: false,
                states: [None, None, None],
                during: Vec::new(),
                run: Vec::new(),
                rollbacks: Vec::new(),
                guards: has_guards.then(Vec::new),
            }),
            part,
            redact,
        };
        let head = record.redacted();
        record.add_line(|| json!({"journal": head}));
        record
    }

    fn add_line(&self, line: impl FnOnce() -> Value) {
        if let Some(part) = &self.part {
            part.add(&line());
        }
    }

    pub(crate) fn status(&self) -> Option<Status> {
        lock(&self.grown).status
    }

    pub(crate) fn set_status(&self, status: Status) {
        lock(&self.grown).status = Some(status);
        self.add_line(|| json!({"status": status.as_str()}));
    }

    pub(crate) fn has_deviated(&self) -> bool {
        lock(&self.grown).deviated
    }

    pub(crate) fn set_deviated(&self) {
        lock(&self.grown).deviated = true;
        self.add_line(|| json!({"deviated": true}));
    }

    /// An activity begins: its entry, whose place in the list is kept.
    pub(crate) fn begin(&self, list: List, entry: &Entry) {
        let index = {
            let mut grown = lock(&self.grown);
            let entries = grown.list(list);
            entries.push(entry.clone());
            entries.len() - 1
        };
        self.add_entry(list, index, entry);
    }

    /// Something of an entry has changed.
    pub(crate) fn changed(&self, entry: &Entry) {
        let place = {
            let mut grown = lock(&self.grown);
            [List::Run, List::Rollbacks].into_iter().find_map(|list| {
                let entries = grown.list(list).iter();
                let index = entries.rev().position(|other| Arc::ptr_eq(other, entry))?;
                Some((list, grown.list(list).len() - 1 - index))
            })
        };
        if let Some((list, index)) = place {
            self.add_entry(list, index, entry);
        }
    }

    fn add_entry(&self, list: List, index: usize, entry: &Entry) {
        self.add_line(|| json!({"list": list.key(), "index": index, "entry": self.clean(entry)}));
    }

    /// A probe of a hypothesis that is not yet decided.
    pub(crate) fn probed(&self, when: When, entry: &Entry) {
        self.add_line(|| json!({"probed": when.key(), "entry": self.clean(entry)}));
    }

    /// The hypothesis is decided.
    pub(crate) fn decided(&self, when: When, state: &Value) {
        {
            let mut grown = lock(&self.grown);
            match when {
                When::Before => grown.states[0] = Some(state.clone()),
                When::After => grown.states[1] = Some(state.clone()),
                When::Recovery => grown.states[2] = Some(state.clone()),
                When::During => grown.during.push(state.clone()),
            }
        }
        self.add_line(|| json!({"steady_state": when.key(), "state": (self.redact)(state)}));
    }

    /// A guard tripped.
    pub(crate) fn tripped(&self, name: &str, saw: &str) {
        let guard = json!({"name": name, "tripped_at": Stamp::now().text(), "saw": saw});
        let clean = (self.redact)(&guard);
        lock(&self.grown)
            .guards
            .get_or_insert_default()
            .push(clean.clone());
        self.add_line(|| json!({"guard": clean}));
    }

    /// The runs of a list, as a control gets them.
    pub(crate) fn runs(&self, list: List) -> Value {
        let entries = lock(&self.grown).list(list).clone();
        entries
            .iter()
            .map(|entry| Value::Object(lock(entry).clone()))
            .collect()
    }

    /// Puts back what a control made of them.
    pub(crate) fn set_runs(&self, list: List, runs: Value) {
        let Value::Array(runs) = runs else { return };
        let mut grown = lock(&self.grown);
        let entries = grown.list(list);
        entries.truncate(runs.len());
        for (index, run) in runs.into_iter().enumerate() {
            let Value::Object(run) = run else { continue };
            match entries.get(index) {
                Some(entry) => *lock(entry) = run,
                None => entries.push(entry(run)),
            }
        }
    }

    /// A copy of an entry without secrets.
    pub(crate) fn clean(&self, entry: &Entry) -> Map<String, Value> {
        let entry = Value::Object(lock(entry).clone());
        match (self.redact)(&entry) {
            Value::Object(clean) => clean,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        }
    }

    /// The end: the status that the reference's readers know, the time. The experiment is as controls left it.
    pub(crate) fn end(&self, experiment: &Map<String, Value>) -> Map<String, Value> {
        let (start, status) = {
            let mut grown = lock(&self.grown);
            if let Some(Value::Object(kept)) = grown.head.get_mut("experiment") {
                for (key, value) in kept.iter_mut() {
                    // The reference copies the experiment, but not what is in it.
                    if value.is_object() || value.is_array() {
                        *value = experiment.get(key).unwrap_or(value).clone();
                    }
                }
            }
            (grown.start, grown.status.unwrap_or(Status::Completed))
        };
        let end = Stamp::now();
        let mut journal = self.whole();
        journal.insert("status".into(), status.as_str().into());
        journal.insert("end".into(), end.text().into());
        journal.insert("duration".into(), start.until(end).into());
        journal
    }

    /// As it is now, with secrets.
    fn whole(&self) -> Map<String, Value> {
        let grown = lock(&self.grown);
        let list = |entries: &[Entry]| -> Value {
            entries
                .iter()
                .map(|entry| Value::Object(lock(entry).clone()))
                .collect()
        };
        let mut journal = grown.head.clone();
        let status = grown.status.map(Status::as_str);
        journal.insert("status".into(), status.into());
        journal.insert("deviated".into(), grown.deviated.into());
        let [before, after, recovery] = &grown.states;
        let mut looks = Map::new();
        looks.insert("before".into(), before.clone().into());
        looks.insert("after".into(), after.clone().into());
        looks.insert("during".into(), grown.during.clone().into());
        if let Some(recovery) = recovery {
            looks.insert("recovery".into(), recovery.clone());
        }
        journal.insert("steady_states".into(), looks.into());
        journal.insert("run".into(), list(&grown.run));
        journal.insert("rollbacks".into(), list(&grown.rollbacks));
        if let Some(guards) = &grown.guards {
            journal.insert("guards".into(), guards.clone().into());
        }
        journal
    }

    /// As it is now, without secrets.
    pub(crate) fn redacted(&self) -> Map<String, Value> {
        self.without_secrets(self.whole())
    }

    /// A journal without secrets: what the run itself says of itself is none.
    pub(crate) fn without_secrets(&self, mut journal: Map<String, Value>) -> Map<String, Value> {
        for key in ["experiment", "steady_states", "run", "rollbacks"] {
            if let Some(value) = journal.get_mut(key) {
                *value = (self.redact)(value);
            }
        }
        journal
    }

    /// The journal is written: what is on disk of the run that goes on is not needed any more.
    pub(crate) fn forget_part(&self) {
        if let Some(part) = &self.part {
            part.remove();
        }
    }
}

impl Grown {
    fn list(&mut self, list: List) -> &mut Vec<Entry> {
        match list {
            List::Run => &mut self.run,
            List::Rollbacks => &mut self.rollbacks,
        }
    }
}

/// As Python's `platform.platform()`, but for the C library, which this program does not need.
fn platform() -> String {
    let release = kernel("osrelease");
    format!("Linux-{release}-{}", std::env::consts::ARCH)
}

fn node() -> String {
    kernel("hostname")
}

fn kernel(what: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{what}"));
    text.unwrap_or_default().trim_end().to_owned()
}
