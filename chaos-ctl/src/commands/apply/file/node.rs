//! `node` of a file: `true` for the agent's own host, or names of nodes in a cluster.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};

/// As `--node` has it: one empty name for the agent's own host, none where it is not given.
pub(super) fn read<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    value.deserialize_any(Node)
}

struct Node;

impl<'de> Visitor<'de> for Node {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, or a name or list of names of nodes")
    }

    fn visit_bool<E>(self, is_this_host: bool) -> Result<Vec<String>, E> {
        Ok(if is_this_host {
            vec![String::new()]
        } else {
            Vec::new()
        })
    }

    fn visit_str<E>(self, name: &str) -> Result<Vec<String>, E> {
        Ok(vec![name.to_owned()])
    }

    fn visit_unit<E>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(names)
    }
}
