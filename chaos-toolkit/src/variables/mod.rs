//! What the names in a file stand for: configuration, secrets, the environment, what the command line says, and `${name}`
//! wherever it stands. Knows who does the work of an activity, for values that a probe finds; nothing of runs.

use std::fmt;

use serde_json::{Map, Value};

use crate::provider::python::Python;

mod configuration;
mod environment;
mod given;
mod redact;
mod secrets;
mod substitute;
mod vault;

pub use environment::Environment;
pub use given::Given;
pub use redact::HIDDEN;
pub use substitute::substitute;

/// The values of one run.
#[derive(Clone, Default)]
pub struct Variables {
    /// By name.
    pub configuration: Map<String, Value>,
    /// Groups of secrets by name, and the secrets of each by theirs.
    pub secrets: Map<String, Value>,
    /// What programs that are started see, and where values are looked up.
    pub environment: Environment,
    /// What could not be found, and was left out: sentences for whoever runs this.
    pub notices: Vec<String>,
}

impl Variables {
    /// Those of this configuration and these secrets.
    pub fn new(configuration: Map<String, Value>, secrets: Map<String, Value>) -> Self {
        Self {
            configuration,
            secrets,
            ..Self::default()
        }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables")
            .field("configuration", &self.configuration.keys())
            .field("secrets", &self.secrets.keys())
            .finish_non_exhaustive()
    }
}

/// Why a value could not be had. Nothing has run.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// `--var` without a `=`.
    #[error("`{given}` is not a variable: write name=value, or name:type=value")]
    NotAVariable {
        /// What was given.
        given: String,
    },
    /// A type that nobody knows.
    #[error("`{kind}` is not a type of `{name}`: write str, int, float, bytes, bool or json")]
    UnknownType {
        /// The variable.
        name: String,
        /// The type.
        kind: String,
    },
    /// A value that is not of its type.
    #[error("the value of `{name}` cannot be read as {kind}: {why}")]
    NotOfType {
        /// The variable.
        name: String,
        /// The type.
        kind: &'static str,
        /// What is wrong with it; never the value itself.
        why: String,
    },
    /// A file of variables that cannot be read.
    #[error("the variables of {path} cannot be read: {what}")]
    Unread {
        /// The file.
        path: String,
        /// Why not.
        what: String,
    },
    /// A file of variables that says something else.
    #[error("{path}{}: {what}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    File {
        /// The file.
        path: String,
        /// The line, where one is meant.
        line: Option<usize>,
        /// What is wrong with it.
        what: String,
    },
    /// An environment variable that is not set.
    #[error("{section} `{name}` is to come from the environment variable {key}, which is not set{}", if *default { "; set it, or give a `default`" } else { "" })]
    NotSet {
        /// `configuration` or `secret`.
        section: &'static str,
        /// Which.
        name: String,
        /// The environment variable.
        key: String,
        /// Whether one may have a default.
        default: bool,
    },
    /// Vault did not give a secret.
    #[error("secret `{name}` cannot be had from Vault at {address}: {what}")]
    Vault {
        /// The secret.
        name: String,
        /// Where Vault was looked for.
        address: String,
        /// What went wrong.
        what: String,
    },
    /// A part of the file that is not what it must be.
    #[error("{what}")]
    Malformed {
        /// Where: a JSON pointer.
        pointer: String,
        /// What is wrong, and what was expected.
        what: String,
    },
}

/// Finds all values: configuration, then secrets, then what probes of the configuration find.
///
/// A probe that fails leaves its name out, as in the reference; [`Variables::notices`] says so.
pub async fn load(
    experiment: &Map<String, Value>,
    given: Given,
    python: &Python,
) -> Result<Variables, VariableError> {
    let mut variables = load_declared(experiment, given).await?;
    let short = variables.unhidden();
    variables.notices.extend(short.into_iter().map(|pointer| {
        format!(
            "the secret at {pointer} is too short to be hidden where it comes back, as in outputs"
        )
    }));
    configuration::find(&mut variables, python).await?;
    Ok(variables)
}

/// As [`load`], without asking probes: nothing runs. What validation looks at.
pub async fn load_declared(
    experiment: &Map<String, Value>,
    given: Given,
) -> Result<Variables, VariableError> {
    let Given {
        configuration,
        secrets,
        environment,
        named,
    } = given;
    let declared = section(experiment, "configuration")?;
    let unknown = named.iter().filter(|name| !declared.contains_key(*name));
    let unknown: Vec<String> = unknown
        .map(|name| {
            let names: Vec<_> = declared.keys().map(String::as_str).collect();
            let names = names.join(", ");
            format!("--var {name} changes nothing: it is no name of the configuration ({names})")
        })
        .collect();
    let configuration = configuration::declared(&declared, configuration, &environment)?;
    let declared = section(experiment, "secrets")?;
    let mut loading = secrets::Loading {
        vault: vault::Vault::new(&configuration, &environment),
        environment: &environment,
        notices: unknown,
    };
    let secrets = loading.group(&declared, &secrets, "/secrets").await?;
    let notices = loading.notices;
    Ok(Variables {
        configuration,
        secrets,
        environment,
        notices,
    })
}

fn section(
    experiment: &Map<String, Value>,
    name: &str,
) -> Result<Map<String, Value>, VariableError> {
    match experiment.get(name) {
        None => Ok(Map::new()),
        Some(Value::Object(section)) => Ok(section.clone()),
        Some(other) => Err(VariableError::Malformed {
            pointer: format!("/{name}"),
            what: format!(
                "{name} must be a mapping of names to values, not {}",
                crate::python_value::kind(other)
            ),
        }),
    }
}

/// The key of an entry that names something elsewhere, such as an environment variable.
fn key_of<'a>(entry: &'a Map<String, Value>, pointer: &str) -> Result<&'a str, VariableError> {
    entry.get("key").and_then(Value::as_str).ok_or_else(|| VariableError::Malformed {
        pointer: pointer.to_owned(),
        what: format!("{pointer} is of type env and must have a `key`: the name of an environment variable"),
    })
}

/// A part of a JSON pointer.
fn pointer(parent: &str, key: &str) -> String {
    format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
}
