//! `chaosctl discover`: what an extension of the reference offers, for `chaosctl init`.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use std::path::PathBuf;
use std::process::Stdio;

use clap::Args;
use serde_json::Value;
use tokio::process::Command;

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

    /// Who runs what is Python's [env: CHAOSCTL_PYTHON] [default: python3]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl discover chaostoolkit-kubernetes
  chaosctl discover chaostoolkit-kubernetes --no-install --no-system-info
  chaosctl init --discovery-path discovery.json";

/// Why nothing was discovered.
#[derive(Debug, thiserror::Error)]
enum Undiscovered {
    #[error("cannot run {}: {source}", program.display())]
    Python {
        program: PathBuf,
        source: std::io::Error,
    },
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
            Undiscovered::Python { .. } => "install Python, or name it with --python",
            Undiscovered::Failed { said, .. } if said.contains("No module named") => {
                "install what it needs with `pip install chaostoolkit-lib`, or name another Python with --python"
            }
            Undiscovered::Failed { .. } => "-v says more; --no-install leaves pip out",
            Undiscovered::Write { .. } => "give another file with --discovery-path",
        };
        CommandError::new(ErrorKind::Failed, error).hint(hint)
    }
}

/// Prints what the library says; what extensions print on the way goes to standard error.
const SCRIPT: &str = r#"
import json, sys
said, sys.stdout = sys.stdout, sys.stderr
from chaoslib import PayloadEncoder
from chaoslib.discovery import discover
package, system, install = sys.argv[1:]
found = discover(package, discover_system=system == "yes", download_and_install=install == "yes")
json.dump(found, said, cls=PayloadEncoder)
"#;

impl DiscoverArgs {
    pub(super) async fn run(&self, output: Output<'_>) -> Result<(), CommandError> {
        output.talk(&format!("asking {} …", self.package));
        let discovery = self.discovery(output).await?;
        let mut text = serde_json::to_vec_pretty(&discovery)
            .map_err(|error| CommandError::new(ErrorKind::Failed, error))?;
        text.push(b'\n');
        let path = &self.discovery_path;
        std::fs::write(path, text).map_err(|source| Undiscovered::Write {
            path: path.clone(),
            source,
        })?;
        output.talk(&format!(
            "{} offers {}, saved in {}",
            self.package,
            offered(&discovery),
            path.display()
        ));
        Ok(())
    }

    async fn discovery(&self, output: Output<'_>) -> Result<Value, Undiscovered> {
        let program = self
            .python
            .clone()
            .or_else(|| std::env::var_os("CHAOSCTL_PYTHON").map(PathBuf::from));
        let program = program.unwrap_or_else(|| PathBuf::from("python3"));
        let yes = |yes: bool| if yes { "yes" } else { "no" };
        let run = Command::new(&program)
            .args([
                "-c",
                SCRIPT,
                &self.package,
                yes(!self.no_system_info),
                yes(!self.no_install),
            ])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| Undiscovered::Python { program, source })?;
        let talk = String::from_utf8_lossy(&run.stderr);
        for line in talk.lines() {
            output.detail(line);
        }
        let failed = |said: &str| Undiscovered::Failed {
            package: self.package.clone(),
            said: said.to_owned(),
        };
        if !run.status.success() {
            // The last line of a traceback says what it is.
            let last = talk.lines().rev().find(|line| !line.trim().is_empty());
            let last = last.unwrap_or("Python said nothing").trim();
            let said = last.strip_prefix("chaoslib.exceptions.DiscoveryFailed: ");
            return Err(failed(said.unwrap_or(last)));
        }
        serde_json::from_slice(&run.stdout).map_err(|error| failed(&error.to_string()))
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
