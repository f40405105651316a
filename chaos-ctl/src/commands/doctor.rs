//! `chaosctl doctor`: what the agent's kernel offers.

use clap::Args;

use super::everyone::{Everyone, all_done};
use crate::error::CommandError;
use crate::output::{Output, json, table};

/// Show what the agent's kernel offers and what the agent uses; of a cluster, a line for each node
#[derive(Debug, Args)]
pub struct DoctorArgs {}

impl DoctorArgs {
    pub(super) async fn run(
        &self,
        everyone: Everyone,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        if let Some(agent) = everyone.is_one() {
            let description = agent.describe().await?;
            let address = agent.address();
            output.result(
                || table::doctor(address, &description),
                || json::Doctor {
                    agent: json::Agent::new(address, &description),
                },
            )?;
            return Ok(());
        }
        let of = everyone.count();
        let described = everyone
            .ask(|agent| async move {
                let description = agent.describe().await?;
                Ok((agent.address().clone(), description))
            })
            .await?;
        let answers = &described.answers;
        output.result(|| table::doctors(answers), || json::Doctors::new(answers))?;
        all_done("agents do not answer", described.failures, of)
    }
}
