//! What is wrong with something that a user wrote: where it stands, what it is, and what to do.

use std::fmt;

/// A place in a text, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// What is wrong with a provider, or with a control, as those say who know its type. Where it stands, others know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The key that is wrong, as the rest of a JSON pointer: `latency`, `rules/1/loss/percent`. None: something is missing,
    /// or does not go together.
    pub key: Option<String>,
    /// What is wrong, and what was expected.
    pub what: String,
    /// What to write instead.
    pub instead: Option<String>,
}

impl Flaw {
    /// One of this key, or of the whole.
    pub(crate) fn of(key: Option<&str>, what: impl Into<String>) -> Self {
        Self {
            key: key.map(str::to_owned),
            what: what.into(),
            instead: None,
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or address.
    pub source: String,
    /// Where in it; none where it says nothing of the matter.
    pub place: Option<Place>,
    /// The same as a JSON pointer (RFC 6901); empty for the whole document.
    pub pointer: String,
    /// What is wrong, and what was expected.
    pub what: String,
    /// What to write instead.
    pub instead: Option<String>,
}

impl Problem {
    /// Says what to write instead.
    pub fn or(&mut self, instead: impl Into<String>) {
        self.instead = Some(instead.into());
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.pointer.is_empty() {
            write!(f, ": {}", self.pointer)?;
        }
        write!(f, ": {}", self.what)?;
        match &self.instead {
            Some(instead) => write!(f, "; {instead}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}
