//! `chaosctl report`: journals of experiments as something to look at, and to show.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use chaos_toolkit::journal::part_path;
use chaos_toolkit::report::{self, Journal};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::report_file::ReportFile;
use crate::error::{CommandError, ErrorKind};
use crate::output::{Output, WriteError};

/// Make a report of the journals of experiments: one HTML file, Markdown or PDF
///
/// Says what was believed, what was done and what happened, with a time line of faults and probes, what each fault hit,
/// and what the experiments contribute to; of several journals an overview first. Journals of `chaosctl run` and of
/// Chaos Toolkit's `chaos run` are read alike. The HTML file needs nothing else: no network, no script. Secrets that a
/// journal spells out are left out. A PDF is printed by Chromium or Chrome, if there is one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// Journals; `-` reads one from standard input
    #[arg(required = true, value_name = "JOURNAL")]
    journals: Vec<PathBuf>,

    /// Where to write the report; `-` is standard output. `-o FILE` means the same [default: report.html, .md or .pdf]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// [default: what the name of the file says, else html]
    #[arg(long, value_enum)]
    format: Option<Kind>,

    /// What to call the report [default: the experiment's title]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,

    /// First make the journals of runs that were killed, of what they left beside them (JOURNAL.part); a report is
    /// made too where --to or --format is given
    #[arg(long)]
    recover: bool,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl report journal.json
  chaosctl report journals/*.json -o week.html --title 'Game day'
  chaosctl report journal.json --format markdown --to - >> \"$GITHUB_STEP_SUMMARY\"
  chaosctl report journal.json -o report.pdf
  chaosctl report --recover journal.json";

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// One file for a browser
    Html,
    /// For a repository, or a summary of a CI job
    Markdown,
    /// For paper
    Pdf,
}

#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("cannot read the journal {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the journal {} is not written in UTF-8", path.display())]
    NotText { path: PathBuf },
}

/// What `-o json` prints.
#[derive(Debug, Serialize)]
struct Written {
    report: PathBuf,
    format: Kind,
    journals: usize,
}

/// Whether there is a part of a journal beside this one that is younger.
fn is_left_behind(journal: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    let (part, journal) = (changed(&part_path(journal)), changed(journal));
    part.is_some() && journal.is_some() && part > journal
}

impl ReportArgs {
    pub(super) async fn run(&self, output: Output<'static>) -> Result<(), CommandError> {
        if self.recover {
            for path in &self.journals {
                // Of several, some may be of runs that came to their end.
                let is_over = path.exists() && !part_path(path).exists();
                if !is_over {
                    chaos_toolkit::journal::recover(path)
                        .map_err(|error| CommandError::new(ErrorKind::Failed, error))?;
                }
                output.talk(&format!("the journal {} is whole", path.display()));
            }
            if self.to.is_none() && self.format.is_none() {
                return Ok(());
            }
        }
        for path in &self.journals {
            if is_left_behind(path) {
                output.warn(&format!(
                    "{} is of an earlier run: a later one was killed, or goes on; --recover makes its journal",
                    path.display()
                ));
            }
        }
        let journals = self.journals.iter().map(|path| read(path));
        let journals = journals.collect::<Result<Vec<_>, _>>()?;
        let kind = self.kind();
        let to = self.to.clone().unwrap_or_else(|| kind.file());
        let is_stdout = to.as_os_str() == "-";
        let file = if is_stdout {
            None
        } else {
            Some(ReportFile::open(&to)?)
        };
        let made = match self.make(kind, &journals).await {
            Ok(made) => made,
            Err(error) => {
                if let Some(file) = file {
                    file.discard();
                }
                return Err(error);
            }
        };
        let Some(file) = file else {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(&made).and_then(|()| stdout.flush());
            return Ok(written.map_err(WriteError::from)?);
        };
        file.write(made)?;
        let written = || Written {
            report: to.clone(),
            format: kind,
            journals: journals.len(),
        };
        Ok(output.result(|| to.display().to_string(), written)?)
    }

    fn kind(&self) -> Kind {
        let named = || {
            let extension = self.to.as_deref()?.extension()?.to_str()?;
            match extension.to_ascii_lowercase().as_str() {
                "md" | "markdown" => Some(Kind::Markdown),
                "pdf" => Some(Kind::Pdf),
                _ => None,
            }
        };
        self.format.or_else(named).unwrap_or(Kind::Html)
    }

    async fn make(&self, kind: Kind, journals: &[Journal]) -> Result<Vec<u8>, CommandError> {
        let title = self.title.as_deref();
        Ok(match kind {
            Kind::Html => report::html(journals, title).into_bytes(),
            Kind::Markdown => report::markdown(journals, title).into_bytes(),
            Kind::Pdf => report::pdf(&report::html(journals, title))
                .await
                .map_err(|error| CommandError::new(ErrorKind::Failed, error))?,
        })
    }
}

impl Kind {
    fn file(self) -> PathBuf {
        PathBuf::from(match self {
            Self::Html => "report.html",
            Self::Markdown => "report.md",
            Self::Pdf => "report.pdf",
        })
    }
}

fn read(path: &Path) -> Result<Journal, CommandError> {
    let unread = |source| {
        let path = path.to_owned();
        CommandError::new(ErrorKind::Usage, ReportError::Read { path, source })
    };
    let mut bytes = Vec::new();
    let source = if path.as_os_str() == "-" {
        io::stdin().lock().read_to_end(&mut bytes).map_err(unread)?;
        "standard input".to_owned()
    } else {
        bytes = std::fs::read(path).map_err(unread)?;
        path.display().to_string()
    };
    let text = String::from_utf8(bytes).map_err(|_| {
        let path = path.to_owned();
        CommandError::new(ErrorKind::Usage, ReportError::NotText { path })
    })?;
    report::read(&source, &text).map_err(|problem| CommandError::new(ErrorKind::Usage, problem))
}
