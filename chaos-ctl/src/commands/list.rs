//! `chaosctl list`: experiments of the agent, or of all agents of a cluster.

use clap::Args;

use super::everyone::{Everyone, all_done, pieces};
use crate::error::CommandError;
use crate::output::whole::Whole;
use crate::output::{Output, json, table};

/// List experiments, newest first
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Also those that have ended: the last 100
    #[arg(short, long)]
    all: bool,
}

impl ListArgs {
    pub(super) async fn run(
        &self,
        everyone: Everyone,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        let (all, of) = (self.all, everyone.count());
        let lists = everyone
            .ask(|agent| async move { agent.list(all).await })
            .await?;
        let answers = lists.answers.into_iter();
        let experiments = Whole::group(
            answers
                .flat_map(|(node, list)| pieces(&node, list))
                .collect(),
        );
        if experiments.is_empty() && lists.failures.is_empty() {
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
        all_done("experiments are not known", lists.failures, of)
    }
}
