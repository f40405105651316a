//! What somebody who is not looking is told: that a run begins, what became of it, and what went wrong meanwhile.

use serde_json::{Map, Value, json};

use crate::observe::Event;
use crate::verdict::{Outcome, verdict};

/// In which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An object of ours, with the verdict.
    Json,
    /// A message as Slack's incoming webhooks take it; Mattermost's and Rocket.Chat's do, too.
    Slack,
}

/// The message for an event; none: it is not worth one.
pub fn message(event: Event<'_>, format: Format) -> Option<Value> {
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
        Event::Ended { journal } => ("ended", ended(journal), verdict(journal, "")),
        Event::PhaseStarted(_)
        | Event::PhaseEnded { .. }
        | Event::ActivityStarted { .. }
        | Event::ActivityEnded { .. }
        | Event::FaultEnded { .. } => return None,
    };
    Some(match format {
        Format::Slack => json!({ "text": text }),
        Format::Json => json!({ "event": name, "text": text.replace('*', ""), "details": details }),
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
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace(['*', '`'], "\u{2019}")
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn programs_are_told_the_verdict() {
        let journal = journal(true);
        let message = message(Event::Ended { journal: &journal }, Format::Json).unwrap();
        assert_eq!(message["event"], "ended");
        assert_eq!(message["details"]["verdict"], "deviated");
    }

    #[test]
    fn nobody_is_told_of_each_activity() {
        assert_eq!(
            message(Event::PhaseStarted(Phase::Method), Format::Slack),
            None
        );
    }
}
