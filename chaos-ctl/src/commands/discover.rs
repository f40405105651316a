//! `chaosctl discover`: what an extension of the reference offers, for `chaosctl init`.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use std::path::PathBuf;
use std::sync::Arc;

use chaos_toolkit::notification::{Event, Notifications};
use chaos_toolkit::provider::python::Python;
use clap::Args;
use serde_json::Value;

use super::python::PythonArgs;
use super::settings::{SettingsArgs, notify};
use crate::error::{CommandError, ErrorKind};
use crate::output::Output;

/// Ask an extension of Chaos Toolkit what it can do, and save what it says for `chaosctl init`
///
/// PACKAGE is one of Python's, such as chaostoolkit-kubernetes. It is installed or brought up to date with pip first. The
/// work is done by chaostoolkit-lib, of the Python that is asked for: that of --python, of CHAOSCTL_PYTHON, or python3.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiscoverArgs {
    /// The extension's package
    package: String,

    /// Do not look at the system that the extension is for
    #[arg(long)]
    no_system_info: bool,

    /// Do not install the package: it is there
    #[arg(long)]
    no_install: bool,

    /// Where to save what the extension says
    #[arg(long, value_name = "FILE", default_value = "./discovery.json")]
    discovery_path: PathBuf,

    #[command(flatten)]
    settings: SettingsArgs,

    #[command(flatten)]
    python: PythonArgs,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl discover chaostoolkit-kubernetes
  chaosctl discover chaostoolkit-kubernetes --no-install --no-system-info
  chaosctl init --discovery-path discovery.json";

/// Why nothing was discovered.
#[derive(Debug, thiserror::Error)]
enum Undiscovered {
    #[error("{package} was not discovered: {said}")]
    Failed { package: String, said: String },
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl From<Undiscovered> for CommandError {
    fn from(error: Undiscovered) -> Self {
        let hint = match &error {
            Undiscovered::Failed { said, .. } if said.contains("No module named") => {
                "install what it needs with `pip install chaostoolkit-lib`, or name another Python with --python"
            }
            Undiscovered::Failed { .. } => "-v says more; --no-install leaves pip out",
            Undiscovered::Write { .. } => "give another file with --discovery-path",
        };
        CommandError::new(ErrorKind::Failed, error).hint(hint)
    }
}

impl DiscoverArgs {
    pub(super) async fn run(&self, output: Output<'_>) -> Result<(), CommandError> {
        output.talk(&format!("asking {} …", self.package));
        let settings = self.settings.value(output);
        let python = Arc::new(self.python.python().settings(settings.clone()));
        let notifications = Notifications::new(&settings, Arc::clone(&python));
        let package = Value::from(&*self.package);
        notify(
            &notifications,
            Event::DiscoveryStarted,
            &package,
            None,
            output,
        )
        .await;
        let discovery = match self.discovery(&python).await {
            Ok(discovery) => discovery,
            Err(error) => {
                let said = match &error {
                    Undiscovered::Failed { said, .. } => said.clone(),
                    Undiscovered::Write { .. } => error.to_string(),
                };
                let failed = Event::DiscoveryFailed;
                notify(&notifications, failed, &package, Some(&said), output).await;
                python.close().await;
                return Err(error.into());
            }
        };
        self.save(&discovery)?;
        let completed = Event::DiscoveryCompleted;
        notify(&notifications, completed, &discovery, None, output).await;
        python.close().await;
        output.talk(&format!(
            "{} offers {}, saved in {}",
            self.package,
            offered(&discovery),
            self.discovery_path.display()
        ));
        Ok(())
    }

    fn save(&self, discovery: &Value) -> Result<(), CommandError> {
        let mut text = serde_json::to_vec_pretty(discovery)
            .map_err(|error| CommandError::new(ErrorKind::Failed, error))?;
        text.push(b'\n');
        let path = &self.discovery_path;
        std::fs::write(path, text).map_err(|source| Undiscovered::Write {
            path: path.clone(),
            source,
        })?;
        Ok(())
    }

    async fn discovery(&self, python: &Python) -> Result<Value, Undiscovered> {
        let discovered = python
            .discover(&self.package, !self.no_system_info, !self.no_install)
            .await;
        discovered.map_err(|stopped| {
            // The last line of a traceback says what it is.
            let said = stopped.to_string();
            let last = said.lines().rev().find(|line| !line.trim().is_empty());
            let last = last.unwrap_or("Python said nothing").trim();
            let said = last.strip_prefix("chaoslib.exceptions.DiscoveryFailed: ");
            Undiscovered::Failed {
                package: self.package.clone(),
                said: said.unwrap_or(last).to_owned(),
            }
        })
    }
}

fn offered(discovery: &Value) -> String {
    let activities = discovery["activities"].as_array();
    let activities = activities.map_or(&[][..], Vec::as_slice);
    let count = |of: &str| {
        let count = activities
            .iter()
            .filter(|activity| activity["type"] == of)
            .count();
        format!("{count} {of}{}", if count == 1 { "" } else { "s" })
    };
    format!("{} and {}", count("action"), count("probe"))
}
