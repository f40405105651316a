//! `chaosctl run`: an experiment in the format of Chaos Toolkit.

mod ending;
mod load;
mod tell;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chaos_toolkit::document::Document;
use chaos_toolkit::provider::python::Python;
use chaos_toolkit::run::{self, Controls, Dry, Options, Setup};
use chaos_toolkit::settings::Settings;
use chaos_toolkit::variables::Given;
use clap::Args;
use serde_json::Value;

use crate::commands::actions::ToolkitFaults;
use crate::error::{CommandError, ErrorKind};
use crate::global::Global;
use crate::output::Output;
use tell::Tell;

/// Run an experiment in the format of Chaos Toolkit: hypothesis, method, hypothesis, rollbacks
///
/// SOURCE is a file or an address, JSON or YAML. What is believed is looked at, the method is played, and what is believed
/// is looked at again; docs/chaostoolkit.md says what the format has, and where this is safer than the reference. A
/// journal of what happened is written, which `chaos report` reads too.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RunArgs {
    /// The experiment: a file, or an http or https address
    source: String,

    /// Where to write the journal
    #[arg(long, value_name = "FILE", default_value = "./journal.json")]
    journal_path: PathBuf,

    /// Go through it, but leave probes, actions, both (`activities`) or pauses out
    #[arg(long, value_name = "WHAT", value_parser = Dry::NAMES)]
    dry: Option<String>,

    /// Do not look for mistakes in the experiment first
    #[arg(long)]
    no_validation: bool,

    /// Do not verify the certificate where the experiment is loaded from
    #[arg(long)]
    no_verify_tls: bool,

    /// When to play the rollbacks [default: unless interrupted or failed]
    #[arg(long, value_name = "WHEN", value_parser = run::RollbackStrategy::NAMES)]
    rollback_strategy: Option<String>,

    /// A value of the configuration, KEY=VALUE or KEY:TYPE=VALUE with int, float or bytes; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    var: Vec<String>,

    /// A file of values for configuration and secrets: JSON, YAML or .env; may be repeated
    #[arg(long, value_name = "FILE", value_parser = load::existing)]
    var_file: Vec<PathBuf>,

    /// A file of controls that apply as if the settings had them; may be repeated
    #[arg(long, value_name = "FILE", value_parser = load::existing)]
    control_file: Vec<PathBuf>,

    /// When to look at the hypothesis
    #[arg(long, value_name = "WHEN", value_parser = hypothesis_strategies())]
    hypothesis_strategy: Option<String>,

    /// Seconds between two looks, with during-method-only and continuously
    #[arg(long, value_name = "SECONDS", default_value = "1.0", value_parser = seconds)]
    hypothesis_frequency: Duration,

    /// End the method as soon as one of those looks sees the hypothesis not met
    #[arg(long)]
    fail_fast: bool,

    /// The settings file [default: ~/.chaostoolkit/settings.yaml]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    /// Look at the hypothesis once more when everything is undone and all faults have ended; not met: failed
    #[arg(long)]
    verify_recovery: bool,

    /// Who runs what is Python's [env: CHAOSCTL_PYTHON] [default: python3]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  chaosctl run experiment.json
  chaosctl run experiment.yaml --rollback-strategy always --verify-recovery
  chaosctl run experiment.yaml --hypothesis-strategy continuously --hypothesis-frequency 0.5 --fail-fast

Exit codes: 0 where the run completed and nothing deviated, else 1; 2 where the command line is wrong.
SIGINT, SIGTERM and SIGUSR1 interrupt; SIGUSR2 also leaves rollbacks out; a second Ctrl-C ends at once. Faults end always.";

fn hypothesis_strategies() -> clap::builder::PossibleValuesParser {
    let hidden = clap::builder::PossibleValue::new("continously").hide(true);
    let names = run::Strategy::NAMES.map(clap::builder::PossibleValue::new);
    names.into_iter().chain([hidden]).into()
}

/// A control did not want the experiment to be loaded.
#[derive(Debug, thiserror::Error)]
#[error("a control interrupted the loading: {0}")]
struct LoadingInterrupted(String);

/// A number of seconds on the command line that is none.
#[derive(Debug, thiserror::Error)]
#[error("must be a number of seconds, such as 0.5")]
struct NoSeconds;

fn seconds(text: &str) -> Result<Duration, NoSeconds> {
    let seconds: f64 = text.parse().map_err(|_| NoSeconds)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| NoSeconds)
}

impl RunArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'static>,
    ) -> Result<(), CommandError> {
        let failed = |error| CommandError::new(ErrorKind::Failed, error);
        let given = Given::read(&self.var, &self.var_file)
            .map_err(|error| CommandError::new(ErrorKind::Usage, error))?;
        let settings = load::settings(self.settings.as_deref(), output);
        let python = Python::new(self.python()).settings(settings.value.clone());
        let python = Arc::new(python.verbose(global.verbose));
        // Whoever does what controls do is asked for here.
        let controls: Option<Arc<dyn Controls>> = None;
        let controls_of_settings = self.controls(&settings, output);
        let document = self
            .load(controls.as_deref(), &controls_of_settings, &settings)
            .await?;
        let faults = Arc::new(ToolkitFaults::new(Arc::new(global.clone()), output));
        if !self.no_validation {
            load::check(&document, &*faults, &python, output).await?;
        }
        let variables = load::variables(&document, given, &python, output).await?;
        let (experiment, settings) = (document.value, settings.value);
        let mut options = Options {
            frequency: self.hypothesis_frequency,
            fail_fast: self.fail_fast,
            dry: self.dry.as_deref().and_then(Dry::named),
            verify_recovery: self.verify_recovery,
            ..Options::default()
        };
        let cli = [&self.hypothesis_strategy, &self.rollback_strategy].map(Option::as_deref);
        options
            .strategies(cli[0], cli[1], &experiment, &settings)
            .map_err(|error| CommandError::new(ErrorKind::Failed, error))?;
        let tell = Arc::new(Tell::new(output, &experiment));
        let setup = Setup {
            experiment,
            variables,
            settings,
            options,
            journal: Some(self.journal_path.clone()),
            python,
            faults: Some(faults.clone()),
            controls,
            controls_of_settings,
            observers: vec![tell.clone()],
            gate: None,
            signals: run::listen().map_err(|error| CommandError::new(ErrorKind::Failed, error))?,
        };
        let journal = run::run(setup).await;
        faults.settled().await;
        let journal = journal.map_err(failed)?;
        ending::say(&journal, &self.journal_path, output)
    }

    /// The controls that every experiment has: of the settings, and of the files named here.
    fn controls(&self, settings: &Settings, output: Output<'_>) -> Vec<Value> {
        let mut controls = run::controls_of(settings.at(&["controls"]));
        for file in &self.control_file {
            controls.extend(run::controls_of(Some(&load::controls(file, output))));
        }
        controls
    }

    /// Loads the experiment, with controls around it that may change what is read.
    async fn load(
        &self,
        controls: Option<&dyn Controls>,
        of_settings: &[Value],
        settings: &Settings,
    ) -> Result<Document, CommandError> {
        let tell = async |read: Option<&mut Value>| match controls {
            None => Ok(()),
            Some(controls) => {
                let source = &self.source;
                let told =
                    run::tell_of_loading(controls, of_settings, source, read, &settings.value);
                let interrupted = |run::Interrupted(why)| LoadingInterrupted(why);
                told.await
                    .map_err(interrupted)
                    .map_err(|error| CommandError::new(ErrorKind::Failed, error))
            }
        };
        tell(None).await?;
        let mut document = load::document(&self.source, !self.no_verify_tls, settings).await?;
        tell(Some(&mut document.value)).await?;
        Ok(document)
    }

    fn python(&self) -> PathBuf {
        let of_environment = || std::env::var_os("CHAOSCTL_PYTHON").map(PathBuf::from);
        let chosen = self.python.clone().or_else(of_environment);
        chosen.unwrap_or_else(|| PathBuf::from("python3"))
    }
}
