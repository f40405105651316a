//! Ends all parts because the user asked for it.

use std::sync::Arc;

use chaos_proto::v1::Experiment;
use futures::StreamExt as _;
use futures::stream;

use super::end;
use super::failure::{Rows, RunError};
use super::fleet::Fleet;
use super::interrupt::Interrupt;
use super::plan;
use super::run::Run;
use super::start::{AT_ONCE, Prepared};
use crate::client::{Agent, ClientError};
use crate::error::CommandError;
use crate::output::Output;

/// What each agent answered: its node, and the part's end.
type Ends = Vec<(String, Result<Experiment, ClientError>)>;

/// Ends what is running; asked again, leaves without waiting for the agents.
pub(super) async fn all(
    run: &Arc<Run>,
    fleet: &mut Fleet,
    interrupt: &mut Interrupt,
) -> Result<(), CommandError> {
    let active: Vec<_> = run
        .active()
        .into_iter()
        .map(|((node, id), agent)| (node, id, agent))
        .collect();
    let ends = stop(run, active, interrupt).await?;
    let mut untold = Vec::new();
    for (node, end) in ends {
        match end {
            Ok(ended) => fleet.set_ended(&node, ended),
            Err(error) => untold.push((node, error)),
        }
    }
    not_told(untold, fleet.node_count())
}

/// Ends what was being armed: whether it was armed yet is known to the agents alone.
pub(super) async fn before_it_began(
    run: &Arc<Run>,
    prepared: &[Prepared],
    interrupt: &mut Interrupt,
    output: Output,
) -> Result<(), CommandError> {
    let parts = prepared.iter().map(|part| {
        let id = part.id().to_owned();
        (part.slot.node.clone(), id, part.agent.clone())
    });
    let ends = stop(run, parts.collect(), interrupt).await?;
    let (mut ended, mut untold) = (Vec::new(), Vec::new());
    for (node, end) in ends {
        match end {
            Ok(end) => ended.push(end),
            Err(error) => untold.push((node, error)),
        }
    }
    not_told(untold, prepared.len())?;
    let whole = plan::whole(prepared, &ended);
    if end::hit(&whole.experiment) {
        end::conclude(&whole, true, output)
    } else {
        Err(RunError::InterruptedBeforeStart.into())
    }
}

/// In the order of the parts.
async fn stop(
    run: &Arc<Run>,
    parts: Vec<(String, String, Agent)>,
    interrupt: &mut Interrupt,
) -> Result<Ends, CommandError> {
    let id = parts.first().map(|(_, id, _)| id.clone());
    let stopping = stream::iter(parts)
        .map(|(node, id, agent)| async move {
            let end = stop_one(run, &node, &id, &agent).await;
            (node, end)
        })
        .buffered(AT_ONCE)
        .collect::<Ends>();
    tokio::select! {
        ends = stopping => Ok(ends),
        () = interrupt.next() => Err(RunError::LeftAtOnce { id: id.unwrap_or_default() }.into()),
    }
}

/// Where the connection is broken, over another one.
async fn stop_one(
    run: &Run,
    node: &str,
    id: &str,
    agent: &Agent,
) -> Result<Experiment, ClientError> {
    match agent.disarm(id).await {
        Err(ClientError::Broken { .. } | ClientError::Unreachable { .. })
            if run.reach.is_cluster() =>
        {
            run.reach.again(node).await?.disarm(id).await
        }
        end => end,
    }
}

fn not_told(mut untold: Vec<(String, ClientError)>, of: usize) -> Result<(), CommandError> {
    if untold.is_empty() {
        return Ok(());
    }
    if let [(node, _)] = &untold[..]
        && node.is_empty()
        && let Some((_, source)) = untold.pop()
    {
        return Err(RunError::NotTold { source }.into());
    }
    let rows = untold
        .into_iter()
        .map(|(node, error)| (node, error.to_string()));
    Err(RunError::NotToldThere {
        rows: Rows::new(rows.collect()),
        of,
    }
    .into())
}
