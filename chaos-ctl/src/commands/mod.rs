//! The verbs, one file each: its options, and what it asks of the agent.

pub mod apply;
pub mod corrupt;
pub mod delay;
pub mod dns;
pub mod doctor;
pub mod duplicate;
pub mod list;
pub mod loss;
pub mod partition;
pub mod rate;
pub mod reorder;
pub mod reset;
pub mod rewrite;
pub mod status;
pub mod stop;
pub mod update;

use crate::arguments::{ExperimentArgs, FaultArgs};
use crate::cli::Command;
use crate::client::{Address, Agent};
use crate::error::CommandError;
use crate::experiment;
use crate::output::Output;

impl Command {
    /// Does what the verb says.
    pub async fn run(&self, address: &Address, output: Output) -> Result<(), CommandError> {
        match self {
            Self::Delay(arguments) => arguments.run(address, output).await,
            Self::Loss(arguments) => arguments.run(address, output).await,
            Self::Duplicate(arguments) => arguments.run(address, output).await,
            Self::Reorder(arguments) => arguments.run(address, output).await,
            Self::Corrupt(arguments) => arguments.run(address, output).await,
            Self::Rate(arguments) => arguments.run(address, output).await,
            Self::Partition(arguments) => arguments.run(address, output).await,
            Self::Dns(arguments) => arguments.run(address, output).await,
            Self::Reset(arguments) => arguments.run(address, output).await,
            Self::Rewrite(arguments) => arguments.run(address, output).await,
            Self::Apply(arguments) => arguments.run(address, output).await,
            Self::Update(arguments) => arguments.run(address, output).await,
            Self::List(arguments) => arguments.run(&Agent::connect(address).await?, output).await,
            Self::Status(arguments) => arguments.run(&Agent::connect(address).await?, output).await,
            Self::Stop(arguments) => arguments.run(&Agent::connect(address).await?, output).await,
            Self::Doctor(arguments) => arguments.run(&Agent::connect(address).await?, output).await,
        }
    }
}

/// Runs an experiment of one fault. What is wrong with its options is said before the agent is asked.
async fn apply_fault(
    fault: &dyn FaultArgs,
    experiment: &ExperimentArgs,
    address: &Address,
    output: Output,
) -> Result<(), CommandError> {
    let request = experiment.request(fault)?;
    let agent = Agent::connect(address).await?;
    experiment::run(&agent, request, output).await
}
