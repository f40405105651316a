//! JSON paths in the dialect of jsonpath2, which the reference uses. It is not that of RFC 9535: a filter looks at the value
//! itself and not at what is in it (`$.items[*][?(@.n = 1)]`), equality is `=`, names are quoted with `"` only and taken
//! letter by letter, `or` binds closer than `and`, and there are functions (`length()`, `keys()`, `charAt(0)`, …).

use std::fmt;

use serde_json::Value;

mod lex;
mod matching;
mod parse;

/// A path that was read.
#[derive(Debug)]
pub(super) struct Path(Vec<Step>);

/// What goes from a value to others.
#[derive(Debug)]
struct Step {
    /// From the value, and from everything in it.
    descends: bool,
    subscripts: Vec<Subscript>,
}

#[derive(Debug)]
enum Subscript {
    Name(String),
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: Option<i64>,
    },
    Wildcard,
    Filter(Expression),
    /// By the names and numbers that a path leads to.
    Node(Node),
    Call {
        function: Function,
        arguments: Vec<Operand>,
    },
}

#[derive(Clone, Copy, Debug)]
enum Function {
    CharAt,
    Entries,
    Keys,
    Length,
    Substring,
    Values,
}

/// A path inside another.
#[derive(Debug)]
struct Node {
    from_root: bool,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Operand {
    Node(Node),
    Value(Value),
}

#[derive(Debug)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Some(Operand),
    Compare(Comparison, Operand, Operand),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a path cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The character of the path, from 1; none where it is found only with a value.
    column: Option<usize>,
    what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.column {
            Some(column) => write!(f, ", at character {column}"),
            None => Ok(()),
        }
    }
}

impl Path {
    /// Reads a path.
    pub(super) fn parse(path: &str) -> Result<Self, Wrong> {
        parse::path(path).map(Self)
    }

    /// The values that it leads to, in their order.
    pub(super) fn find(&self, root: &Value) -> Result<Vec<Value>, Wrong> {
        let mut found = Vec::new();
        matching::steps(&self.0, root, root, &mut |value| {
            found.push(value.clone());
            Ok(())
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
