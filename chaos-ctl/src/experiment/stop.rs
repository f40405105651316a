//! Ends all parts: because the user asked for it, or because one of them did not begin.

use std::sync::Arc;
use std::time::Duration;

use chaos_proto::v1::Experiment;
use futures::StreamExt as _;
use futures::stream;
use tokio::time::Instant;

use super::end;
use super::failure::{self, Rows, RunError};
use super::fleet::Fleet;
use super::plan;
use super::run::Run;
use super::start::{AT_ONCE, Prepared, Refusal};
use super::steer::Interrupt;
use crate::client::{Agent, ClientError};
use crate::error::CommandError;
use crate::output::Output;

/// How long agents are told again and again: a way that was cut is there anew within seconds, a node that is lost is
/// not.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(300);

/// What each agent answered: its node, and the part's end; nothing where the agent does not know it.
type Ends = Vec<(String, String, Result<Option<Experiment>, ClientError>)>;

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
    for (node, id, end) in ends {
        match end {
            Ok(Some(ended)) => fleet.set_ended(&node, ended),
            Ok(None) => fleet.set_unknown(&node, &id),
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
    output: Output<'_>,
) -> Result<(), CommandError> {
    let (mut ended, mut untold) = (Vec::new(), Vec::new());
    for (node, _, end) in stop(run, of(prepared), interrupt).await? {
        match end {
            Ok(end) => ended.extend(end),
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

/// Ends everything because some of it did not begin. An agent whose answer was lost may have armed its part: each is
/// told until it has answered, and who could not be told is named.
pub(super) async fn after_failed_arm(
    run: &Arc<Run>,
    prepared: &[Prepared],
    refused: Vec<Refusal>,
    interrupt: &mut Interrupt,
) -> CommandError {
    run.stop();
    let ends = match stop(run, of(prepared), interrupt).await {
        Ok(ends) => ends,
        Err(left) => return left,
    };
    let untold: Vec<_> = ends
        .into_iter()
        .filter_map(|(node, _, end)| Some((node, end.err()?)))
        .collect();
    let id = prepared.first().map(|part| part.id().to_owned());
    failure::not_armed(&id.unwrap_or_default(), refused, untold, prepared.len())
}

fn of(prepared: &[Prepared]) -> Vec<(String, String, Agent)> {
    let part = |part: &Prepared| {
        let id = part.id().to_owned();
        (part.slot.node.clone(), id, part.agent.clone())
    };
    prepared.iter().map(part).collect()
}

/// In the order of the parts.
async fn stop(
    run: &Arc<Run>,
    parts: Vec<(String, String, Agent)>,
    interrupt: &mut Interrupt,
) -> Result<Ends, CommandError> {
    let id = parts.first().map(|(_, id, _)| id.clone());
    let until = Instant::now() + PATIENCE;
    let each = parts.into_iter().map(|(node, id, agent)| async move {
        let end = one(run, &node, &id, agent, until).await;
        (node, id, end)
    });
    let stopping = stream::iter(each.collect::<Vec<_>>())
        .buffered(AT_ONCE)
        .collect::<Ends>();
    tokio::select! {
        ends = stopping => Ok(ends),
        () = interrupt.next() => Err(RunError::LeftAtOnce { id: id.unwrap_or_default() }.into()),
    }
}

/// Ends a part that began while others ran, and could not: for as long as may help.
pub(super) async fn joined(run: &Run, node: &str, id: &str, agent: &Agent) {
    let until = Instant::now() + PATIENCE;
    // Where it could not be told, it stays among those that may act: who stops the run tells it again.
    let _ = one(run, node, id, agent.clone(), until).await;
}

/// Tells one agent, where the connection is broken over another one. Nothing: the agent does not know it.
async fn one(
    run: &Run,
    node: &str,
    id: &str,
    mut agent: Agent,
    until: Instant,
) -> Result<Option<Experiment>, ClientError> {
    loop {
        let error = match tokio::time::timeout_at(until, agent.disarm(id)).await {
            Ok(Ok(ended)) => {
                run.ended(node, id);
                return Ok(Some(ended));
            }
            Ok(Err(error)) if error.is_not_found() => {
                run.ended(node, id);
                return Ok(None);
            }
            Ok(Err(error)) => error,
            Err(_) => agent.silent(PATIENCE),
        };
        if Instant::now() >= until || !helps_to_try_again(&error, run.reach.is_cluster()) {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
        match tokio::time::timeout_at(until, run.reach.again(node)).await {
            Ok(Ok(anew)) => agent = anew,
            Ok(Err(error)) if Instant::now() < until && run.reach.is_cluster() => {
                // The old connection may do as well as none.
                if !error.may_pass() {
                    return Err(error);
                }
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(error),
        }
    }
}

/// The only agent of a host is asked once more when its connection broke: it may have died, and then nothing acts.
fn helps_to_try_again(error: &ClientError, is_cluster: bool) -> bool {
    if is_cluster {
        error.may_pass()
    } else {
        matches!(error, ClientError::Broken { .. })
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
