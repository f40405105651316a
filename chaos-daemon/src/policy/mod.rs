//! What this agent does at most, whoever asks: a file of the operator's, and the guards that it sets.
//!
//! The file is read at each decision, so that a change of it counts at once. One that cannot be read allows nothing. Knows
//! no gRPC and no cluster: what guards look at comes as values.

mod guards;
mod percent;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::de::DeserializeOwned;

pub use guards::{Asked, Guard, Level, Share};
pub use percent::Percent;

use crate::{engine::Fault, near};

/// Most that a policy file may be long.
const LARGEST: u64 = 1 << 20;
const KEYS: [&str; 5] = [
    "namespaces",
    "maxDuration",
    "maxShare",
    "faults",
    "nodeLevel",
];
const NAMESPACE_KEYS: [&str; 2] = ["allow", "deny"];
const ALL: &str = "*";

/// What is allowed at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Patterns of namespaces whose pods may be hit; `*` stands for any letters.
    pub allow: Vec<String>,
    /// Patterns of those whose pods may not, although the others have them.
    pub deny: Vec<String>,
    /// Longest experiment.
    pub max_duration: Duration,
    /// Largest share of the ready endpoints of what pods were chosen from.
    pub max_share: Percent,
    /// Names of faults.
    pub faults: Vec<String>,
    /// Whether targets may be other than pods.
    pub node_level: bool,
}

/// Where this agent's policy comes from.
#[derive(Clone, Debug)]
pub enum Policies {
    /// It has none, and no guards.
    None,
    /// What holds in a cluster where nothing is said.
    Default {
        /// Namespace of the agents.
        agents: String,
    },
    /// A file.
    File {
        /// Where.
        path: PathBuf,
        /// Namespace of the agents.
        agents: String,
    },
}

impl Policies {
    /// The policy as it is now.
    pub fn read(&self) -> Option<Result<Policy, PolicyError>> {
        match self {
            Self::None => None,
            Self::Default { agents } => Some(Ok(Policy::of_cluster(agents))),
            Self::File { path, agents } => Some(Policy::read(path, agents)),
        }
    }
}

/// Why a policy is none.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It cannot be read.
    #[error("the policy {path} cannot be read, so nothing is allowed: {source}")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// It says something that makes no sense.
    #[error("the policy {path} makes no sense, so nothing is allowed: {fault}")]
    Nonsense {
        /// Where.
        path: PathBuf,
        /// What it says.
        fault: PolicyFault,
    },
}

/// What makes no sense in a policy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// Not YAML.
    #[error("{0}")]
    Yaml(
        /// The parser's word.
        String,
    ),
    /// A key that there is not.
    #[error("there is no key {key}{hint}")]
    Key {
        /// As written.
        key: String,
        /// Near misses, as the rest of the sentence.
        hint: String,
    },
    /// A value of another kind.
    #[error("{key}: {reason}")]
    Value {
        /// Its key.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A fault that there is not.
    #[error("faults: there is no fault {name}{hint}")]
    Fault {
        /// As written.
        name: String,
        /// Near misses, as the rest of the sentence.
        hint: String,
    },
}

type Keys = BTreeMap<String, serde_json::Value>;

impl Policy {
    /// What holds in a cluster where nothing is said: all but the cluster's own namespaces and the agents'.
    pub fn of_cluster(agents: &str) -> Self {
        Self {
            allow: vec![ALL.to_owned()],
            deny: vec!["kube-*".to_owned(), agents.to_owned()],
            max_duration: Duration::from_hours(1),
            max_share: Percent::ALL,
            faults: vec![ALL.to_owned()],
            node_level: false,
        }
    }

    /// What a file says; where it says nothing, what holds in a cluster of these agents.
    pub fn read(path: &Path, agents: &str) -> Result<Self, PolicyError> {
        let unreadable = |source| PolicyError::Unreadable {
            path: path.to_owned(),
            source,
        };
        if fs::metadata(path).map_err(unreadable)?.len() > LARGEST {
            return Err(unreadable(io::Error::other("it is larger than 1 MiB")));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, agents).map_err(|fault| PolicyError::Nonsense {
            path: path.to_owned(),
            fault,
        })
    }

    fn parse(text: &str, agents: &str) -> Result<Self, PolicyFault> {
        let mut policy = Self::of_cluster(agents);
        let yaml = |error: serde_saphyr::Error| PolicyFault::Yaml(error.to_string());
        // Empty, or comments only: null.
        let keys: Option<Keys> = serde_saphyr::from_str(text).map_err(yaml)?;
        let mut keys = keys.unwrap_or_default();
        check_keys("", &keys, &KEYS)?;
        if let Some(namespaces) = take::<Option<Keys>>(&mut keys, "namespaces")?.flatten() {
            let mut namespaces = namespaces;
            check_keys("namespaces.", &namespaces, &NAMESPACE_KEYS)?;
            if let Some(allow) = take(&mut namespaces, "allow")? {
                policy.allow = allow;
            }
            if let Some(deny) = take(&mut namespaces, "deny")? {
                policy.deny = deny;
            }
        }
        if let Some(text) = take::<String>(&mut keys, "maxDuration")? {
            let parsed = humantime::parse_duration(&text);
            policy.max_duration = parsed.map_err(|error| PolicyFault::Value {
                key: "maxDuration",
                reason: format!("{text:?} is no time such as 1h or 90s ({error})"),
            })?;
        }
        if let Some(share) = take(&mut keys, "maxShare")? {
            policy.max_share = share;
        }
        if let Some(faults) = take::<Vec<String>>(&mut keys, "faults")? {
            for name in &faults {
                if name != ALL && !Fault::NAMES.contains(&name.as_str()) {
                    return Err(PolicyFault::Fault {
                        name: name.clone(),
                        hint: near::hint(name, Fault::NAMES),
                    });
                }
            }
            policy.faults = faults;
        }
        if let Some(node_level) = take(&mut keys, "nodeLevel")? {
            policy.node_level = node_level;
        }
        Ok(policy)
    }
}

fn check_keys(prefix: &str, keys: &Keys, known: &[&str]) -> Result<(), PolicyFault> {
    for key in keys.keys() {
        if !known.contains(&key.as_str()) {
            return Err(PolicyFault::Key {
                key: format!("{prefix}{key}"),
                hint: near::hint(key, known.iter().copied()),
            });
        }
    }
    Ok(())
}

fn take<T: DeserializeOwned>(keys: &mut Keys, key: &'static str) -> Result<Option<T>, PolicyFault> {
    let value = keys.remove(key).map(T::deserialize);
    value.transpose().map_err(|error| PolicyFault::Value {
        key,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENTS: &str = "chaos-system";

    fn fault(text: &str) -> String {
        Policy::parse(text, AGENTS).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let policy = Policy::of_cluster(AGENTS);
        for text in ["", "# nothing\n", "{}", "namespaces: {}\n", "namespaces:\n"] {
            assert_eq!(Policy::parse(text, AGENTS).unwrap(), policy, "{text:?}");
        }
        assert_eq!(policy.deny, ["kube-*", AGENTS]);
        let text = "namespaces: {allow: [demo]}\nmaxDuration: 90s\nmaxShare: 50%\nfaults: [delay, loss]\nnodeLevel: true\n";
        assert_eq!(
            Policy::parse(text, AGENTS).unwrap(),
            Policy {
                allow: vec!["demo".into()],
                max_duration: Duration::from_secs(90),
                max_share: Percent::of(50.0).unwrap(),
                faults: vec!["delay".into(), "loss".into()],
                node_level: true,
                ..policy
            }
        );
    }

    #[test]
    fn what_makes_no_sense_is_said_with_near_misses() {
        assert_eq!(
            fault("maxDuraton: 1h"),
            "there is no key maxDuraton; did you mean maxDuration?"
        );
        assert_eq!(
            fault("namespaces: {alow: []}"),
            "there is no key namespaces.alow; did you mean allow?"
        );
        assert_eq!(
            fault("faults: [dely]"),
            "faults: there is no fault dely; did you mean delay?"
        );
        assert!(fault("nodeLevel: 3").starts_with("nodeLevel: "));
        assert!(fault("maxDuration: soon").contains("\"soon\" is no time"));
        assert!(fault("maxShare: 120%").starts_with("maxShare: "));
        assert!(!fault("- a\n- b").is_empty());
    }

    #[test]
    fn a_file_that_is_not_there_allows_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.yaml");
        let error = Policy::read(&path, AGENTS).unwrap_err().to_string();
        assert!(error.contains("so nothing is allowed"), "{error}");
        fs::write(&path, "nodeLevel: yes please").unwrap();
        let error = Policy::read(&path, AGENTS).unwrap_err().to_string();
        assert!(error.contains("makes no sense"), "{error}");
    }
}
