//! An experiment in the making, and the activities that a few words mean.

use serde_json::{Map, Value, json};

use super::Given;
use super::discovery::{Discovery, Offered, Unreadable};
use crate::quantity::{self, InvalidQuantity};

/// Why the answers make no experiment.
#[derive(Debug, thiserror::Error)]
pub(super) enum DraftError {
    #[error("{fault} needs a value: write --fault {fault}=VALUE, such as {fault}={example}")]
    Valueless {
        fault: String,
        example: &'static str,
    },
    #[error("{fault} takes no value")]
    Valued { fault: String },
    #[error("`{fault}` is no fault that init knows: it is one of {}", known.join(", "))]
    Fault {
        fault: String,
        known: Vec<&'static str>,
    },
    #[error(transparent)]
    Quantity(#[from] InvalidQuantity),
    #[error("the tolerance `{given}` is not JSON: {source}")]
    Tolerance {
        given: String,
        source: serde_json::Error,
    },
    #[error("{activity} needs its argument `{argument}`, which only an answer can give")]
    Argument { activity: String, argument: String },
    #[error("there is no answer: {0}")]
    Unanswered(#[from] dialoguer::Error),
    #[error(transparent)]
    Discovery(#[from] Unreadable),
}

impl DraftError {
    /// Whether it is for the command line to be changed.
    pub(super) fn is_usage(&self) -> bool {
        !matches!(self, Self::Unanswered(_) | Self::Discovery(_))
    }
}

impl From<Unreadable> for super::InitError {
    fn from(error: Unreadable) -> Self {
        Self::Draft(error.into())
    }
}

/// A fault as init offers it.
pub(super) struct Fault {
    pub(super) name: &'static str,
    /// What it does, for who chooses.
    pub(super) what: &'static str,
    /// Its value, if it has one: what it is called, and one that is usual.
    pub(super) value: Option<(&'static str, &'static str)>,
    /// The name and the key of its value, as providers have them.
    of: &'static str,
    key: &'static str,
}

const fn fault(
    name: &'static str,
    what: &'static str,
    value: Option<(&'static str, &'static str)>,
    of: (&'static str, &'static str),
) -> Fault {
    Fault {
        name,
        what,
        value,
        of: of.0,
        key: of.1,
    }
}

/// Those that one value is enough for.
pub(super) const FAULTS: [Fault; 10] = [
    fault(
        "delay",
        "packets take longer",
        Some(("How much longer", "100ms")),
        ("delay", "latency"),
    ),
    fault(
        "loss",
        "packets are lost",
        Some(("How many", "5%")),
        ("loss", "percent"),
    ),
    fault(
        "partition",
        "nothing comes through",
        None,
        ("partition", ""),
    ),
    fault(
        "rate",
        "the network is narrow",
        Some(("How narrow", "1mbit")),
        ("rate", "rate"),
    ),
    fault(
        "http-delay",
        "HTTP requests take longer",
        Some(("How much longer", "100ms")),
        ("http", "delay"),
    ),
    fault(
        "http-errors",
        "HTTP requests fail",
        Some(("How many", "10%")),
        ("http", "error-rate"),
    ),
    fault("reset", "connections are reset", None, ("reset", "")),
    fault(
        "dns",
        "names are answered wrongly",
        Some(("The answer", "nxdomain")),
        ("dns", "answer"),
    ),
    fault(
        "duplicate",
        "packets come twice",
        Some(("How many", "5%")),
        ("duplicate", "percent"),
    ),
    fault(
        "corrupt",
        "packets are damaged",
        Some(("How many", "1%")),
        ("corrupt", "percent"),
    ),
];

impl Fault {
    /// The provider of it.
    pub(super) fn provider(
        &self,
        value: Option<&str>,
        service: &str,
        duration: &str,
    ) -> Result<Value, DraftError> {
        quantity::duration(duration)?;
        let mut provider = Map::new();
        provider.insert("type".to_owned(), "chaos".into());
        provider.insert("fault".to_owned(), self.of.into());
        match (self.value, value) {
            (Some((_, _)), Some(value)) => {
                provider.insert(self.key.to_owned(), value.into());
            }
            (Some((_, example)), None) => {
                let fault = self.name.to_owned();
                return Err(DraftError::Valueless { fault, example });
            }
            (None, Some(_)) => {
                let fault = self.name.to_owned();
                return Err(DraftError::Valued { fault });
            }
            (None, None) => {}
        }
        provider.insert("service".to_owned(), service.into());
        provider.insert("duration".to_owned(), duration.into());
        Ok(provider.into())
    }
}

/// An experiment in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) hypothesis: Option<(String, Vec<Value>)>,
    pub(super) method: Vec<Value>,
    pub(super) rollbacks: Vec<Value>,
}

/// The name of a fault's action, and its provider.
pub(super) fn fault_of(given: &str, service: &str, duration: &str) -> Result<Value, DraftError> {
    let (name, value) = match given.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (given, None),
    };
    let fault = FAULTS
        .iter()
        .find(|fault| fault.name == name)
        .ok_or_else(|| DraftError::Fault {
            fault: name.to_owned(),
            known: FAULTS.iter().map(|fault| fault.name).collect(),
        })?;
    let provider = fault.provider(value, service, duration)?;
    Ok(activity("action", &format!("{name}-{service}"), provider))
}

/// An activity of this kind.
pub(super) fn activity(kind: &str, name: &str, provider: Value) -> Value {
    let mut activity = json!({"type": kind, "name": name});
    activity["provider"] = provider;
    activity
}

/// The activity of an address, or of a program and its arguments.
pub(super) fn spoken(kind: &str, words: &str) -> Value {
    let words = words.trim();
    if words.starts_with("http://") || words.starts_with("https://") {
        let provider = json!({"type": "http", "url": words, "timeout": 5});
        return activity(kind, &format!("ask-{}", slug(words)), provider);
    }
    let (path, arguments) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    let arguments = arguments.trim();
    let mut provider = json!({"type": "process", "path": path});
    if arguments.contains(['\'', '"', '\\', '$', '|', '>', '<', '*', '&', ';']) {
        // One text is for the shell, which knows what these mean.
        provider["arguments"] = arguments.into();
    } else if !arguments.is_empty() {
        provider["arguments"] = arguments.split_whitespace().collect();
    }
    activity(kind, &format!("run-{}", slug(path)), provider)
}

/// A name for something of which only an address or a path is known.
fn slug(text: &str) -> String {
    let text = text.rsplit_once("://").map_or(text, |(_, rest)| rest);
    let text = text.trim_start_matches(['/', '.', '~']);
    let plain = text
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' });
    let plain: String = plain.collect();
    let parts: Vec<_> = plain.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

/// What a probe must give where nobody says.
pub(super) fn usual_tolerance(probe: &Value) -> Value {
    match probe["provider"]["type"].as_str() {
        Some("http") => 200.into(),
        Some("process") => 0.into(),
        Some(_) | None => true.into(),
    }
}

/// What an option says, which may be the name of something discovered.
fn named(kind: &str, words: &str, offered: &[Offered]) -> Result<Value, DraftError> {
    let Some(offered) = offered.iter().find(|offered| offered.name == words.trim()) else {
        return Ok(spoken(kind, words));
    };
    if let Some(argument) = offered
        .arguments
        .iter()
        .find(|argument| argument.default.is_none())
    {
        return Err(DraftError::Argument {
            activity: offered.name.clone(),
            argument: argument.name.clone(),
        });
    }
    Ok(activity(kind, &offered.name, offered.provider(Map::new())))
}

impl Draft {
    /// What the command line says, and nothing else.
    pub(super) fn of(given: &Given, discovery: &Discovery) -> Result<Self, DraftError> {
        let title = given.title.clone().unwrap_or_default();
        let mut draft = Self {
            description: given.description.clone().unwrap_or_else(|| title.clone()),
            title,
            ..Self::default()
        };
        if let Some(words) = &given.probe {
            let mut probe = named("probe", words, &discovery.probes)?;
            probe["tolerance"] = match &given.tolerance {
                Some(given) => {
                    serde_json::from_str(given).map_err(|source| DraftError::Tolerance {
                        given: given.clone(),
                        source,
                    })?
                }
                None => usual_tolerance(&probe),
            };
            draft.hypothesis = Some((hypothesis(given), vec![probe]));
        } else if given.hypothesis.is_some() {
            draft.hypothesis = Some((hypothesis(given), Vec::new()));
        }
        if let (Some(fault), Some(service)) = (&given.fault, &given.service) {
            let duration = given.duration.as_deref().unwrap_or("30s");
            draft.method.push(fault_of(fault, service, duration)?);
        }
        if let Some(words) = &given.action {
            draft
                .method
                .push(named("action", words, &discovery.actions)?);
        }
        if let Some(words) = &given.rollback {
            draft
                .rollbacks
                .push(named("action", words, &discovery.actions)?);
        }
        Ok(draft)
    }

    /// The experiment that it is now.
    pub(super) fn experiment(self) -> Value {
        let mut experiment = Map::new();
        experiment.insert("title".to_owned(), self.title.into());
        experiment.insert("description".to_owned(), self.description.into());
        experiment.insert("tags".to_owned(), json!([]));
        if let Some((title, probes)) = self.hypothesis {
            let hypothesis = json!({"title": title, "probes": probes});
            experiment.insert("steady-state-hypothesis".to_owned(), hypothesis);
        }
        experiment.insert("method".to_owned(), self.method.into());
        experiment.insert("rollbacks".to_owned(), self.rollbacks.into());
        experiment.into()
    }
}

fn hypothesis(given: &Given) -> String {
    given
        .hypothesis
        .clone()
        .unwrap_or_else(|| "All is well".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_words_are_an_activity() {
        let provider = |words: &str| spoken("probe", words)["provider"].clone();
        assert_eq!(
            provider("http://h/x"),
            json!({"type": "http", "url": "http://h/x", "timeout": 5})
        );
        assert_eq!(provider("true"), json!({"type": "process", "path": "true"}));
        let list = json!({"type": "process", "path": "test", "arguments": ["-e", "a"]});
        assert_eq!(provider(" test  -e a "), list);
        let shell = json!({"type": "process", "path": "echo", "arguments": "\"a b\""});
        assert_eq!(provider("echo \"a b\""), shell);
        assert_eq!(
            spoken("probe", "https://h:81/a?b=c")["name"],
            "ask-h-81-a-b-c"
        );
        assert_eq!(
            spoken("action", "/usr/bin/mv a b")["name"],
            "run-usr-bin-mv"
        );
    }

    #[test]
    fn a_fault_has_a_value_or_none() {
        let fault = |given: &str| fault_of(given, "web", "30s").map_err(|error| error.to_string());
        let delay = fault("delay=100ms").unwrap();
        assert_eq!(
            delay.to_string(),
            "{\"type\":\"action\",\"name\":\"delay-web\",\"provider\":{\"type\":\"chaos\",\"fault\":\"delay\",\"latency\":\"100ms\",\"service\":\"web\",\"duration\":\"30s\"}}"
        );
        assert_eq!(
            fault("http-errors=10%").unwrap()["provider"]["error-rate"],
            "10%"
        );
        assert!(fault("partition").is_ok());
        let wrong = |given: &str| fault(given).unwrap_err();
        assert_eq!(
            wrong("delay"),
            "delay needs a value: write --fault delay=VALUE, such as delay=100ms"
        );
        assert_eq!(wrong("reset=1"), "reset takes no value");
        assert!(
            wrong("slow=1")
                .starts_with("`slow` is no fault that init knows: it is one of delay, loss, ")
        );
        assert!(fault_of("partition", "web", "30").is_err());
    }
}
