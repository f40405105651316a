//! `chaosctl apply`: runs the experiment that a file describes.

mod file;

use std::path::{Path, PathBuf};

use clap::Args;

use super::Asked;
use crate::arguments::{FileTiming, SelectorArgs, TimingArgs};
use crate::cli::Global;
use crate::cluster::Draft;
use crate::error::{CommandError, ErrorKind};
use crate::output::Output;

use file::ExperimentFile;
pub use file::FileError;

/// Run an experiment from a file: several faults together on one selector
///
/// The file is YAML; its words and units are those of the options, and docs/experiment.md has all of them. All rules
/// begin and end together. --duration, --grace and --seed win over what the file says.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    mut_arg("duration", |arg| arg.help(DURATION).long_help(DURATION))
)]
pub struct ApplyArgs {
    /// The file; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    timing: TimingArgs,
}

const DURATION: &str = "How long the faults act [default: what the file says, or 30s]";

const EXAMPLES: &str = "\
Example of a file:
  service: provider-chaos-service     # or pod, selector, deployment …, netns, pid, cgroup, or node: true
  duration: 30s
  rules:
    - delay: { latency: 100ms, jitter: 20ms }
      filter: { proto: tcp, ports: [3000], peers: [10.0.0.0/8] }
      pulse: 2s/8s
    - loss: { percent: 5 }

Examples:
  chaosctl apply -f experiment.yaml --dry-run
  chaosctl apply -f - --duration 1m < experiment.yaml";

impl ApplyArgs {
    pub(super) async fn run(&self, global: &Global, output: Output) -> Result<(), CommandError> {
        let described = read(&self.file)?;
        let asked = Asked {
            selector: &described.selector,
            namespace: global.namespace.clone().or(described.namespace),
            drafts: described.drafts,
            timing: &self.timing,
            file: described.timing,
        };
        asked.run(global, output).await
    }
}

/// What an experiment file describes.
pub(super) struct Described {
    pub(super) selector: SelectorArgs,
    pub(super) namespace: Option<String>,
    pub(super) drafts: Vec<Draft>,
    timing: FileTiming,
}

/// Reads an experiment file, or standard input where it is `-`.
pub(super) fn read(file: &Path) -> Result<Described, CommandError> {
    let (name, base, text) = if file == Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin());
        ("standard input".to_owned(), Path::new(""), text)
    } else {
        let base = file.parent().unwrap_or(Path::new(""));
        (
            file.display().to_string(),
            base,
            std::fs::read_to_string(file),
        )
    };
    let text = text.map_err(|source| {
        let error = FileError::Read {
            file: name.clone(),
            source,
        };
        CommandError::new(ErrorKind::Usage, error)
    })?;
    let file = ExperimentFile::parse(&name, &text)?;
    Ok(Described {
        drafts: file.drafts(&name, base)?,
        selector: file.selector(base),
        namespace: file.namespace(),
        timing: file.timing(),
    })
}
