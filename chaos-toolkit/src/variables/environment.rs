//! The environment of what is run, and of what is looked up: that of this process, and what files of variables add to it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

/// That of this process with additions. Cheap to clone. This process's own is never changed: other threads read it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    added: Arc<BTreeMap<String, String>>,
    span: Option<String>,
}

/// By which programs are told of the span that they are a part of.
const SPAN: &str = "TRACEPARENT";

impl Environment {
    /// That of this process, and these.
    pub fn with(added: BTreeMap<String, String>) -> Self {
        Self {
            added: Arc::new(added),
            span: None,
        }
    }

    /// The same within a span of a trace, a `traceparent` of W3C Trace Context: whatever is called from here is a part of it.
    /// Where this process is itself a part of something, that is what the span is in.
    #[must_use]
    pub fn within(&self, span: String) -> Self {
        let mut added = (*self.added).clone();
        added.insert(SPAN.to_owned(), span.clone());
        Self {
            added: Arc::new(added),
            span: Some(span),
        }
    }

    /// The span that requests are a part of.
    pub fn span(&self) -> Option<&str> {
        self.span.as_deref()
    }

    /// The value of a variable; bytes that are no text are replaced.
    pub fn get(&self, name: &str) -> Option<String> {
        self.get_os(name)
            .map(|value| value.to_string_lossy().into_owned())
    }

    /// The value of a variable, as it is.
    pub fn get_os(&self, name: &str) -> Option<OsString> {
        match self.added.get(name) {
            Some(value) => Some(value.into()),
            // A name that the system would not take is not set.
            None if name.is_empty() || name.contains(['=', '\0']) => None,
            None => std::env::var_os(name),
        }
    }

    /// What there is beside this process's own: for whoever starts a program.
    pub fn added(&self) -> impl Iterator<Item = (&str, &str)> {
        self.added
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
