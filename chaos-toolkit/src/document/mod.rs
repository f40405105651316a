//! A text of JSON or YAML as a value, and where each part of it stands. Knows nothing of experiments.
//!
//! The value is what Python's `json` and `PyYAML`'s `safe_load` would give, as the journal would show it. What they give
//! and a journal cannot hold (infinity, bytes, sets) is refused here, where there is still a line to point at.

mod json;
mod lines;
mod scalar;
mod timestamp;
mod yaml;

use std::collections::HashMap;
use std::sync::Arc;

use lines::Lines;
use serde_json::Value;

use crate::problem::{Place, Problem};

/// Values in values in values: a journal holds an experiment some levels down, and readers of JSON stop at 128.
const MOST_LEVELS: usize = 100;
/// What a document may take in memory, all aliases written out. An experiment takes some thousandths of it.
const MOST_BYTES: usize = 16 << 20;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file or address, as the user named it.
    pub source: String,
    /// The text, for who shows a line of it.
    pub text: Arc<str>,
    /// What it says.
    pub value: Value,
    /// Where each value begins, by its JSON pointer.
    pub places: HashMap<String, Place>,
    /// Where the key of each value of a mapping stands, by the JSON pointer of the value.
    pub keys: HashMap<String, Place>,
    /// Keys that are there twice, the last of which counts: where the earlier one stands, and the pointer of the value.
    pub repeated: Vec<(Place, String)>,
}

impl Document {
    /// Reads a text; the problem of one that cannot be read is the first one in it.
    pub fn read(source: &str, text: &str, format: Format) -> Result<Self, Problem> {
        let mut draft = Draft::default();
        let value = match format {
            Format::Json => json::read(text, &mut draft),
            Format::Yaml => yaml::read(text, &mut draft),
        };
        match value {
            Ok(value) => Ok(Self {
                source: source.to_owned(),
                text: text.into(),
                value,
                places: draft.places,
                keys: draft.keys,
                repeated: draft.repeated,
            }),
            Err(fault) => Err(Problem {
                source: source.to_owned(),
                place: fault.place,
                pointer: String::new(),
                what: fault.what,
                instead: fault.instead,
            }),
        }
    }

    /// Reads bytes, which must be UTF-8.
    pub fn read_bytes(source: &str, bytes: &[u8], format: Format) -> Result<Self, Problem> {
        let good = match std::str::from_utf8(bytes) {
            Ok(text) => return Self::read(source, text, format),
            Err(error) => &bytes[..error.valid_up_to()],
        };
        let good = String::from_utf8_lossy(good);
        Err(Problem {
            source: source.to_owned(),
            place: Some(Lines::of(&good).place(good.len())),
            pointer: String::new(),
            what: "this is not UTF-8".to_owned(),
            instead: Some("save the file as UTF-8".to_owned()),
        })
    }

    /// A value that was never written down.
    pub fn unwritten(source: &str, value: Value) -> Self {
        Self {
            source: source.to_owned(),
            text: "".into(),
            value,
            places: HashMap::new(),
            keys: HashMap::new(),
            repeated: Vec::new(),
        }
    }

    /// Where the value of this pointer stands, or else the nearest around it.
    pub fn place(&self, pointer: &str) -> Option<Place> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return Some(*place);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }

    /// Where the key of this pointer's value stands, or else the value.
    pub fn key_place(&self, pointer: &str) -> Option<Place> {
        let key = self.keys.get(pointer).copied();
        key.or_else(|| self.place(pointer))
    }
}

/// One token of a JSON pointer (RFC 6901).
pub fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Why a text cannot be read.
#[derive(Debug)]
struct Fault {
    place: Option<Place>,
    what: String,
    instead: Option<String>,
}

impl Fault {
    fn at(place: Place, what: impl Into<String>) -> Self {
        Self {
            place: Some(place),
            what: what.into(),
            instead: None,
        }
    }

    fn instead(mut self, instead: impl Into<String>) -> Self {
        self.instead = Some(instead.into());
        self
    }
}

fn too_deep(at: Place) -> Fault {
    let what = format!("values are nested more than {MOST_LEVELS} levels deep here");
    Fault::at(at, what)
}

/// What is known while a text is read, and what it has taken so far.
#[derive(Debug, Default)]
struct Draft {
    places: HashMap<String, Place>,
    keys: HashMap<String, Place>,
    repeated: Vec<(Place, String)>,
    bytes: usize,
}

impl Draft {
    /// Takes note of a value of so many bytes of text, so deep.
    fn take(&mut self, pointer: &str, at: Place, bytes: usize, levels: usize) -> Result<(), Fault> {
        if levels > MOST_LEVELS {
            return Err(too_deep(at));
        }
        self.weigh(at, 2 * pointer.len() + bytes)?;
        self.places.insert(pointer.to_owned(), at);
        Ok(())
    }

    /// Counts what something takes.
    fn weigh(&mut self, at: Place, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(128);
        if self.bytes > MOST_BYTES {
            let mib = MOST_BYTES >> 20;
            let what =
                format!("with its aliases written out, the document is larger than {mib} MiB");
            return Err(Fault::at(at, what));
        }
        Ok(())
    }

    /// Takes note of a key.
    fn key(&mut self, pointer: &str, at: Place) {
        self.keys.insert(pointer.to_owned(), at);
    }
}

/// The keys of a mapping in the order of their first appearance, each with the last of its values.
#[derive(Debug)]
struct Latest<T> {
    entries: Vec<(String, T)>,
    index: HashMap<String, usize>,
}

impl<T> Latest<T> {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            index: HashMap::new(),
        }
    }

    /// Gives what was there before.
    fn insert(&mut self, key: String, value: T) -> Option<T> {
        if let Some(index) = self.index.get(&key) {
            return Some(std::mem::replace(&mut self.entries[*index].1, value));
        }
        self.index.insert(key.clone(), self.entries.len());
        self.entries.push((key, value));
        None
    }
}

#[cfg(test)]
mod tests;
