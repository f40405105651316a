//! What a person or a script sees: the result on standard output, the talk on standard error.
//!
//! The only place that writes to either. Knows how things are worded and laid out, not how they come about.

pub mod effect;
mod hits;
pub mod json;
pub mod plan;
pub(crate) mod problems;
pub mod progress;
pub mod requests;
pub mod sink;
pub mod table;
pub mod tally;
pub mod whole;
pub mod words;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::error::{CommandError, ErrorKind};
use crate::global::{Format, Global};
use sink::{Said, Sink};

/// Where and how to say things.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    format: Format,
    quiet: bool,
    verbose: bool,
    /// Whether what is said on the side is a JSON object a line.
    logs_json: bool,
    /// Who takes it instead of the terminal.
    sink: Option<&'a dyn Sink>,
}

/// The result could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the result: {0}")]
pub struct WriteError(#[from] io::Error);

impl From<WriteError> for CommandError {
    fn from(error: WriteError) -> Self {
        Self::new(ErrorKind::Failed, error)
    }
}

impl<'a> Output<'a> {
    /// As the global options ask for it.
    pub fn new(global: &Global) -> Self {
        Self {
            format: global.output,
            quiet: global.quiet,
            verbose: global.verbose,
            logs_json: false,
            sink: None,
        }
    }

    /// Everything goes to a sink, and nothing to the terminal.
    pub fn to_sink(sink: &'a dyn Sink) -> Self {
        Self {
            format: Format::Json,
            quiet: false,
            verbose: false,
            logs_json: false,
            sink: Some(sink),
        }
    }

    /// What is said on the side is one JSON object a line, for whoever collects logs.
    #[must_use]
    pub fn logging_json(self) -> Self {
        Self {
            logs_json: true,
            ..self
        }
    }

    /// Who takes what is said, where it is not the terminal.
    pub fn sink(self) -> Option<&'a dyn Sink> {
        self.sink
    }

    /// Whether talk is wanted at all.
    pub fn talks(self) -> bool {
        !self.quiet
    }

    /// Whether a bar may be drawn: somebody looks at both streams.
    pub fn draws(self) -> bool {
        self.sink.is_none()
            && self.talks()
            && io::stderr().is_terminal()
            && io::stdout().is_terminal()
    }

    /// Writes the result in the form asked for; only the one that is needed is made.
    pub fn result<J: Serialize>(
        self,
        table: impl FnOnce() -> String,
        json: impl FnOnce() -> J,
    ) -> Result<(), WriteError> {
        if let Some(sink) = self.sink {
            let result = serde_json::to_value(json()).map_err(io::Error::from)?;
            sink.result(result, printable(&table()));
            return Ok(());
        }
        let text = match self.format {
            Format::Table => printable(&table()),
            Format::Json => serde_json::to_string_pretty(&json()).map_err(io::Error::from)?,
        };
        if text.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            // A reader that has seen enough, such as `head`, is no failure.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Says something on the side.
    pub fn talk(self, line: &str) {
        if self.talks() {
            self.say(Said::Note, line);
        }
    }

    /// Says something on the side that few want to know.
    pub fn detail(self, line: &str) {
        if self.verbose {
            self.say(Said::Note, line);
        }
    }

    /// Says that the result is not what it seems; `-q` does not silence it.
    pub fn warn(self, line: &str) {
        self.say(Said::Warning, line);
    }

    fn say(self, how: Said, line: &str) {
        match (self.sink, how) {
            (Some(sink), _) => sink.said(how, &printable(&in_words(line))),
            (None, Said::Note) if self.logs_json => log("info", line, &[]),
            (None, Said::Warning) if self.logs_json => log("warn", line, &[]),
            (None, Said::Note) => to_stderr(line),
            (None, Said::Warning) => to_stderr(&format!("warning: {line}")),
        }
    }

    /// Says why the command failed and what to do.
    pub fn error(self, error: &CommandError) {
        if self.logs_json {
            log("error", &error.source.to_string(), &error.hints);
            return;
        }
        let mut text = format!("error: {}", error.source);
        if self.verbose {
            for cause in error.causes() {
                let _ = write!(text, "\n  cause: {cause}");
            }
        }
        for hint in &error.hints {
            let _ = write!(text, "\n  hint: {hint}");
        }
        to_stderr(&text);
    }
}

/// Says why the command line cannot be read, before it is known how to say things.
pub fn usage_error(error: &CommandError) {
    Output {
        format: Format::Table,
        quiet: false,
        verbose: false,
        logs_json: false,
        sink: None,
    }
    .error(error);
}

/// Beside the events of a run, in their form.
fn log(level: &str, text: &str, hints: &[String]) {
    let line = json!({
        "time": Timestamp::now().to_string(),
        "level": level,
        "event": "message",
        "text": in_words(text),
        "hints": hints,
    });
    // As below; and in one piece, which a line is for whoever reads it.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A closed standard error must not end an experiment.
fn to_stderr(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(&in_words(text)));
}

/// The kernel's errors come as words and a number; only the words help.
fn in_words(text: &str) -> String {
    const NUMBER: &str = " (os error ";
    let mut parts = text.split(NUMBER);
    let mut words = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        match rest.strip_prefix(')') {
            Some(rest) if rest.len() + 1 < part.len() => words.push_str(rest),
            _ => {
                words.push_str(NUMBER);
                words.push_str(part);
            }
        }
    }
    words
}

/// Names come from inventories and messages from agents: none of them may steer the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_are_left_out() {
        let say = |text| in_words(text);
        assert_eq!(say("no: gone (os error 2)"), "no: gone");
        assert_eq!(say("no (gone (os error 2)): look"), "no (gone): look");
        assert_eq!(say("two (os error 1), (os error 22)"), "two,");
        assert_eq!(say("odd (os error x)"), "odd (os error x)");
        assert_eq!(say("odd (os error )"), "odd (os error )");
        assert_eq!(say("cut (os error 2"), "cut (os error 2");
    }
}
