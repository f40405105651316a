//! The user's settings, of the file that the reference reads too. Says what is there; what it means, others know.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::document::{Document, Format};
use crate::problem::Problem;

/// What the file says.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// All of it.
    pub value: Value,
}

impl Settings {
    /// Where they are unless the user says otherwise.
    pub fn path() -> Option<PathBuf> {
        std::env::home_dir().map(|home| home.join(".chaostoolkit/settings.yaml"))
    }

    /// Reads a file; nothing if there is none.
    pub fn load(path: &Path) -> Result<Option<Self>, Problem> {
        let source = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Problem {
                    source,
                    place: None,
                    pointer: String::new(),
                    what: format!("the settings cannot be read: {error}"),
                    instead: None,
                });
            }
        };
        Self::read(&source, &text).map(Some)
    }

    /// Reads a text.
    pub fn read(source: &str, text: &str) -> Result<Self, Problem> {
        let value = Document::read(source, text, Format::Yaml)?.value;
        Ok(Self { value })
    }

    /// What stands under these keys, one in the other.
    pub fn at(&self, keys: &[&str]) -> Option<&Value> {
        let mut value = &self.value;
        for key in keys {
            value = value.get(key)?;
        }
        Some(value)
    }

    /// The header with which a server, with its port if that is written, is to be asked.
    pub fn authorization(&self, server: &str) -> Option<String> {
        let auth = self.at(&["auths", server])?;
        let part = |key| match auth.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Some(other.to_string())
            }
        };
        Some(format!("{} {}", part("type")?, part("value")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.yaml");
        assert!(Settings::load(&path).unwrap().is_none());
        std::fs::write(&path, "runtime:\n  rollbacks:\n    strategy: always\n").unwrap();
        let settings = Settings::load(&path).unwrap().unwrap();
        let strategy = settings.at(&["runtime", "rollbacks", "strategy"]);
        assert_eq!(strategy.and_then(Value::as_str), Some("always"));
        assert_eq!(settings.at(&["runtime", "hypothesis", "strategy"]), None);
        std::fs::write(&path, "runtime: [").unwrap();
        let problem = Settings::load(&path).unwrap_err();
        assert_eq!(problem.place.map(|place| place.line), Some(1));
    }
}
