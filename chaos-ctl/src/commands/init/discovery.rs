//! What extensions offer, as `chaosctl discover` and `chaos discover` save it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read what was discovered, {}: {why}", path.display())]
pub(super) struct Unreadable {
    path: PathBuf,
    why: String,
}

/// An activity that an extension offers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Offered {
    pub(super) name: String,
    /// What it is for.
    pub(super) doc: String,
    pub(super) arguments: Vec<Argument>,
    module: String,
}

/// An argument of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Argument {
    pub(super) name: String,
    /// What it is unless somebody says otherwise; none: somebody must.
    pub(super) default: Option<Value>,
    /// As `portable_type_name` of the reference has it.
    of: String,
}

/// What is on offer.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    pub(super) actions: Vec<Offered>,
    pub(super) probes: Vec<Offered>,
}

impl Discovery {
    /// Reads a file; nothing is on offer if there is none.
    pub(super) fn load(path: &Path) -> Result<Self, Unreadable> {
        let unreadable = |why: String| Unreadable {
            path: path.to_owned(),
            why,
        };
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let said: Value =
            serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        let Some(activities) = said["activities"].as_array() else {
            return Err(unreadable("it has no `activities`".to_owned()));
        };
        let of = |kind: &str| {
            let of_kind = activities
                .iter()
                .filter(|activity| activity["type"] == kind);
            of_kind.filter_map(Offered::of).collect()
        };
        Ok(Self {
            actions: of("action"),
            probes: of("probe"),
        })
    }
}

impl Offered {
    fn of(said: &Value) -> Option<Self> {
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        let arguments = said["arguments"].as_array().into_iter().flatten();
        Some(Self {
            name: text("name")?,
            doc: text("doc").unwrap_or_default(),
            arguments: arguments.filter_map(Argument::of).collect(),
            module: text("mod")?,
        })
    }

    /// The provider that calls it.
    pub(super) fn provider(&self, arguments: Map<String, Value>) -> Value {
        let mut provider = json!({"type": "python", "module": self.module, "func": self.name});
        provider["arguments"] = arguments.into();
        provider
    }
}

impl Argument {
    fn of(said: &Value) -> Option<Self> {
        let name = said["name"].as_str()?.to_owned();
        // The run gives these by itself.
        if matches!(name.as_str(), "secrets" | "configuration") {
            return None;
        }
        Some(Self {
            name,
            default: said.get("default").cloned(),
            of: said["type"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// The value that an answer means.
    pub(super) fn value(&self, answer: &str) -> Value {
        match self.of.as_str() {
            "string" | "byte" => answer.into(),
            _ => serde_json::from_str(answer).unwrap_or_else(|_| answer.into()),
        }
    }
}
