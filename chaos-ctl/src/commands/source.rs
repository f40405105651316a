//! Where an experiment of Chaos Toolkit's format comes from, for all verbs that take one.

use chaos_toolkit::document::Document;
use chaos_toolkit::load::{self, Http, Loading};
use chaos_toolkit::problem::Problem;
use clap::Args;

use super::settings::SettingsArgs;
use crate::output::Output;

/// An experiment, and what it takes to get it.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// The experiment: a file in .json, .yaml or .yml, or an http or https address
    source: String,

    /// Do not verify the certificate of whoever the experiment is loaded from
    #[arg(long)]
    no_verify_tls: bool,

    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

impl SourceArgs {
    /// As the user named it.
    pub(super) fn name(&self) -> &str {
        &self.source
    }

    /// Loads it; the problem is boxed, being much larger than what is usual.
    pub(super) async fn load(&self, output: Output<'_>) -> Result<Document, Box<Problem>> {
        let settings = self.settings.load(output);
        let how = Loading {
            settings: settings.as_ref(),
            verify_tls: !self.no_verify_tls,
            fetch: &Http,
        };
        load::load(&self.source, how).await.map_err(Box::new)
    }
}
