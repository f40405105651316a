//! A text of JSON or YAML as a value, and where each part of it stands. Knows nothing of experiments.

use std::collections::HashMap;

use serde_json::Value;

use crate::problem::Place;

/// What was read.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file or address, as the user named it.
    pub source: String,
    /// What it says.
    pub value: Value,
    /// Where each value begins, by its JSON pointer.
    pub places: HashMap<String, Place>,
}

impl Document {
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
}
