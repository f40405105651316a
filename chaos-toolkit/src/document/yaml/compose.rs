//! From events to nodes: anchors and aliases become what they stand for.

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, Tag};

use super::{Fault, grammar};
use crate::document::json::short;
use crate::document::lines::place;
use crate::document::too_deep;
use crate::problem::Place;

/// A node; aliases are further ways to the same.
pub(super) struct Node {
    pub(super) index: usize,
    /// Written out; none: what it is says its form.
    pub(super) tag: Option<String>,
    pub(super) place: Place,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Scalar {
        text: String,
        /// Neither quoted nor a block: its text says what it is.
        plain: bool,
    },
    Sequence(Vec<usize>),
    Mapping(Vec<(usize, usize)>),
}

/// All nodes of a document; children stand behind those that they are in.
pub(super) struct Nodes {
    pub(super) all: Vec<Node>,
    pub(super) root: Option<usize>,
}

/// A collection whose end has not come.
struct Open {
    index: usize,
    /// Of a mapping: the key that has no value yet.
    key: Option<usize>,
}

#[derive(Default)]
struct Compose {
    all: Vec<Node>,
    root: Option<usize>,
    open: Vec<Open>,
    anchors: HashMap<usize, usize>,
    names: HashSet<String>,
    documents: usize,
}

fn at(marker: &Marker) -> Place {
    place(marker.line(), marker.col() + 1)
}

/// Reads a text into nodes.
pub(super) fn read(text: &str) -> Result<Nodes, Fault> {
    unprintable(text)?;
    let options = granit_parser::options! { emit_anchor_events: true, emit_comments: false };
    let mut compose = Compose::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| {
            let place = at(error.marker());
            if *error.kind() == ErrorKind::RecursionLimitExceeded {
                return too_deep(place);
            }
            let fault = grammar(place, &error.info());
            if text[..error.marker().byte_offset().unwrap_or(0)].ends_with('\t') {
                return fault.instead("write blanks for tabs");
            }
            fault
        })?;
        // A node stands where its tag does.
        let start = span
            .tag_start()
            .filter(|tag| tag.index() < span.start.index());
        compose.take(event, at(&start.unwrap_or(span.start)))?;
    }
    Ok(Nodes {
        all: compose.all,
        root: compose.root,
    })
}

/// Refuses what `PyYAML` does: a character that nobody can see.
fn unprintable(text: &str) -> Result<(), Fault> {
    let is_printable = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
            || c >= '\u{10000}'
    };
    match text.char_indices().find(|(_, c)| !is_printable(*c)) {
        Some((offset, c)) => {
            let what = format!("the character U+{:04X} may not stand in YAML", u32::from(c));
            let place = crate::document::lines::Lines::of(text).place(offset);
            Err(Fault::at(place, what)
                .instead("leave it out, or write it as an escape in double quotes"))
        }
        None => Ok(()),
    }
}

fn tag(tag: Option<&Tag>) -> Option<String> {
    let (handle, suffix) = tag?.parts();
    let tag = format!("{handle}{suffix}");
    // The tag that says that there is none.
    (tag != "!").then_some(tag)
}

impl Compose {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser may come to know more events, and none that it knows is a node"
    )]
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let what = "another document begins here, and a file is one experiment";
                    return Err(Fault::at(place, what).instead("write each to a file of its own"));
                }
            }
            Event::Scalar(text, style, anchor, given) => {
                let none = given
                    .as_deref()
                    .is_some_and(|given| tag(Some(given)).is_none());
                let plain = style == ScalarStyle::Plain || none;
                let text = text.into_owned();
                self.node(
                    Kind::Scalar { text, plain },
                    tag(given.as_deref()),
                    anchor,
                    place,
                );
            }
            Event::SequenceStart(_, anchor, given) => {
                let kind = Kind::Sequence(Vec::new());
                self.begin(kind, tag(given.as_deref()), anchor, place);
            }
            Event::MappingStart(_, anchor, given) => {
                let kind = Kind::Mapping(Vec::new());
                self.begin(kind, tag(given.as_deref()), anchor, place);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
            }
            Event::Anchor(_, name) => self.anchor(&name, place)?,
            Event::Alias(anchor) => {
                let Some(index) = self.anchors.get(&anchor).copied() else {
                    return Err(grammar(place, "this alias is of no anchor"));
                };
                if self.open.iter().any(|open| open.index == index) {
                    let what = "this alias is of what it stands in, which would have no end";
                    return Err(Fault::at(place, what));
                }
                self.put(index);
            }
            // The stream's ends, the document's, comments.
            _ => {}
        }
        Ok(())
    }

    fn node(&mut self, kind: Kind, tag: Option<String>, anchor: usize, place: Place) -> usize {
        let index = self.all.len();
        self.all.push(Node {
            index,
            tag,
            place,
            kind,
        });
        if anchor > 0 {
            self.anchors.insert(anchor, index);
        }
        self.put(index);
        index
    }

    fn begin(&mut self, kind: Kind, tag: Option<String>, anchor: usize, place: Place) {
        let index = self.node(kind, tag, anchor, place);
        self.open.push(Open { index, key: None });
    }

    fn anchor(&mut self, name: &str, place: Place) -> Result<(), Fault> {
        if self.names.insert(name.to_owned()) {
            return Ok(());
        }
        let what = format!("the anchor `&{}` was given to something above", short(name));
        Err(Fault::at(place, what).instead("give it another name"))
    }

    /// Puts a node where the next one belongs.
    fn put(&mut self, index: usize) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(index);
            return;
        };
        match &mut self.all[open.index].kind {
            Kind::Sequence(items) => items.push(index),
            Kind::Mapping(pairs) => match open.key.take() {
                Some(key) => pairs.push((key, index)),
                None => open.key = Some(index),
            },
            Kind::Scalar { .. } => {}
        }
    }
}
