//! `chaosctl list`: experiments of the agent.

use clap::Args;

use crate::client::Agent;
use crate::error::CommandError;
use crate::output::{Output, json, table};

/// List experiments, newest first
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Also those that have ended: the last 100
    #[arg(short, long)]
    all: bool,
}

impl ListArgs {
    pub(super) async fn run(&self, agent: &Agent, output: Output) -> Result<(), CommandError> {
        let experiments = agent.list(self.all).await?;
        if experiments.is_empty() {
            output.talk(if self.all {
                "no experiments"
            } else {
                "no experiment is running; --all shows those that have ended"
            });
        }
        output.result(
            || table::list(&experiments),
            || json::Experiments::new(&experiments),
        )?;
        Ok(())
    }
}
