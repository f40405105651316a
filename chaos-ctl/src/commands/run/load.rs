//! What a run is about: the experiment with controls around its loading, its variables, and whether it can be run at all.

use std::path::PathBuf;
use std::sync::Arc;

use chaos_toolkit::control::python::PythonControls;
use chaos_toolkit::document::Document;
use chaos_toolkit::experiment::{self, Asked};
use chaos_toolkit::faults::Faults;
use chaos_toolkit::load::file;
use chaos_toolkit::notification::{Event, Notifications, without_secrets};
use chaos_toolkit::problem::Problem;
use chaos_toolkit::provider::python::Python;
use chaos_toolkit::run::{Interrupted, controls_of, tell_of_loading};
use chaos_toolkit::variables::{self, Given, Variables};
use serde_json::Value;

use super::{RunArgs, failed};
use crate::commands::settings::notify;
use crate::error::{CommandError, ErrorKind};
use crate::output::{Output, problems};

/// A file that cannot be read as what it is to be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unread(Problem);

/// A file that is named on the command line.
#[derive(Debug, thiserror::Error)]
#[error("there is no file {0}: give the path of one")]
pub(super) struct NoFile(String);

/// Reads the name of a file that must be there.
pub(super) fn existing(text: &str) -> Result<PathBuf, NoFile> {
    let path = PathBuf::from(text);
    if path.exists() {
        Ok(path)
    } else {
        Err(NoFile(text.to_owned()))
    }
}

/// A control did not want the experiment to be loaded.
#[derive(Debug, thiserror::Error)]
#[error("a control interrupted the loading: {0}")]
struct LoadingInterrupted(Interrupted);

/// With `--no-validation` this is all that is looked at.
#[derive(Debug, thiserror::Error)]
#[error("{0} is no mapping, as an experiment is")]
struct NoMapping(String);

/// Nothing ran.
#[derive(Debug, thiserror::Error)]
#[error("{list}\nnothing ran: chaosctl validate says all of this, too")]
struct Invalid {
    list: String,
}

/// All of it.
pub(super) struct Loaded {
    pub(super) experiment: Value,
    pub(super) variables: Variables,
    pub(super) settings: Value,
    pub(super) python: Arc<Python>,
    pub(super) controls: Arc<PythonControls>,
    /// Those that every experiment has: of the settings, and of the files that were named.
    pub(super) controls_of_settings: Vec<Value>,
    /// Who has heard of its beginning, and will of its end.
    pub(super) notifications: Arc<Notifications>,
}

impl RunArgs {
    /// Loads everything; with an error, nothing ran.
    pub(super) async fn load(
        &self,
        faults: &dyn Faults,
        verbose: bool,
        output: Output<'static>,
    ) -> Result<Loaded, CommandError> {
        let given = Given::read(&self.var, &self.var_file)
            .map_err(|error| CommandError::new(ErrorKind::Usage, error))?;
        let settings = self.source.settings.value(output);
        let python = Arc::new(
            self.python
                .python()
                .settings(settings.clone())
                .verbose(verbose),
        );
        let controls = Arc::new(PythonControls::new(Arc::clone(&python)));
        let notifications = Arc::new(Notifications::new(&settings, Arc::clone(&python)));
        let mut controls_of_settings = controls_of(settings.get("controls"));
        for path in &self.control_file {
            match file(&path.display().to_string()) {
                Ok(read) => controls_of_settings.extend(controls_of(Some(&read.value))),
                // As in the reference.
                Err(problem) => output.warn(&format!("controls are left out: {problem}")),
            }
        }
        let document = self
            .document(&controls, &controls_of_settings, &settings, output)
            .await?;
        let said = without_secrets(&document.value);
        notify(&notifications, Event::RunStarted, &said, None, output).await;
        if !self.no_validation {
            let asked = Asked {
                python: &python,
                controls: &controls,
                environment: given.environment.clone(),
            };
            let checked = experiment::check(&document, Some(faults), &asked).await;
            if !checked.problems.is_empty() {
                let list = problems::list(Some(&document.text), &checked);
                return Err(failed(Invalid { list }));
            }
            for warning in &checked.warnings {
                output.warn(&warning.to_string());
            }
        }
        let Some(declared) = document.value.as_object() else {
            return Err(failed(NoMapping(document.source)));
        };
        let variables = variables::load(declared, given, &python)
            .await
            .map_err(failed)?;
        for notice in &variables.notices {
            output.warn(&variables.redact(notice));
        }
        Ok(Loaded {
            experiment: document.value,
            variables,
            settings,
            python,
            controls,
            controls_of_settings,
            notifications,
        })
    }

    /// Loads the experiment, with controls around it that may change what is read.
    async fn document(
        &self,
        controls: &PythonControls,
        of_settings: &[Value],
        settings: &Value,
        output: Output<'static>,
    ) -> Result<Document, CommandError> {
        let tell = async |read: Option<&mut Value>| {
            let source = self.source.name();
            let told = tell_of_loading(controls, of_settings, source, read, settings);
            told.await
                .map_err(|ended| failed(LoadingInterrupted(ended)))
        };
        tell(None).await?;
        let document = self.source.load(output).await;
        let mut document = document.map_err(|problem| failed(Unread(*problem)))?;
        let mut value = document.value.clone();
        tell(Some(&mut value)).await?;
        if value != document.value {
            // What a control has made of it stands nowhere.
            document = Document::unwritten(&document.source, value);
        }
        Ok(document)
    }
}
