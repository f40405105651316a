//! Who the settings say is to be told of what a command does, in the reference's words: servers, and functions of Python.
//! Whoever tells waits for each channel, one after the other. Knows no command.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has six kinds of values and gets no more; most of them are wrong in the same way"
)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use url::Url;

use crate::http::{Request, send};
use crate::observe::{self, Observer};
use crate::provider::python::Python;
use crate::python_value::{dumps, given, kind, truth};
use crate::tls::Trust;
use crate::variables::{Environment, Variables};

const NOTIFY: &str = include_str!("notification/notify.py");

/// To be connected, and between two things that are heard, as in the reference.
const CONNECT: Duration = Duration::from_secs(2);
const READ: Duration = Duration::from_secs(5);

/// The reference waits for ever where something is heard now and then, and for functions.
const ANSWER: Duration = Duration::from_secs(10);
const FUNCTION: Duration = Duration::from_secs(30);

/// What a channel hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names are all there is to say")]
pub enum Event {
    DiscoveryStarted,
    DiscoveryFailed,
    DiscoveryCompleted,
    InitStarted,
    InitCompleted,
    RunStarted,
    RunFailed,
    RunCompleted,
    RunDeviated,
    ValidateStarted,
    ValidateFailed,
    ValidateCompleted,
}

impl Event {
    /// The phase and the name that channels know.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::DiscoveryStarted => ("discovery", "discovery-started"),
            Self::DiscoveryFailed => ("discovery", "discovery-failed"),
            Self::DiscoveryCompleted => ("discovery", "discovery-completed"),
            Self::InitStarted => ("init", "init-started"),
            Self::InitCompleted => ("init", "init-completed"),
            Self::RunStarted => ("run", "run-started"),
            Self::RunFailed => ("run", "run-failed"),
            Self::RunCompleted => ("run", "run-completed"),
            Self::RunDeviated => ("run", "run-deviated"),
            Self::ValidateStarted => ("validate", "validate-started"),
            Self::ValidateFailed => ("validate", "validate-failed"),
            Self::ValidateCompleted => ("validate", "validate-completed"),
        }
    }

    /// The exception of the reference that an error of it is.
    fn exception(self) -> &'static str {
        match self.words().0 {
            "discovery" => "DiscoveryFailed",
            _ => "InvalidExperiment",
        }
    }
}

/// The channels of the settings.
#[derive(Debug)]
pub struct Notifications {
    channels: Value,
    python: Arc<Python>,
    /// The journal of the run that they hear of.
    journal: Mutex<Option<Map<String, Value>>>,
}

impl Notifications {
    /// Those that the settings name. Functions are called in this Python.
    pub fn new(settings: &Value, python: Arc<Python>) -> Self {
        Self {
            channels: settings.get("notifications").cloned().unwrap_or_default(),
            python,
            journal: Mutex::default(),
        }
    }

    /// Tells all that want to hear of this, and gives a sentence for each that could not be told.
    pub async fn tell(&self, event: Event, payload: &Value, error: Option<&str>) -> Vec<String> {
        let channels = match &self.channels {
            Value::Array(channels) => channels,
            nothing if !truth(nothing) => return Vec::new(),
            other => {
                let kind = kind(other);
                return vec![format!(
                    "nobody is told: `notifications` of the settings must be a list of channels, not {kind}"
                )];
            }
        };
        let (phase, name) = event.words();
        let message = json!({"name": name, "payload": payload, "phase": phase, "ts": now()});
        let mut untold = Vec::new();
        for channel in channels.iter().filter(|channel| hears(channel, name)) {
            let told = match given_text(channel, "type") {
                Some("http") => post(channel, message.clone(), event, error).await,
                Some("plugin") => self.call(channel, &message, event, error).await,
                // The reference says nothing.
                _ => Err("its `type` is neither http nor plugin".to_owned()),
            };
            if let Err(why) = told {
                untold.push(format!(
                    "a channel of the settings was not told of {name}: {why}"
                ));
            }
        }
        untold
    }

    async fn call(
        &self,
        channel: &Value,
        message: &Value,
        event: Event,
        error: Option<&str>,
    ) -> Result<(), String> {
        let mut request = Map::from_iter([
            ("channel".to_owned(), channel.clone()),
            ("event".to_owned(), message.clone()),
        ]);
        if let Some(error) = error {
            request.insert("raised".to_owned(), json!([event.exception(), error]));
        }
        let called = self
            .python
            .further(NOTIFY, "notify", request, "its function");
        match timeout(FUNCTION, called).await {
            Ok(Ok(Value::String(why))) => Err(why),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(stopped)) => Err(stopped.to_string()),
            Err(_) => Err(format!(
                "its function took more than {} s",
                FUNCTION.as_secs()
            )),
        }
    }
}

/// An experiment as channels may see it: without the secrets that it says itself.
pub fn without_secrets(experiment: &Value) -> Value {
    let Some(declared) = experiment.as_object() else {
        return experiment.clone();
    };
    let groups = experiment.get("secrets").and_then(Value::as_object);
    let said = groups.into_iter().flatten().map(|(name, group)| {
        let mut said = group.as_object().cloned().unwrap_or_default();
        said.retain(|_, secret| secret.is_string());
        (name.clone(), Value::Object(said))
    });
    let variables = Variables::new(Map::new(), said.collect());
    Value::Object(variables.redact_experiment(declared))
}

/// Hears of the end of a run. Of its beginning channels hear before it is validated, when there is no run yet.
impl Observer for Notifications {
    fn hear(&self, event: observe::Event<'_>) {
        if let observe::Event::Ended { journal } = event
            && truth(&self.channels)
        {
            *lock(&self.journal) = Some(journal.clone());
        }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), String>> {
        let journal = lock(&self.journal).take();
        Box::pin(async move {
            let Some(journal) = journal else {
                return Ok(());
            };
            let is_completed = journal
                .get("status")
                .is_some_and(|status| status == "completed");
            let has_deviated = journal.get("deviated").is_some_and(truth);
            let journal = Value::Object(journal);
            let ended = if is_completed {
                Event::RunCompleted
            } else {
                Event::RunFailed
            };
            let mut untold = self.tell(ended, &journal, None).await;
            if has_deviated {
                untold.extend(self.tell(Event::RunDeviated, &journal, None).await);
            }
            if untold.is_empty() {
                Ok(())
            } else {
                Err(untold.join("\n"))
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a channel wants to hear of this: of everything unless it says of what, as Python's `in` has it.
fn hears(channel: &Value, name: &str) -> bool {
    match channel.get("events") {
        Some(Value::Array(events)) if !events.is_empty() => {
            events.iter().any(|event| event == name)
        }
        Some(Value::String(events)) => events.contains(name) || events.is_empty(),
        _ => true,
    }
}

fn given_text<'a>(channel: &'a Value, key: &str) -> Option<&'a str> {
    channel.get(key).and_then(Value::as_str)
}

/// Seconds since 1970, as Python has them.
fn now() -> Value {
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of this millennium fit"
    )]
    let seconds = Timestamp::now().as_microsecond() as f64 / 1e6;
    seconds.into()
}

/// Asks a server of a channel. Its address may be a secret, so only its host is said.
async fn post(
    channel: &Value,
    mut message: Value,
    event: Event,
    error: Option<&str>,
) -> Result<(), String> {
    let wrong = "a channel of type http needs a `url` that begins with http:// or https://";
    let url = given_text(channel, "url").and_then(|url| Url::parse(url).ok());
    let url = url
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or(wrong)?;
    let server = url.host_str().unwrap_or_default().to_owned();
    let is_forwarded = channel.get("forward_event_payload").is_none_or(truth);
    let method = if is_forwarded {
        Method::POST
    } else {
        Method::GET
    };
    let mut request = Request::new(method, url);
    request.headers = headers(channel)?;
    if is_forwarded {
        if let Some(error) = error {
            let exception = event.exception();
            message["error"] = format!("An exception was raised: {exception}('{error}')").into();
        }
        let is_typed = |(name, _): &(String, String)| name.eq_ignore_ascii_case("Content-Type");
        if !request.headers.iter().any(is_typed) {
            let typed = ("Content-Type".to_owned(), "application/json".to_owned());
            request.headers.push(typed);
        }
        request.body = Some(Bytes::from(dumps(&message)));
    }
    request.trust = Trust::said(channel.get("verify_tls"));
    request.connect_timeout = Some(CONNECT);
    request.read_timeout = Some(READ);
    match timeout(ANSWER, send(request, &Environment::default())).await {
        Ok(Ok(response)) if response.status < 400 => Ok(()),
        Ok(Ok(response)) => Err(format!("{server} answered {}", response.status)),
        Ok(Err(_)) => Err(format!("{server} was not reached")),
        Err(_) => Err(format!("{server} did not answer in time")),
    }
}

fn headers(channel: &Value) -> Result<Vec<(String, String)>, String> {
    let headers = match channel
        .as_object()
        .and_then(|channel| given(channel, "headers"))
    {
        Some(Value::Object(headers)) => headers,
        None => return Ok(Vec::new()),
        Some(other) => {
            let kind = kind(other);
            return Err(format!(
                "`headers` must be a mapping of names to values, not {kind}"
            ));
        }
    };
    let texts = headers.iter().filter(|(_, value)| !value.is_null());
    texts
        .map(|(name, value)| match value {
            Value::String(value) => Ok((name.clone(), value.clone())),
            other => {
                let kind = kind(other);
                Err(format!(
                    "the value of the header {name} must be a text, not {kind}"
                ))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
