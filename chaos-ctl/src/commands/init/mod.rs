//! `chaosctl init`: writes an experiment that can be run, from a few answers.

mod ask;
mod discovery;
mod draft;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chaos_toolkit::document::{Document, Format};
use chaos_toolkit::notification::{Event, Notifications, without_secrets};
use chaos_toolkit::provider::python::Python;
use clap::Args;
use serde_json::Value;

use self::ask::Ask;
use self::discovery::Discovery;
use self::draft::{Draft, DraftError};
use super::python::PythonArgs;
use super::settings::{SettingsArgs, notify};
use super::validate;
use crate::error::{CommandError, ErrorKind};
use crate::global::Global;
use crate::output::Output;

/// Write an experiment in the format of Chaos Toolkit, from a few answers
///
/// Asks for what the options do not say: what is believed, and how to see it; what is done, which may be one of the
/// faults of chaosctl; and what puts things right afterwards. Where there is no terminal, or with --no-input, nothing is
/// asked. What an extension offers may be chosen by its name once `chaosctl discover` has saved it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InitArgs {
    /// Where to write the experiment: JSON, or YAML in a file of .yaml or .yml
    #[arg(long, value_name = "FILE", default_value = "./experiment.json")]
    experiment_path: PathBuf,

    /// What `chaosctl discover` has saved, if it is there
    #[arg(long, value_name = "FILE", default_value = "./discovery.json")]
    discovery_path: PathBuf,

    /// Never ask: what no option says is left out
    #[arg(long)]
    no_input: bool,

    /// Write over a file that is there
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    settings: SettingsArgs,

    #[command(flatten)]
    python: PythonArgs,

    #[command(flatten)]
    given: Given,
}

/// What the command line says of the experiment.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The experiment")]
pub(super) struct Given {
    /// What it is about, in a few words
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,

    /// What is believed, in a sentence or two [default: the title]
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// What the hypothesis is called [default: All is well]
    #[arg(long, value_name = "TEXT")]
    hypothesis: Option<String>,

    /// How to see that all is well: an http or https address, a program with its arguments, or a discovered probe
    #[arg(long, value_name = "PROBE")]
    probe: Option<String>,

    /// What the probe must give, as JSON [default: 200 of an address, 0 of a program, true of a discovered probe]
    #[arg(long, value_name = "JSON", requires = "probe")]
    tolerance: Option<String>,

    /// What to do: delay=TIME, loss=PERCENT, duplicate=PERCENT, corrupt=PERCENT, rate=RATE, dns=ANSWER,
    /// http-delay=TIME, http-errors=RATE, partition or reset
    #[arg(
        long,
        value_name = "FAULT[=VALUE]",
        conflicts_with = "action",
        requires = "service"
    )]
    fault: Option<String>,

    /// The service that the fault is for
    #[arg(long, value_name = "NAME", requires = "fault")]
    service: Option<String>,

    /// For how long the fault acts [default: 30s]
    #[arg(long, value_name = "TIME", requires = "fault")]
    duration: Option<String>,

    /// What to do instead: a program with its arguments, or a discovered action
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,

    /// What puts things right afterwards: a program with its arguments, or a discovered action
    #[arg(long, value_name = "ACTION")]
    rollback: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl init
  chaosctl init --experiment-path experiment.yaml
  chaosctl init --no-input --title 'Slow provider' --probe http://127.0.0.1:3000/health \\
    --fault delay=100ms --service provider-chaos-service --duration 30s
  chaosctl init --no-input --title 'No disk' --probe 'test -e data.db' --action 'mv data.db gone.db' \\
    --rollback 'mv gone.db data.db'";

/// Why no experiment was written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{} is there already", path.display())]
    There { path: PathBuf },
    #[error(
        "the options do not say what the experiment is about, and there is no terminal to ask at"
    )]
    Untitled,
    #[error("{} is not written as .json, .yaml or .yml", path.display())]
    Extension { path: PathBuf },
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the experiment cannot be written: {0}")]
    Unwritten(String),
    #[error(transparent)]
    Draft(#[from] DraftError),
}

impl From<InitError> for CommandError {
    fn from(error: InitError) -> Self {
        let (kind, hint) = match &error {
            InitError::There { .. } => (
                ErrorKind::Failed,
                Some("--force writes over it, and --experiment-path names another"),
            ),
            InitError::Untitled => (ErrorKind::Usage, Some("give --title")),
            InitError::Extension { .. } => (
                ErrorKind::Usage,
                Some("give --experiment-path one of these"),
            ),
            InitError::Draft(error) if error.is_usage() => (ErrorKind::Usage, None),
            InitError::Write { .. } | InitError::Unwritten(_) | InitError::Draft(_) => {
                (ErrorKind::Failed, None)
            }
        };
        let error = CommandError::new(kind, error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl InitArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'static>,
    ) -> Result<(), CommandError> {
        let settings = self.settings.value(output);
        let python = Arc::new(self.python.python().settings(settings.clone()));
        let notifications = Notifications::new(&settings, Arc::clone(&python));
        let started = Event::InitStarted;
        notify(&notifications, started, &Value::Null, None, output).await;
        let written = self.write(&python, global, output).await;
        if let Ok(experiment) = &written {
            let said = without_secrets(experiment);
            let completed = Event::InitCompleted;
            notify(&notifications, completed, &said, None, output).await;
        }
        python.close().await;
        written.map(drop)
    }

    /// Asks, and writes the experiment.
    async fn write(
        &self,
        python: &Arc<Python>,
        global: &Global,
        output: Output<'static>,
    ) -> Result<Value, CommandError> {
        let path = &self.experiment_path;
        let format = format(path)?;
        if path.exists() && !self.force {
            return Err(InitError::There { path: path.clone() }.into());
        }
        let discovery = Discovery::load(&self.discovery_path).map_err(InitError::from)?;
        let asks =
            !self.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let draft = if asks {
            Ask::new(&discovery).draft(&self.given)
        } else if self.given.title.is_none() {
            return Err(InitError::Untitled.into());
        } else {
            Draft::of(&self.given, &discovery)
        };
        let experiment = draft.map_err(InitError::from)?.experiment();
        let text = written(&experiment, format)?;
        std::fs::write(path, &text).map_err(|source| InitError::Write {
            path: path.clone(),
            source,
        })?;
        let shown = path.display();
        // What is missing yet, such as a program, is said now and not when it is run.
        if let Ok(document) = Document::read(&shown.to_string(), &text, format) {
            let checked = validate::check(&document, python, global, output).await;
            for problem in checked.problems.iter().chain(&checked.warnings) {
                output.warn(&problem.to_string());
            }
        }
        output.talk(&format!(
            "{shown} is written: `chaosctl run {shown}` runs it"
        ));
        Ok(experiment)
    }
}

fn format(path: &Path) -> Result<Format, InitError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Ok(Format::Json),
        Some("yaml" | "yml") => Ok(Format::Yaml),
        Some(_) | None => Err(InitError::Extension {
            path: path.to_owned(),
        }),
    }
}

/// The text of an experiment, which says the same when it is read.
fn written(experiment: &Value, format: Format) -> Result<String, InitError> {
    let unwritten = |why: String| InitError::Unwritten(why);
    if format == Format::Json {
        let text = serde_json::to_string_pretty(experiment);
        return text
            .map(|text| text + "\n")
            .map_err(|error| unwritten(error.to_string()));
    }
    // YAML 1.2 takes for text what YAML 1.1 does not, such as `on`: then everything is quoted.
    let plain = serde_saphyr::to_string(experiment);
    let quoted = || {
        let options = serde_saphyr::ser_options! { quote_all: true };
        serde_saphyr::to_string_with_options(experiment, options)
    };
    for text in [plain, quoted()] {
        let text = text.map_err(|error| unwritten(error.to_string()))?;
        let read = Document::read("", &text, format);
        if read.is_ok_and(|document| document.value == *experiment) {
            return Ok(text);
        }
    }
    // JSON is YAML of any version.
    written(experiment, Format::Json)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_says_the_same_when_it_is_read() {
        for title in [
            "plain",
            "on",
            "1:30",
            "017",
            "2001-12-14",
            "a: b",
            "- #'\"",
            "\u{7}",
            "a\nb",
            "",
        ] {
            let experiment = json!({"title": title, "on": {"x": [title, 1, true, null, []]}});
            for format in [Format::Json, Format::Yaml] {
                let text = written(&experiment, format).unwrap();
                let document = Document::read("", &text, format).unwrap();
                assert_eq!(document.value, experiment, "{text}");
            }
        }
    }
}
