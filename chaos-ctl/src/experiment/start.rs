//! The beginning on all nodes: everything is in place on each of them before anything acts on one.

use std::sync::Arc;
use std::time::Duration;

use chaos_proto::v1::{Experiment, PrepareRequest, PrepareResponse};
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;
use tokio::time::Instant;

use super::failure::{self, RunError};
use super::listen::News;
use super::run::{Run, Slot};
use super::steer::Interrupt;
use crate::client::{Agent, ClientError};
use crate::cluster::Part;
use crate::error::CommandError;
use crate::output::Output;

/// So many agents are asked at a time.
pub(crate) const AT_ONCE: usize = 64;
/// How long a command that has failed or was interrupted waits for agents to take back what they prepared.
const PATIENCE: Duration = Duration::from_secs(2);

/// A part that is in place on its node, and does not act.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) slot: Slot,
    pub(super) agent: Agent,
    /// As the agent was asked.
    pub(super) request: PrepareRequest,
    pub(super) experiment: Experiment,
    /// What the agent says besides: what is protected, and what its guards say.
    pub(super) answer: PrepareResponse,
}

impl Prepared {
    /// Its id on its node.
    pub(super) fn id(&self) -> &str {
        &self.experiment.id
    }
}

/// A part that acts, and what is heard of it.
pub(super) struct Armed {
    pub(super) prepared: Prepared,
    pub(super) news: News,
}

/// What a node said, if not what was hoped for.
pub(super) type Refusal = (Slot, ClientError);

/// Connects to all nodes and prepares their parts. If one of them cannot, none of them will.
pub(super) async fn prepare(
    run: &Arc<Run>,
    parts: Vec<Part>,
    interrupt: &mut Interrupt,
    output: Output<'_>,
) -> Result<Vec<Prepared>, CommandError> {
    let dry_run = parts.iter().all(|part| part.request.dry_run);
    let total = parts.len();
    let slots = Slot::of_parts(parts);
    let each = slots.into_iter().map(|(slot, request)| async move {
        let prepared = prepare_one(run, &slot, request).await;
        prepared.map_err(|error| (slot, error))
    });
    let mut preparing = stream::iter(each.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
    let (mut prepared, mut refused) = (Vec::new(), Vec::new());
    let mut is_interrupted = false;
    let mut give_up_at = None;
    loop {
        let answer = tokio::select! {
            answer = preparing.next() => answer,
            () = interrupt.next() => {
                if dry_run {
                    return Err(RunError::InterruptedBeforeStart.into());
                }
                if is_interrupted {
                    break;
                }
                is_interrupted = true;
                run.stop();
                output.talk("stopping …");
                give_up_at = Some(Instant::now() + PATIENCE);
                continue;
            }
            () = sleep_until(give_up_at) => break,
        };
        match answer {
            Some(Ok(one)) => prepared.push(one),
            Some(Err(error)) => refused.push(error),
            None => break,
        }
    }
    drop(preparing);
    if is_interrupted {
        // An agent goes on preparing when its client is gone: what it did is known only once it has answered.
        let answered =
            prepared.len() + refused.iter().filter(|(_, error)| is_answer(error)).count();
        let nothing_is_left = undo(run, &prepared, output).await && answered == total;
        return Err(if nothing_is_left {
            RunError::InterruptedBeforeStart.into()
        } else {
            RunError::InterruptedWhilePreparing.into()
        });
    }
    if refused.is_empty() {
        prepared.sort_by(|one, other| one.slot.cmp(&other.slot));
        return Ok(prepared);
    }
    if !dry_run {
        undo(run, &prepared, output).await;
    }
    Err(failure::not_begun(refused, total))
}

fn is_answer(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { .. })
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn prepare_one(
    run: &Run,
    slot: &Slot,
    mut request: PrepareRequest,
) -> Result<Prepared, ClientError> {
    if run.is_stopped() {
        return Err(ClientError::Interrupted);
    }
    let agent = run.reach.connect(&slot.node).await?;
    if request.id.is_empty() {
        request.id = run.next_id(&slot.node);
    }
    let (experiment, answer) = agent.prepare(request.clone()).await?;
    Ok(Prepared {
        slot: slot.clone(),
        agent,
        request,
        experiment,
        answer,
    })
}

/// Opens the watches, so that no part is ever armed without its client.
pub(super) async fn watch(
    prepared: &[Prepared],
    interval: Duration,
) -> Result<Vec<News>, Vec<Refusal>> {
    let each = prepared
        .iter()
        .map(|part| part.agent.watch(part.id(), true, Some(interval)));
    let opened: Vec<_> = stream::iter(each.collect::<Vec<_>>())
        .buffered(AT_ONCE)
        .map(|watch| watch.map(|watch| -> News { Box::pin(watch) }))
        .collect()
        .await;
    all(opened, prepared)
}

/// Arms all parts at the same time: what there is to wait for has been waited for.
pub(super) async fn arm(run: &Run, prepared: &[Prepared]) -> Result<Vec<Experiment>, Vec<Refusal>> {
    run.begins(prepared);
    let answers = join_all(prepared.iter().map(|part| part.agent.arm(part.id()))).await;
    all(answers, prepared)
}

/// What all have answered, or what those did that refused.
fn all<T>(
    answers: Vec<Result<T, ClientError>>,
    prepared: &[Prepared],
) -> Result<Vec<T>, Vec<Refusal>> {
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for (answer, part) in answers.into_iter().zip(prepared) {
        match answer {
            Ok(answer) => granted.push(answer),
            Err(error) => refused.push((part.slot.clone(), error)),
        }
    }
    if refused.is_empty() {
        Ok(granted)
    } else {
        Err(refused)
    }
}

/// Takes back what was prepared, after something else went wrong: that is what the user will be told about. Returns
/// whether nothing of it is left.
///
/// Nothing of it acts, so that agents drop what could not be taken back.
pub(super) async fn undo(run: &Run, prepared: &[Prepared], output: Output<'_>) -> bool {
    let each = prepared.iter().map(|part| async {
        let undone = tokio::time::timeout(PATIENCE, part.agent.disarm(part.id())).await;
        run.ended(&part.slot.node, part.id());
        if matches!(undone, Ok(Ok(_))) {
            return true;
        }
        let place = match part.slot.node.as_str() {
            "" => part.id().to_owned(),
            node => format!("{} on {node}", part.id()),
        };
        output.detail(&format!(
            "{place}: could not be taken back; the agent drops what was not armed within 30 s"
        ));
        false
    });
    let ends = stream::iter(each.collect::<Vec<_>>())
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    ends.await.into_iter().all(|undone| undone)
}
