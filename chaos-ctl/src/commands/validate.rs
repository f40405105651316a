//! `chaosctl validate`: all that is wrong with an experiment, before anything of it runs.

use std::sync::Arc;

use chaos_toolkit::control::python::PythonControls;
use chaos_toolkit::document::Document;
use chaos_toolkit::experiment::{self, Asked, Checked};
use chaos_toolkit::notification::{Event, Notifications, without_secrets};
use chaos_toolkit::problem::Problem;
use chaos_toolkit::provider::python::Python;
use chaos_toolkit::variables::Environment;
use clap::Args;

use super::actions::ToolkitFaults;
use super::python::PythonArgs;
use super::settings::notify;
use super::source::SourceArgs;
use crate::error::{CommandError, ErrorKind};
use crate::global::Global;
use crate::output::Output;
use crate::output::problems::{self, Json};

/// Say all that is wrong with an experiment in the format of Chaos Toolkit, and where
///
/// Each problem comes with its line, what was expected there, and what to write instead; so do slips that nobody would
/// notice, as warnings. Nothing of the experiment runs: programs are looked for, variables of the environment are read,
/// and modules of Python are imported. docs/chaostoolkit-format.md says what an experiment may have.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ValidateArgs {
    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    python: PythonArgs,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl validate experiment.yaml
  chaosctl validate https://example.org/experiment.json
  chaosctl validate experiment.yaml -o json

Exit codes: 0 where the experiment can be run, 1 where it cannot; 2 where the command line is wrong.";

/// The experiment cannot be run.
#[derive(Debug, thiserror::Error)]
enum Invalid {
    #[error("{file} has a problem")]
    One { file: String },
    #[error("{file} has {count} problems")]
    Many { file: String, count: usize },
}

impl ValidateArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'static>,
    ) -> Result<(), CommandError> {
        let document = self.source.load(output).await;
        let (document, checked) = match document {
            Ok(document) => {
                let checked = self.check_aloud(&document, global, output).await;
                (Some(document), checked)
            }
            Err(unread) => (None, unread_text(*unread)),
        };
        let text = document.as_ref().map(|document| &*document.text);
        let file = document
            .as_ref()
            .map(|document: &Document| document.source.clone());
        output.result(
            || match (&file, checked.problems.is_empty()) {
                (Some(file), true) => problems::valid(file, text, &checked),
                _ => problems::list(text, &checked),
            },
            || Json::new(&checked),
        )?;
        let file = file.or_else(|| {
            checked
                .problems
                .first()
                .map(|problem| problem.source.clone())
        });
        let file = file.unwrap_or_default();
        match checked.problems.len() {
            0 => Ok(()),
            1 => Err(CommandError::new(ErrorKind::Failed, Invalid::One { file })),
            count => Err(CommandError::new(
                ErrorKind::Failed,
                Invalid::Many { file, count },
            )),
        }
    }
}

impl ValidateArgs {
    /// Looks at it; those whom the settings name hear of it.
    async fn check_aloud(
        &self,
        document: &Document,
        global: &Global,
        output: Output<'static>,
    ) -> Checked {
        let settings = self.source.settings.value(output);
        let python = self.python.python().settings(settings.clone());
        let python = Arc::new(python.verbose(global.verbose));
        let notifications = Notifications::new(&settings, Arc::clone(&python));
        let said = without_secrets(&document.value);
        let started = Event::ValidateStarted;
        notify(&notifications, started, &said, None, output).await;
        let checked = check(document, &python, global, output).await;
        let list = problems::list(None, &checked);
        let (ended, error) = if checked.problems.is_empty() {
            (Event::ValidateCompleted, None)
        } else {
            (Event::ValidateFailed, Some(list.trim_end()))
        };
        notify(&notifications, ended, &said, error, output).await;
        python.close().await;
        checked
    }
}

/// All that is wrong with an experiment, also what Python and those who know faults say of it.
pub(super) async fn check(
    document: &Document,
    python: &Arc<Python>,
    global: &Global,
    output: Output<'static>,
) -> Checked {
    let asked = Asked {
        python,
        controls: &PythonControls::new(Arc::clone(python)),
        environment: Environment::default(),
    };
    let faults = ToolkitFaults::new(Arc::new(global.clone()), output);
    experiment::check(document, Some(&faults), &asked).await
}

/// What cannot be read has this one problem, as far as anybody can see.
fn unread_text(problem: Problem) -> Checked {
    Checked {
        problems: vec![problem],
        warnings: Vec::new(),
    }
}
