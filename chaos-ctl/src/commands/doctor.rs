//! `chaosctl doctor`: what the agent's kernel offers.

use clap::Args;

use crate::client::Agent;
use crate::error::CommandError;
use crate::output::{Output, json, table};

/// Show what the agent's kernel offers and what the agent uses
#[derive(Debug, Args)]
pub struct DoctorArgs {}

impl DoctorArgs {
    pub(super) async fn run(&self, agent: &Agent, output: Output) -> Result<(), CommandError> {
        let description = agent.describe().await?;
        let address = agent.address();
        output.result(
            || table::doctor(address, &description),
            || json::Doctor {
                agent: json::Agent::new(address, &description),
            },
        )?;
        Ok(())
    }
}
