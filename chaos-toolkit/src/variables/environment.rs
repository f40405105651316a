//! The environment of what is run, and of what is looked up: that of this process, and what files of variables add to it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

/// That of this process with additions. Cheap to clone. This process's own is never changed: other threads read it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    added: Arc<BTreeMap<String, String>>,
}

impl Environment {
    /// That of this process, and these.
    pub fn with(added: BTreeMap<String, String>) -> Self {
        Self {
            added: Arc::new(added),
        }
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
