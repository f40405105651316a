//! `chaosctl stop`: ends experiments.

use std::collections::{BTreeMap, BTreeSet};

use chaos_proto::v1::Experiment;
use clap::Args;

use super::everyone::{Everyone, all_done, pieces, unknown};
use crate::client::{Agent, ClientError};
use crate::error::CommandError;
use crate::output::whole::{Whole, base, part, place};
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

    /// Every experiment of the agent, or of all agents of the cluster, that you may end, whoever started it
    #[arg(short, long)]
    all: bool,
}

impl StopArgs {
    pub(super) async fn run(
        &self,
        everyone: Everyone,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
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
        self.by_ids(everyone, output).await
    }

    /// All parts of each, on all nodes; one wrong id, or one agent that does not answer, must not keep others running.
    async fn by_ids(&self, everyone: Everyone, output: Output<'_>) -> Result<(), CommandError> {
        let (of, is_one) = (everyone.count(), everyone.is_one().is_some());
        let ids = &self.ids;
        let stopped = everyone
            .ask(|agent| async move { Ok(stop(&agent, ids).await) })
            .await?;
        let (mut parts, mut unknown_to) = (Vec::new(), BTreeMap::<&str, usize>::new());
        let mut failures = stopped.failures;
        for (node, stopped) in stopped.answers {
            parts.extend(pieces(&node, stopped.ended));
            let failed = stopped.failed.into_iter();
            failures.extend(failed.map(|error| (node.clone(), error)));
            for (id, error) in stopped.unknown {
                *unknown_to.entry(id).or_default() += 1;
                if is_one {
                    // In the agent's own words.
                    failures.push((node.clone(), error));
                }
            }
        }
        let ended = Whole::group(parts);
        if !ended.is_empty() {
            output.result(|| table::stopped(&ended), || json::Experiments::new(&ended))?;
        }
        if is_one {
            return in_turn(failures.into_iter().map(|(_, error)| error.into()), output);
        }
        let nobody_knows = ids
            .iter()
            .filter(|id| unknown_to.get(id.as_str()) == Some(&of));
        let mut errors: Vec<CommandError> = nobody_knows.map(|id| unknown(id)).collect();
        errors.extend(all_done(NOT_STOPPED, failures, of).err());
        in_turn(errors.into_iter(), output)
    }
}

const NOT_STOPPED: &str = "could not stop everything";

/// Tells all errors; the last of them is the command's.
fn in_turn(
    errors: impl Iterator<Item = CommandError>,
    output: Output<'_>,
) -> Result<(), CommandError> {
    let mut errors: Vec<_> = errors.collect();
    let Some(last) = errors.pop() else {
        return Ok(());
    };
    for error in errors {
        output.error(&error);
    }
    Err(last)
}

/// What one agent made of it.
#[derive(Default)]
struct Stopped<'a> {
    ended: Vec<Experiment>,
    /// Ids of which it has no part.
    unknown: Vec<(&'a str, ClientError)>,
    failed: Vec<ClientError>,
}

/// Ends all parts that an agent has of these experiments: those that it lists, and those that it does not, which it may
/// end all the same for whoever started them.
async fn stop<'a>(agent: &Agent, ids: &'a [String]) -> Stopped<'a> {
    let mut stopped = Stopped::default();
    let listed = match agent.list(true).await {
        Ok(listed) => listed,
        Err(error) => {
            stopped.failed.push(error);
            Vec::new()
        }
    };
    for id in ids {
        let known = listed.iter().map(|experiment| experiment.id.as_str());
        let known = known.filter(|other| base(other) == base(id)).map(place);
        // The first may have been forgotten long ago, and further ones may not be listed.
        let mut places: BTreeSet<u64> = known.chain([1]).collect();
        let (mut is_known, mut missing) = (false, None);
        while let Some(place) = places.pop_first() {
            match agent.disarm(&part(id, place)).await {
                Ok(experiment) => {
                    is_known = true;
                    stopped.ended.push(experiment);
                    places.insert(place.saturating_add(1));
                }
                Err(error) if error.is_not_found() => {
                    missing.get_or_insert(error);
                    if place == 1 {
                        places.insert(2);
                    }
                }
                // A no is about this part.
                Err(error) if error.is_refusal() => {
                    is_known = true;
                    stopped.failed.push(error);
                    if place == 1 {
                        places.insert(2);
                    }
                }
                Err(error) => {
                    stopped.failed.push(error);
                    return stopped;
                }
            }
        }
        if let Some(error) = missing.filter(|_| !is_known) {
            stopped.unknown.push((id, error));
        }
    }
    stopped
}
