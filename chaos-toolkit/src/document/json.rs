//! JSON as Python's `json` reads it: the last of several equal keys wins; but what is no JSON (`NaN`) is refused.
//!
//! The grammar is `serde_json`'s, which also hands out the text of each part, and with it the place.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::lines::Lines;
use super::{Draft, Fault, Latest, MOST_LEVELS, pointer_token};
use crate::problem::Place;

/// The parts of an object, in their order.
struct Entries<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(All)
    }
}

/// A text that is read.
struct Json<'a, 'b> {
    text: &'a str,
    lines: Lines<'a>,
    draft: &'b mut Draft,
}

/// Reads a text.
pub(super) fn read(text: &str, draft: &mut Draft) -> Result<Value, Fault> {
    let mut json = Json {
        text,
        lines: Lines::of(text),
        draft,
    };
    if text.starts_with('\u{feff}') {
        let what = "JSON does not begin with a byte order mark";
        return Err(Fault::at(json.lines.place(0), what).instead("save the file without it"));
    }
    // What comes out of it is read anew at each level.
    if let Some(offset) = too_deep(text) {
        return Err(super::too_deep(json.lines.place(offset)));
    }
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| json.grammar(&error))?;
    json.value(whole, "", 1)
}

impl<'a> Json<'a, '_> {
    /// What is wrong with the text as a whole.
    fn grammar(&self, error: &serde_json::Error) -> Fault {
        let offset = if error.is_eof() {
            self.text.len()
        } else {
            self.lines.offset(error.line(), error.column())
        };
        let place = self.lines.place(offset);
        if self.text.trim().is_empty() {
            return Fault::at(place, "the file is empty").instead("write an experiment");
        }
        let rest = &self.text[offset..];
        for word in ["NaN", "Infinity", "-Infinity"] {
            // serde_json stops behind the minus.
            let rest_of_word = word.trim_start_matches('-');
            if rest.starts_with(word) || rest.starts_with(rest_of_word) {
                let what =
                    format!("{rest_of_word} is a number of Python's, and JSON has none of it");
                return Fault::at(place, what).instead("write a number, or the word in quotes");
            }
        }
        if rest.starts_with('\'') {
            let what = "strings and keys of JSON stand in double quotes";
            return Fault::at(place, what).instead("write \" for '");
        }
        if rest.starts_with('#') || rest.starts_with("//") || rest.starts_with("/*") {
            let what = "JSON has no comments";
            return Fault::at(place, what).instead("leave it out, or write the file as YAML");
        }
        let before = self.text[..offset].trim_end();
        if rest.starts_with(['}', ']']) && before.ends_with(',') {
            let what = "nothing comes after this comma";
            return Fault::at(self.lines.place(before.len() - 1), what).instead("leave it out");
        }
        not_json(place, error)
    }

    fn place(&self, raw: &RawValue) -> Place {
        let offset = raw.get().as_ptr() as usize - self.text.as_ptr() as usize;
        self.lines.place(offset)
    }

    fn value(&mut self, raw: &'a RawValue, pointer: &str, levels: usize) -> Result<Value, Fault> {
        let (text, at) = (raw.get(), self.place(raw));
        let leaf = !text.starts_with(['{', '[']);
        let bytes = if leaf { text.len() } else { 0 };
        self.draft.take(pointer, at, bytes, levels)?;
        let inside = |error: serde_json::Error| not_json(at, &error);
        match text.as_bytes().first() {
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(text).map_err(inside)?;
                self.object(entries, pointer, levels)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(inside)?;
                let items = items.into_iter().enumerate();
                let values = items
                    .map(|(index, raw)| self.value(raw, &format!("{pointer}/{index}"), levels + 1));
                Ok(Value::Array(values.collect::<Result<_, _>>()?))
            }
            Some(b'-' | b'0'..=b'9') => number(text, at),
            Some(b'"') => Ok(Value::String(string(text, at)?)),
            _ => serde_json::from_str(text).map_err(inside),
        }
    }

    fn object(
        &mut self,
        entries: Vec<(&'a RawValue, &'a RawValue)>,
        pointer: &str,
        levels: usize,
    ) -> Result<Value, Fault> {
        let mut latest = Latest::new();
        for (raw, value) in entries {
            let at = self.place(raw);
            let key = string(raw.get(), at)?;
            let below = format!("{pointer}/{}", pointer_token(&key));
            self.draft.weigh(at, 2 * below.len())?;
            if let Some((_, earlier, _)) = latest.insert(key, (value, at, below.clone())) {
                self.draft.repeated.push((earlier, below));
            }
        }
        let mut object = Map::new();
        for (key, (value, at, below)) in latest.entries {
            self.draft.key(&below, at);
            object.insert(key, self.value(value, &below, levels + 1)?);
        }
        Ok(Value::Object(object))
    }
}

/// Where a text goes below the last level.
fn too_deep(text: &str) -> Option<usize> {
    let (mut levels, mut in_string, mut escaped) = (0, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' if levels == MOST_LEVELS => return Some(offset),
            b'[' | b'{' => levels += 1,
            b']' | b'}' => levels = levels.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// What `serde_json` says, without the place, which it counts from elsewhere.
fn not_json(at: Place, error: &serde_json::Error) -> Fault {
    let said = error.to_string();
    let said = said
        .rsplit_once(" at line ")
        .map_or(&*said, |(said, _)| said);
    Fault::at(at, format!("this is not JSON: {said}"))
}

fn string(text: &str, at: Place) -> Result<String, Fault> {
    // All else that could be wrong with it was seen when the whole was read.
    serde_json::from_str(text).map_err(|_| {
        let what = "this string has half of a surrogate pair, which no UTF-8 can hold";
        Fault::at(at, what).instead("write both halves, or another character")
    })
}

fn number(text: &str, at: Place) -> Result<Value, Fault> {
    if text.contains(['.', 'e', 'E']) {
        let number = text.parse().ok().and_then(Number::from_f64);
        let what = format!("the number {} is too large", short(text));
        return number.map(Value::Number).ok_or_else(|| Fault::at(at, what));
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number.into());
    }
    text.parse::<u64>()
        .map(Value::from)
        .map_err(|_| too_long(text, at))
}

/// A whole number that does not fit.
pub(super) fn too_long(text: &str, at: Place) -> Fault {
    let what = format!("the whole number {} has more than 64 bits", short(text));
    Fault::at(at, what).instead("write it in quotes, or with a decimal point")
}

/// As much of a text as fits into a sentence.
pub(super) fn short(text: &str) -> String {
    let mut characters = text.chars();
    let begin: String = characters.by_ref().take(30).collect();
    match characters.next() {
        Some(_) => format!("{begin}\u{2026}"),
        None => begin,
    }
}
