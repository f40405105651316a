//! `chaosctl stop`: ends experiments.

use clap::Args;

use crate::client::{Agent, ClientError};
use crate::error::CommandError;
use crate::output::{Output, json, table};

/// End experiments at once, and show what each has hit
///
/// When the command returns, no packet is affected any more. Ending an experiment that has ended is no error.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Ids of the experiments, as `chaosctl list` shows them
    #[arg(
        value_name = "ID",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    ids: Vec<String>,

    /// Every experiment of the agent, whoever started it
    #[arg(short, long)]
    all: bool,
}

impl StopArgs {
    pub(super) async fn run(&self, agent: &Agent, output: Output) -> Result<(), CommandError> {
        if self.all {
            let ended = agent.disarm_all().await?;
            if ended.is_empty() {
                output.talk("no experiment is running");
            }
            output.result(|| table::stopped(&ended), || json::Experiments::new(&ended))?;
            return Ok(());
        }
        // One wrong id must not keep the others running.
        let mut ended = Vec::new();
        let mut failures: Vec<ClientError> = Vec::new();
        for id in &self.ids {
            match agent.disarm(id).await {
                Ok(experiment) => ended.push(experiment),
                Err(error) => failures.push(error),
            }
        }
        if !ended.is_empty() {
            output.result(|| table::stopped(&ended), || json::Experiments::new(&ended))?;
        }
        let Some(last) = failures.pop() else {
            return Ok(());
        };
        for failure in failures {
            output.error(&failure.into());
        }
        Err(last.into())
    }
}
