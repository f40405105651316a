//! `chaosctl status`: one experiment in full.

use clap::Args;

use super::everyone::{Everyone, all_done};
use crate::error::CommandError;
use crate::output::{Output, json, table};

/// Show everything about one experiment
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Id of the experiment, as `chaosctl list` shows it
    #[arg(value_name = "ID")]
    id: String,
}

impl StatusArgs {
    pub(super) async fn run(
        &self,
        everyone: Everyone,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        let of = everyone.count();
        let (experiment, failures) = everyone.find(&self.id).await?;
        output.result(
            || table::status(&experiment),
            || json::Status {
                experiment: (&experiment).into(),
            },
        )?;
        all_done("its part is not known", failures, of)
    }
}
