//! YAML as `PyYAML`'s `safe_load` reads it: scalars of YAML 1.1, aliases, merge keys, one document.
//!
//! The grammar is granit-parser's, whose events become nodes here (`compose`), and the nodes values (`Build`). What
//! aliases make of a text is bounded, by levels and by size, before it is there.

mod compose;

use serde_json::{Map, Value};

use self::compose::{Kind, Node, Nodes};
use super::json::{short, too_long};
use super::lines::place;
use super::scalar::{self, Not, YAML};
use super::{Draft, Fault, Latest, MOST_LEVELS, pointer_token};
use crate::problem::Place;

/// Reads a text.
pub(super) fn read(text: &str, draft: &mut Draft) -> Result<Value, Fault> {
    let nodes = compose::read(text)?;
    let Some(root) = nodes.root else {
        draft.take("", place(1, 1), 0, 1)?;
        return Ok(Value::Null);
    };
    let nodes = &nodes;
    Build { nodes, draft }.value(root, "", 1)
}

/// Makes values of nodes.
struct Build<'a, 'b> {
    nodes: &'a Nodes,
    draft: &'b mut Draft,
}

/// A key and its value, and whether they were merged in.
struct Pair {
    key: usize,
    value: usize,
    merged: bool,
}

impl Build<'_, '_> {
    fn node(&self, index: usize) -> &Node {
        &self.nodes.all[index]
    }

    fn value(&mut self, index: usize, pointer: &str, levels: usize) -> Result<Value, Fault> {
        let nodes = self.nodes;
        let node = &nodes.all[index];
        let bytes = match &node.kind {
            Kind::Scalar { text, .. } => text.len(),
            Kind::Sequence(_) | Kind::Mapping(_) => 0,
        };
        self.draft.take(pointer, node.place, bytes, levels)?;
        match &node.kind {
            Kind::Scalar { text, .. } => scalar(node, text),
            Kind::Sequence(items) => {
                node.must_be("seq")?;
                let items = items.iter().enumerate();
                let values = items
                    .map(|(at, item)| self.value(*item, &format!("{pointer}/{at}"), levels + 1));
                Ok(Value::Array(values.collect::<Result<_, _>>()?))
            }
            Kind::Mapping(_) => {
                node.must_be("map")?;
                self.mapping(index, pointer, levels)
            }
        }
    }

    fn mapping(&mut self, index: usize, pointer: &str, levels: usize) -> Result<Value, Fault> {
        let mut pairs = Vec::new();
        self.flatten(index, false, levels, &mut pairs)?;
        let mut latest = Latest::new();
        for pair in pairs {
            let node = self.node(pair.key);
            let at = node.place;
            let key = key(node)?;
            let below = format!("{pointer}/{}", pointer_token(&key));
            self.draft.weigh(at, 2 * below.len())?;
            let merged = pair.merged;
            let earlier = latest.insert(key, (pair.value, at, below.clone(), merged));
            // What was merged in is there to be overridden.
            if let Some((_, earlier, _, false)) = earlier {
                self.draft.repeated.push((earlier, below));
            }
        }
        let mut object = Map::new();
        for (key, (value, at, below, _)) in latest.entries {
            self.draft.key(&below, at);
            object.insert(key, self.value(value, &below, levels + 1)?);
        }
        Ok(Value::Object(object))
    }

    /// The pairs of a mapping, those that it merges in first, so that its own override them.
    fn flatten(
        &mut self,
        index: usize,
        merged: bool,
        levels: usize,
        pairs: &mut Vec<Pair>,
    ) -> Result<(), Fault> {
        let nodes = self.nodes;
        let Kind::Mapping(own) = &nodes.all[index].kind else {
            return Ok(());
        };
        if levels > MOST_LEVELS {
            let what = format!("mappings are merged more than {MOST_LEVELS} levels deep here");
            return Err(Fault::at(nodes.all[index].place, what));
        }
        for (key, value) in own {
            if !nodes.all[*key].is_merge() {
                continue;
            }
            let value = &nodes.all[*value];
            match &value.kind {
                Kind::Mapping(_) => self.flatten_one(value, levels, pairs)?,
                Kind::Sequence(items) => {
                    // The first to have a key is to win.
                    for item in items.iter().rev() {
                        self.flatten_one(&nodes.all[*item], levels, pairs)?;
                    }
                }
                Kind::Scalar { .. } => return Err(not_merged(value)),
            }
        }
        for (key, value) in own {
            let node = self.node(*key);
            if node.is_merge() {
                continue;
            }
            self.draft.weigh(node.place, 0)?;
            pairs.push(Pair {
                key: *key,
                value: *value,
                merged,
            });
        }
        Ok(())
    }

    fn flatten_one(
        &mut self,
        node: &Node,
        levels: usize,
        pairs: &mut Vec<Pair>,
    ) -> Result<(), Fault> {
        match node.kind {
            Kind::Mapping(_) => self.flatten(node.index, true, levels + 1, pairs),
            Kind::Scalar { .. } | Kind::Sequence(_) => Err(not_merged(node)),
        }
    }
}

fn not_merged(node: &Node) -> Fault {
    let what = "`<<` merges mappings, and this is none";
    Fault::at(node.place, what).instead("give an alias of a mapping, or a list of such")
}

impl Node {
    /// The kind that its tag, or else its form, gives it: one of YAML's own, or its whole tag.
    fn name(&self) -> &str {
        if let Some(tag) = &self.tag {
            return tag.strip_prefix(YAML).unwrap_or(tag);
        }
        match &self.kind {
            Kind::Scalar { text, plain: true } => scalar::implied(text),
            Kind::Scalar { plain: false, .. } => "str",
            Kind::Sequence(_) => "seq",
            Kind::Mapping(_) => "map",
        }
    }

    fn is_merge(&self) -> bool {
        self.name() == "merge"
    }

    fn must_be(&self, name: &str) -> Result<(), Fault> {
        if self.name() == name {
            return Ok(());
        }
        Err(self.wrong_tag())
    }

    /// A tag that is not taken, or not here.
    fn wrong_tag(&self) -> Fault {
        let name = self.name();
        let known = [
            "str",
            "int",
            "float",
            "bool",
            "null",
            "timestamp",
            "seq",
            "map",
        ];
        let form = match self.kind {
            Kind::Scalar { .. } => "scalar",
            Kind::Sequence(_) => "list",
            Kind::Mapping(_) => "mapping",
        };
        let what = match name {
            "merge" => "`<<` is a key that merges mappings, and no value".to_owned(),
            "value" => "`=` alone is no value".to_owned(),
            name if known.contains(&name) => {
                format!("the tag `!!{name}` does not go with a {form}")
            }
            "binary" | "set" | "omap" | "pairs" => {
                format!("the tag `!!{name}` gives something that no journal can hold")
            }
            _ => {
                let tag = self.tag.as_deref().unwrap_or_default();
                match tag.strip_prefix(YAML) {
                    Some(name) => format!("the tag `!!{}` is not known", short(name)),
                    None => format!("the tag `{}` is not known", short(tag)),
                }
            }
        };
        let instead = match name {
            "merge" | "value" => "write it in quotes",
            _ => "leave the tag out",
        };
        Fault::at(self.place, what).instead(instead)
    }
}

fn scalar(node: &Node, text: &str) -> Result<Value, Fault> {
    let name = node.name();
    let known = matches!(
        name,
        "str" | "null" | "bool" | "int" | "float" | "timestamp"
    );
    if !known {
        return Err(node.wrong_tag());
    }
    scalar::construct(name, text).map_err(|not| match not {
        Not::Kind if node.tag.is_none() => {
            let kind = if name == "timestamp" {
                "day or time"
            } else {
                "number"
            };
            let what = format!("`{}` looks like a {kind} and is none", short(text));
            Fault::at(node.place, what).instead("write it in quotes")
        }
        Not::Kind => Fault::at(node.place, format!("`{}` is no `!!{name}`", short(text))),
        Not::TooLong => too_long(text, node.place),
        Not::Unheld(what) => Fault::at(node.place, what).instead("write it in quotes"),
    })
}

/// A key as a journal prints it: JSON has keys of text only.
fn key(node: &Node) -> Result<String, Fault> {
    let Kind::Scalar { text, .. } = &node.kind else {
        let what = "a list or mapping cannot be a key";
        return Err(Fault::at(node.place, what).instead("write a word"));
    };
    match node.name() {
        // As `PyYAML` has it: where there are keys, `=` is one like others.
        "value" => return Ok(text.clone()),
        "timestamp" => {
            let what = format!("a date cannot be a key, and `{}` is one", short(text));
            return Err(Fault::at(node.place, what).instead("write it in quotes"));
        }
        _ => {}
    }
    Ok(match scalar(node, text)? {
        Value::String(text) => text,
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => other.to_string(),
    })
}

/// An error of the grammar.
fn grammar(place: Place, said: &str) -> Fault {
    Fault::at(place, format!("this is not YAML: {said}"))
}
