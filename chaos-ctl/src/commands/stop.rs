//! `chaosctl stop`: ends experiments.

use chaos_proto::v1::Experiment;
use clap::Args;

use super::everyone::{Everyone, all_done, pieces, unknown};
use crate::client::{Agent, ClientError};
use crate::error::CommandError;
use crate::output::whole::{Whole, base};
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
    pub(super) async fn run(&self, everyone: Everyone, output: Output) -> Result<(), CommandError> {
        if self.all {
            let of = everyone.count();
            let stopped = everyone
                .ask(|agent| async move { agent.disarm_all().await })
                .await?;
            let answers = stopped.answers.into_iter();
            let ended = Whole::group(
                answers
                    .flat_map(|(node, list)| pieces(&node, list))
                    .collect(),
            );
            if ended.is_empty() {
                output.talk("no experiment is running");
            }
            output.result(|| table::stopped(&ended), || json::Experiments::new(&ended))?;
            return all_done(NOT_STOPPED, stopped.failures, of);
        }
        match everyone.is_one() {
            Some(agent) => self.one_by_one(agent, output).await,
            None => self.everywhere(everyone, output).await,
        }
    }

    /// One wrong id must not keep the others running.
    async fn one_by_one(&self, agent: &Agent, output: Output) -> Result<(), CommandError> {
        let mut ended = Vec::new();
        let mut failures: Vec<ClientError> = Vec::new();
        for id in &self.ids {
            match agent.disarm(id).await {
                Ok(experiment) => ended.push(Whole::from(&experiment)),
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

    /// All parts on all nodes. Those that an agent does not list it may end all the same, for whoever started them.
    async fn everywhere(&self, everyone: Everyone, output: Output) -> Result<(), CommandError> {
        let of = everyone.count();
        let ids = &self.ids;
        let stopped = everyone
            .ask(|agent| async move { stop_parts(&agent, ids).await })
            .await?;
        let answers = stopped.answers.into_iter();
        let ended = Whole::group(
            answers
                .flat_map(|(node, list)| pieces(&node, list))
                .collect(),
        );
        if !ended.is_empty() {
            output.result(|| table::stopped(&ended), || json::Experiments::new(&ended))?;
        }
        for id in ids {
            let is_known = ended.iter().any(|whole| whole.experiment.id == base(id));
            if !is_known && stopped.failures.is_empty() {
                return Err(unknown(id));
            }
        }
        all_done(NOT_STOPPED, stopped.failures, of)
    }
}

const NOT_STOPPED: &str = "could not stop everything: agents did not answer";

/// Ends all parts that an agent has of these experiments.
async fn stop_parts(agent: &Agent, ids: &[String]) -> Result<Vec<Experiment>, ClientError> {
    let listed = agent.list(true).await.unwrap_or_default();
    let mut ended = Vec::new();
    for id in ids {
        let further = listed
            .iter()
            .map(|experiment| &experiment.id)
            .filter(|other| *other != id && base(other) == base(id));
        for id in further.chain([id]) {
            match agent.disarm(id).await {
                Ok(experiment) => ended.push(experiment),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(ended)
}
