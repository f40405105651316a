//! `chaosctl status`: one experiment in full.

use clap::Args;

use crate::client::Agent;
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
    pub(super) async fn run(&self, agent: &Agent, output: Output) -> Result<(), CommandError> {
        let experiment = agent.experiment(&self.id).await?;
        output.result(
            || table::status(&experiment),
            || json::Status {
                experiment: (&experiment).into(),
            },
        )?;
        Ok(())
    }
}
