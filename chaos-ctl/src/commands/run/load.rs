//! What a run needs before it begins: settings, the experiment, its variables, and that nothing is wrong with it.

use std::path::{Path, PathBuf};

use chaos_toolkit::document::Document;
use chaos_toolkit::experiment::{self, Flaw, Imports};
use chaos_toolkit::faults::Faults;
use chaos_toolkit::load::{self, Answer, Fetch, Loading};
use chaos_toolkit::problem::Problem;
use chaos_toolkit::provider::python::Python;
use chaos_toolkit::settings::Settings;
use chaos_toolkit::variables::{self, Given, Variables};
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use crate::error::{CommandError, ErrorKind};
use crate::output::Output;

/// The experiment is not run.
#[derive(Debug, thiserror::Error)]
enum NotRun {
    #[error("{file} has {}; nothing ran", if *count == 1 { "a problem".to_owned() } else { format!("{count} problems") })]
    Invalid { file: String, count: usize },
    #[error("{file} is no mapping, as an experiment is")]
    NoMapping { file: String },
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> CommandError {
    CommandError::new(ErrorKind::Failed, error)
}

/// A file that is named on the command line.
#[derive(Debug, thiserror::Error)]
#[error("there is no such file")]
pub(super) struct NoFile;

pub(super) fn existing(text: &str) -> Result<PathBuf, NoFile> {
    let path = PathBuf::from(text);
    if path.exists() { Ok(path) } else { Err(NoFile) }
}

/// The settings. What is wrong with them is said, and they are left out, as in the reference.
pub(super) fn settings(path: Option<&Path>, output: Output<'_>) -> Settings {
    let path = path.map(Path::to_owned).or_else(Settings::path);
    let settings = path.map_or(Ok(None), |path| Settings::load(&path));
    let settings = settings.unwrap_or_else(|problem| {
        output.warn(&problem.to_string());
        None
    });
    settings.unwrap_or_default()
}

/// A file of controls. One that cannot be read is left out, as in the reference.
pub(super) fn controls(path: &Path, output: Output<'_>) -> Value {
    let read = load::file(&path.display().to_string());
    read.map_or_else(
        |problem| {
            output.warn(&format!("controls are left out: {problem}"));
            Value::Null
        },
        |document| document.value,
    )
}

/// The experiment.
pub(super) async fn document(
    source: &str,
    verify_tls: bool,
    settings: &Settings,
) -> Result<Document, CommandError> {
    let how = Loading {
        settings: Some(settings),
        verify_tls,
        fetch: &Unfetched,
    };
    load::load(source, how).await.map_err(failed)
}

/// Says all that is wrong with it.
pub(super) async fn check(
    document: &Document,
    faults: &dyn Faults,
    python: &Python,
    output: Output<'_>,
) -> Result<(), CommandError> {
    let checked = experiment::check(document, Some(faults), &OfPython(python)).await;
    for warning in &checked.warnings {
        output.warn(&warning.to_string());
    }
    let count = checked.problems.len();
    if count == 0 {
        return Ok(());
    }
    let say = |problem: Problem| output.error(&failed(problem));
    checked.problems.into_iter().for_each(say);
    let file = document.source.clone();
    Err(failed(NotRun::Invalid { file, count }))
}

/// Finds its configuration and secrets.
pub(super) async fn variables(
    document: &Document,
    given: Given,
    python: &Python,
    output: Output<'_>,
) -> Result<Variables, CommandError> {
    let experiment = document.value.as_object().ok_or_else(|| {
        let file = document.source.clone();
        failed(NotRun::NoMapping { file })
    })?;
    let variables = variables::load(experiment, given, python).await;
    let variables = variables.map_err(failed)?;
    for notice in &variables.notices {
        output.warn(&variables.redact(notice));
    }
    Ok(variables)
}

/// Asks Python what is wrong.
struct OfPython<'a>(&'a Python);

impl Imports for OfPython<'_> {
    fn activity<'a>(&'a self, activity: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>> {
        Box::pin(async move {
            let flaws = self.0.check(activity).await.err().unwrap_or_default();
            let of_python = flaws.into_iter().map(|flaw| Flaw {
                key: flaw.key.map(str::to_owned),
                what: flaw.what,
                instead: None,
            });
            of_python.collect()
        })
    }

    fn control<'a>(&'a self, _control: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>> {
        Box::pin(async { Vec::new() })
    }
}

/// Stands in for whoever asks at addresses.
struct Unfetched;

impl Fetch for Unfetched {
    fn get<'a>(
        &'a self,
        _url: &'a str,
        _headers: &'a [(&'static str, String)],
        _verify_tls: bool,
    ) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async { Err("addresses are not asked yet".to_owned()) })
    }
}
