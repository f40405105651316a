//! `chaosctl apply`: runs the experiment that a file describes.

pub(super) mod file;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::asked::Asked;
use crate::arguments::{Base, FileTiming, SelectorArgs, TimingArgs};
use crate::cluster::Draft;
use crate::error::CommandError;
use crate::experiment::Steer;
use crate::global::Global;
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
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        let described = read(&self.file)?;
        described
            .asked(global, &self.timing)
            .run(global, output)
            .await
    }
}

/// What an experiment file describes.
pub(super) struct Described {
    pub(super) selector: SelectorArgs,
    pub(super) namespace: Option<String>,
    pub(super) drafts: Vec<Draft>,
    pub(super) timing: FileTiming,
}

/// Reads an experiment file, or standard input where it is `-`.
pub(super) fn read(file: &Path) -> Result<Described, CommandError> {
    let (name, base, read) = text(file);
    let text = read.map_err(|source| FileError::Read {
        file: name.clone(),
        source,
    })?;
    Described::parse(&name, Base::Directory(base), &text)
}

/// A file's name, its directory, and what is in it; standard input where it is `-`.
pub(super) fn text(file: &Path) -> (String, &Path, io::Result<String>) {
    if file == Path::new("-") {
        let text = io::read_to_string(io::stdin());
        return ("standard input".to_owned(), Path::new(""), text);
    }
    let base = file.parent().unwrap_or(Path::new(""));
    let name = file.display().to_string();
    (name, base, std::fs::read_to_string(file))
}

impl Described {
    /// Reads text, which errors call `name`; paths in it begin at `base`.
    pub(super) fn parse(name: &str, base: Base<'_>, text: &str) -> Result<Self, CommandError> {
        let file = ExperimentFile::parse(name, text)?;
        Ok(file.describe(name, base)?)
    }

    /// With what options say besides, which wins.
    pub(super) fn asked<'a>(&'a self, global: &Global, timing: &'a TimingArgs) -> Asked<'a> {
        Asked {
            selector: &self.selector,
            namespace: global.namespace.clone().or_else(|| self.namespace.clone()),
            drafts: self.drafts.clone(),
            timing,
            file: self.timing,
        }
    }

    /// Runs it, for so long or as it says itself, or only plans it: for those of which it is a part.
    pub(super) async fn run(
        &self,
        length: Option<Duration>,
        dry_run: bool,
        global: &Global,
        steer: Steer,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        let timing = TimingArgs {
            duration: length,
            dry_run,
            ..TimingArgs::default()
        };
        let asked = self.asked(global, &timing);
        asked.run_steered(global, steer, output).await
    }
}
