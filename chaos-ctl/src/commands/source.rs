//! Where an experiment of Chaos Toolkit's format comes from, for all verbs that take one.

use std::path::PathBuf;

use chaos_toolkit::document::Document;
use chaos_toolkit::load::{self, Http, Loading};
use chaos_toolkit::problem::Problem;
use chaos_toolkit::settings::Settings;
use clap::Args;

use crate::output::Output;

/// An experiment, and what it takes to get it.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// The experiment: a file in .json, .yaml or .yml, or an http or https address
    source: String,

    /// Do not verify the certificate of whoever the experiment is loaded from
    #[arg(long)]
    no_verify_tls: bool,

    /// The settings file, which says who may ask at an address [default: ~/.chaostoolkit/settings.yaml]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl SourceArgs {
    /// As the user named it.
    pub(super) fn name(&self) -> &str {
        &self.source
    }

    /// Loads it; the problem is boxed, being much larger than what is usual.
    pub(super) async fn load(&self, output: Output<'_>) -> Result<Document, Box<Problem>> {
        let settings = self.settings(output);
        let how = Loading {
            settings: settings.as_ref(),
            verify_tls: !self.no_verify_tls,
            fetch: &Http,
        };
        load::load(&self.source, how).await.map_err(Box::new)
    }

    /// The settings; what is wrong with them is said, and they are left out, as in the reference.
    pub(super) fn settings(&self, output: Output<'_>) -> Option<Settings> {
        let path = self.settings.clone().or_else(Settings::path)?;
        Settings::load(&path).unwrap_or_else(|problem| {
            output.warn(&problem.to_string());
            None
        })
    }
}
