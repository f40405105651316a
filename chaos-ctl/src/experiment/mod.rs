//! One experiment from the client's side: prepare, arm, attend to it, and say how it went.
//!
//! Everything is done by the agent; this is the order of the calls and what each way to end means to the user.

mod cluster;
mod end;
mod follow;
mod in_vain;
mod interrupt;

use std::time::Duration;

use chaos_proto::v1::{Experiment, PrepareRequest};
use tonic::Streaming;

use crate::client::{Agent, ClientError};
use crate::error::CommandError;
use crate::output::json::{Outcome, Run};
use crate::output::progress::Progress;
use crate::output::{Output, table, words};
use crate::quantity::{from_wire, time_in_words};

pub use cluster::{not_yet, run_in_cluster};
pub use end::RunError;
use follow::{Followed, follow};
use interrupt::Interrupt;

/// How long a command that has failed or was interrupted waits for the agent to take back what it prepared.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs an experiment as the request asks: only planned, detached, or attended until its end.
pub async fn run(
    agent: &Agent,
    request: PrepareRequest,
    output: Output,
) -> Result<(), CommandError> {
    let (dry_run, detached) = (request.dry_run, request.detached);
    // From the first call on, an interruption must undo what was done.
    let mut interrupt = Interrupt::listen().map_err(RunError::NoSignals)?;
    let prepared = prepare(agent, request, &mut interrupt, output).await?;
    if dry_run {
        output.result(
            || table::plan(&prepared),
            || Run::new(Outcome::DryRun, &prepared),
        )?;
        return Ok(());
    }
    tell(&prepared, output);
    if detached {
        detach(agent, &prepared.id, &mut interrupt, output).await
    } else {
        attend(agent, &prepared.id, &mut interrupt, output).await
    }
}

/// The agent goes on preparing when its client is gone, so an interrupted one waits for what there is to take back.
async fn prepare(
    agent: &Agent,
    request: PrepareRequest,
    interrupt: &mut Interrupt,
    output: Output,
) -> Result<Experiment, CommandError> {
    let dry_run = request.dry_run;
    let preparing = agent.prepare(request);
    tokio::pin!(preparing);
    tokio::select! {
        prepared = &mut preparing => return Ok(prepared?),
        () = interrupt.next() => {}
    }
    if dry_run {
        return Err(RunError::InterruptedBeforeStart.into());
    }
    output.talk("stopping …");
    let prepared = tokio::select! {
        prepared = tokio::time::timeout(PATIENCE, preparing) => prepared,
        () = interrupt.next() => return Err(RunError::InterruptedWhilePreparing.into()),
    };
    let nothing_is_left = match prepared {
        Ok(Ok(prepared)) => undo(agent, &prepared.id, output).await,
        Ok(Err(ClientError::Refused { .. })) => true,
        Ok(Err(_)) | Err(_) => false,
    };
    Err(if nothing_is_left {
        RunError::InterruptedBeforeStart.into()
    } else {
        RunError::InterruptedWhilePreparing.into()
    })
}

fn tell(prepared: &Experiment, output: Output) {
    let engine = match words::engine(prepared.line_engine()) {
        Some(engine) => format!("engine {engine}"),
        None => "no delay line".to_owned(),
    };
    output.detail(&format!(
        "{}: prepared, {engine}, seed {}",
        prepared.id, prepared.seed
    ));
    for target in &prepared.targets {
        output.detail(&format!(
            "  target: {}, {} in {}",
            target.name, target.interface, target.netns
        ));
    }
    for rule in &prepared.rules {
        output.detail(&format!("  rule: {}", words::rule(rule)));
    }
}

async fn detach(
    agent: &Agent,
    id: &str,
    interrupt: &mut Interrupt,
    output: Output,
) -> Result<(), CommandError> {
    let armed = tokio::select! {
        armed = agent.arm(id) => armed,
        () = interrupt.next() => return interrupted(agent, id, interrupt, output).await,
    };
    let armed = match armed {
        Ok(armed) => armed,
        Err(error) => {
            undo(agent, id, output).await;
            return Err(error.into());
        }
    };
    output.talk(&format!(
        "{} on {} for {}; end it with `chaosctl stop {}`",
        words::summary(&armed),
        words::targets(armed.targets.len()),
        time_in_words(from_wire(armed.duration.as_ref())),
        armed.id
    ));
    output.result(|| armed.id.clone(), || Run::new(Outcome::Detached, &armed))?;
    Ok(())
}

async fn attend(
    agent: &Agent,
    id: &str,
    interrupt: &mut Interrupt,
    output: Output,
) -> Result<(), CommandError> {
    let started = tokio::select! {
        started = start(agent, id, output) => started,
        () = interrupt.next() => return interrupted(agent, id, interrupt, output).await,
    };
    let (armed, stream) = match started {
        Ok(started) => started,
        Err(error) => {
            undo(agent, id, output).await;
            return Err(error.into());
        }
    };
    let mut progress = Progress::start(output, &armed);
    let followed = tokio::select! {
        followed = follow(stream, armed, &mut progress) => followed,
        () = interrupt.next() => {
            progress.talk("stopping …");
            Followed::Interrupted
        }
    };
    match followed {
        Followed::Ended(ended) => {
            progress.finish(end::last_words(&ended, false).as_deref());
            end::conclude(&ended, false, output)
        }
        Followed::Interrupted => {
            let ended = stop(agent, id, interrupt).await;
            match &ended {
                Ok(ended) => progress.finish(end::last_words(ended, true).as_deref()),
                Err(_) => progress.finish(None),
            }
            end::conclude(&ended?, true, output)
        }
        Followed::Lost { seen, cause } => {
            progress.finish(Some(&format!("{}: as last seen:", seen.id)));
            end::lost(agent.address(), &seen, cause, output)
        }
    }
}

/// Ends what was being armed: whether it was armed yet is known to the agent alone.
async fn interrupted(
    agent: &Agent,
    id: &str,
    interrupt: &mut Interrupt,
    output: Output,
) -> Result<(), CommandError> {
    let ended = stop(agent, id, interrupt).await?;
    if end::hit(&ended) {
        end::conclude(&ended, true, output)
    } else {
        Err(RunError::InterruptedBeforeStart.into())
    }
}

type Stream = Streaming<chaos_proto::v1::WatchResponse>;

/// The watch is opened first, so that the experiment is never armed without its client.
async fn start(
    agent: &Agent,
    id: &str,
    output: Output,
) -> Result<(Experiment, Stream), ClientError> {
    let stream = agent
        .watch(id, true, Some(Progress::interval(output)))
        .await?;
    let armed = agent.arm(id).await?;
    Ok((armed, stream))
}

/// Ends the experiment because the user asked for it; asked again, leaves without waiting for the agent.
async fn stop(
    agent: &Agent,
    id: &str,
    interrupt: &mut Interrupt,
) -> Result<Experiment, CommandError> {
    tokio::select! {
        ended = agent.disarm(id) => ended.map_err(|source| RunError::NotTold { source }.into()),
        () = interrupt.next() => Err(RunError::LeftAtOnce { id: id.to_owned() }.into()),
    }
}

/// Takes back what was prepared, after something else went wrong: that is what the user will be told about. Returns
/// whether nothing of it is left.
async fn undo(agent: &Agent, id: &str, output: Output) -> bool {
    let undone = tokio::time::timeout(PATIENCE, agent.disarm(id)).await;
    let is_undone = matches!(undone, Ok(Ok(_)));
    if !is_undone {
        output.detail(&format!(
            "{id}: could not be taken back; the agent drops what was not armed within 30 s"
        ));
    }
    is_undone
}
