//! What somebody who is not looking is told: that a run begins, what became of it, and what went wrong meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Method;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use crate::http::{Request, send};
use crate::observe::{Event, Observer};
use crate::variables::{Environment, HIDDEN};
use crate::verdict::{Outcome, verdict};

/// An answer may take so long.
const ANSWER: Duration = Duration::from_secs(5);
/// The end of the run waits so long for what has not been sent.
const LAST: Duration = Duration::from_secs(6);

/// In which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An object of ours, with the verdict.
    Json,
    /// A message as Slack's incoming webhooks take it; Mattermost's and Rocket.Chat's do, too.
    Slack,
}

/// An address that nobody can be told at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{address}` is no address to post to: {why} (one that is: https://hooks.example.com/T000/B000)"
)]
pub struct InvalidAddress {
    /// What was given.
    pub address: String,
    /// What is wrong with it.
    pub why: String,
}

/// Tells an address. Messages go out one after the other, beside the run, which does not wait for them until its end.
pub struct Webhook {
    format: Format,
    to: Mutex<Option<mpsc::UnboundedSender<Value>>>,
    sending: Mutex<Option<JoinHandle<Result<(), String>>>>,
}

impl Webhook {
    /// Must be called within a runtime.
    pub fn new(address: &str, format: Format) -> Result<Self, InvalidAddress> {
        let invalid = |why: String| InvalidAddress {
            address: address.to_owned(),
            why,
        };
        let url = Url::parse(address).map_err(|error| invalid(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(format!("{}: is not posted to", url.scheme())));
        }
        let (to, from) = mpsc::unbounded_channel();
        Ok(Self {
            format,
            to: Mutex::new(Some(to)),
            sending: Mutex::new(Some(tokio::spawn(post(url, from)))),
        })
    }
}

/// Posts what comes. The last failure is what is said at the end; nothing secret is in it but the address' path, which is
/// left out.
async fn post(url: Url, mut from: mpsc::UnboundedReceiver<Value>) -> Result<(), String> {
    let mut came = Ok(());
    let server = url.host_str().unwrap_or_default().to_owned();
    while let Some(message) = from.recv().await {
        let mut request = Request::new(Method::POST, url.clone());
        request.headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        request.body = Some(message.to_string().into());
        let environment = Environment::default();
        match timeout(ANSWER, send(request, &environment)).await {
            Ok(Ok(response)) if response.status < 300 => {}
            Ok(Ok(response)) => {
                came = Err(format!(
                    "the webhook at {server} answered {}",
                    response.status
                ));
            }
            Ok(Err(_)) => came = Err(format!("the webhook at {server} was not reached")),
            Err(_) => came = Err(format!("the webhook at {server} did not answer in time")),
        }
    }
    came
}

impl Observer for Webhook {
    fn hear(&self, event: Event<'_>) {
        let Some(message) = message(event, self.format) else {
            return;
        };
        let to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(to) = &*to {
            // Whoever posts has ended, and says why at the end.
            let _gone = to.send(message);
        }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), String>> {
        self.to
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let sending = self
            .sending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Box::pin(async move {
            let Some(sending) = sending else {
                return Ok(());
            };
            match timeout(LAST, sending).await {
                Ok(Ok(came)) => came,
                Ok(Err(_)) | Err(_) => Err("a webhook was not told of the end in time".to_owned()),
            }
        })
    }
}

/// The message for an event; none: it is not worth one.
fn message(event: Event<'_>, format: Format) -> Option<Value> {
    let (name, text, details) = match event {
        Event::Started { journal } => (
            "started",
            format!("\u{25b6} *{}* begins", title(journal)),
            Value::Null,
        ),
        Event::GuardTripped { name, saw } => (
            "guard tripped",
            format!(
                "\u{1f6d1} guard *{}* saw {saw}: all faults are stopped",
                plain(name)
            ),
            json!({ "guard": name, "saw": saw }),
        ),
        Event::Interrupted(by) => (
            "interrupted",
            format!("\u{1f6d1} interrupted: {}", plain(by)),
            json!({ "by": by }),
        ),
        Event::Broken(why) => (
            "broken",
            format!("\u{1f6d1} not to be done: {}", plain(why)),
            json!({ "why": why }),
        ),
        Event::Ended { journal } => ("ended", ended(journal), verdict(journal, "")),
        Event::PhaseStarted(_)
        | Event::PhaseEnded { .. }
        | Event::ActivityStarted { .. }
        | Event::ActivityEnded { .. }
        | Event::FaultEnded { .. }
        | Event::Untold(_) => return None,
    };
    Some(match format {
        Format::Slack => json!({ "text": text }),
        Format::Json => {
            json!({ "event": name, "text": but_hidden(&text, |part| part.replace('*', "")), "details": details })
        }
    })
}

fn ended(journal: &Map<String, Value>) -> String {
    let (sign, words) = match Outcome::of(journal) {
        Outcome::Passed => ("\u{2705}", "passed"),
        Outcome::Deviated => ("\u{26a0}", "deviated: a weakness may have been found"),
        Outcome::Failed => ("\u{274c}", "failed"),
        Outcome::Interrupted => ("\u{1f6d1}", "was interrupted"),
        Outcome::Aborted => ("\u{1f6d1}", "was aborted"),
    };
    let lasted = journal.get("duration").and_then(Value::as_f64);
    let lasted = lasted.map_or_else(String::new, |seconds| format!(" after {seconds:.1} s"));
    let probes: Vec<String> = verdict(journal, "")["unmet"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|unmet| {
            format!(
                "\n\u{2022} {}: `{}` was not met",
                plain(unmet["hypothesis"].as_str().unwrap_or_default()),
                plain(unmet["probe"].as_str().unwrap_or_default()),
            )
        })
        .collect();
    format!(
        "{sign} *{}* {words}{lasted}{}",
        title(journal),
        probes.concat()
    )
}

fn title(journal: &Map<String, Value>) -> String {
    let title = journal
        .get("experiment")
        .and_then(|experiment| experiment["title"].as_str());
    plain(title.unwrap_or("an experiment"))
}

/// As text in Slack's markup, where these three are escaped and a mark would be taken for bold.
fn plain(text: &str) -> String {
    but_hidden(text, |part| {
        part.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace(['*', '`'], "\u{2019}")
    })
}

/// Changes a text, but for what stands for a secret, which is known by its stars.
fn but_hidden(text: &str, change: impl Fn(&str) -> String) -> String {
    let parts = text.split(HIDDEN).map(change);
    parts.collect::<Vec<_>>().join(HIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{Server, says};
    use crate::observe::Phase;

    fn journal(deviated: bool) -> Map<String, Value> {
        let journal = json!({
            "experiment": {"title": "a *bold* <claim>"},
            "status": "completed",
            "deviated": deviated,
            "duration": 4.25,
            "steady_states": {
                "before": null,
                "during": [],
                "after": {"steady_state_met": !deviated, "probes": [
                    {"activity": {"name": "answers"}, "tolerance_met": !deviated, "status": "succeeded"}
                ]},
            },
        });
        journal.as_object().unwrap().clone()
    }

    #[test]
    fn slack_is_told_what_became_of_it() {
        let text = |deviated| {
            let journal = journal(deviated);
            let message = message(Event::Ended { journal: &journal }, Format::Slack).unwrap();
            message["text"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            text(false),
            "\u{2705} *a \u{2019}bold\u{2019} &lt;claim&gt;* passed after 4.2 s"
        );
        assert_eq!(
            text(true),
            "\u{26a0} *a \u{2019}bold\u{2019} &lt;claim&gt;* deviated: a weakness may have been found after 4.2 s\n\u{2022} after: `answers` was not met"
        );
    }

    #[test]
    fn what_stands_for_a_secret_keeps_its_stars() {
        let event = Event::Interrupted("*** said *no*");
        let slack = message(event, Format::Slack).unwrap();
        assert_eq!(
            slack["text"],
            "\u{1f6d1} interrupted: *** said \u{2019}no\u{2019}"
        );
        let json = message(event, Format::Json).unwrap();
        assert_eq!(
            json["text"],
            "\u{1f6d1} interrupted: *** said \u{2019}no\u{2019}"
        );
    }

    #[test]
    fn programs_are_told_the_verdict() {
        let journal = journal(true);
        let message = message(Event::Ended { journal: &journal }, Format::Json).unwrap();
        assert_eq!(message["event"], "ended");
        assert_eq!(message["details"]["verdict"], "deviated");
    }

    #[tokio::test]
    async fn an_address_is_told_in_order_and_what_failed_is_said_at_the_end() {
        let mut count = 0;
        let server = Server::start(move |_| {
            count += 1;
            says(
                if count == 1 {
                    "200 OK"
                } else {
                    "403 Forbidden"
                },
                &[],
                "",
            )
        })
        .await;
        let webhook = Webhook::new(&server.url("/T0/secret"), Format::Json).unwrap();
        let journal = journal(true);
        webhook.hear(Event::Started { journal: &journal });
        webhook.hear(Event::PhaseStarted(Phase::Method));
        webhook.hear(Event::Ended { journal: &journal });
        let said = webhook.close().await.unwrap_err();
        assert_eq!(said, "the webhook at 127.0.0.1 answered 403");
        let seen = server.seen();
        let events: Vec<Value> = seen
            .iter()
            .map(|seen| serde_json::from_str::<Value>(&seen.body).unwrap()["event"].clone())
            .collect();
        assert_eq!(events, ["started", "ended"]);
        assert_eq!(seen[0].line, "POST /T0/secret HTTP/1.1");
    }

    #[tokio::test]
    async fn what_is_no_address_is_said_before_anything_runs() {
        for address in ["hooks.example.com", "ftp://x/", "http://"] {
            let error = Webhook::new(address, Format::Slack).map(drop).unwrap_err();
            assert!(error.to_string().contains(address), "{error}");
        }
    }

    #[test]
    fn nobody_is_told_of_each_activity() {
        assert_eq!(
            message(Event::PhaseStarted(Phase::Method), Format::Slack),
            None
        );
    }
}
