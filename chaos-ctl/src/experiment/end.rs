//! Ways for an experiment to end: what is printed, and which exit code it is.

use chaos_proto::v1::{EndReason, Experiment};
use tonic::Status;

use super::failure::{Rows, RunError, because};
use super::fleet::{Fleet, Phase};
use super::in_vain;
use super::keep::{End, Loss};
use super::requests;
use super::run;
use crate::client::Address;
use crate::error::CommandError;
use crate::output::json::{Outcome, Run};
use crate::output::whole::Whole;
use crate::output::{Output, table, tally};
use crate::quantity::packets;

/// Whether any packet matched.
pub(super) fn hit(experiment: &Experiment) -> bool {
    tally::of_experiment(experiment).matched_packets > 0
}

/// Whether packets should have been delayed, and none was.
fn passed_all(experiment: &Experiment) -> bool {
    let total = tally::of_experiment(experiment);
    total.undelayed_packets > 0 && total.delayed_packets == 0
}

/// One line about an end, for the talk; nothing where the error will say it.
pub(super) fn farewell(fleet: &Fleet, ended: &Experiment) -> Option<String> {
    if fleet.is_lost() {
        return Some(format!("{}: as last seen:", ended.id));
    }
    if fleet.interrupted && ended.end_reason() == EndReason::Stopped {
        return Some(format!("{}: stopped", ended.id));
    }
    if fleet.is_deserted() {
        return None;
    }
    in_time(ended).then(|| format!("{}: ended: {}", ended.id, because(ended)))
}

/// Prints what was hit on all nodes, and says by its result whether that is what was asked for.
pub(super) fn verdict(
    fleet: &Fleet,
    run: &run::Run,
    address: &Address,
    output: Output<'_>,
) -> Result<(), CommandError> {
    let whole = fleet.whole();
    if !run.reach.is_cluster() {
        return match fleet.only_end() {
            Some(End::Lost { cause, .. }) => lost(address, &whole, cause.as_deref(), output),
            Some(End::Ended(_) | End::Idle) | None => conclude(&whole, fleet.interrupted, output),
        };
    }
    let rows = what_went_wrong(fleet);
    if rows.0.is_empty() {
        return conclude_as(&whole, true, fleet.interrupted, output);
    }
    let outcome = if fleet.is_lost() {
        Outcome::AgentLost
    } else {
        Outcome::EndedEarly
    };
    print(outcome, &whole, output)?;
    Err(RunError::NotEverywhere {
        id: whole.experiment.id.clone(),
        rows,
        of: fleet.node_count(),
    }
    .into())
}

/// Each node where it did not go as asked, and why.
fn what_went_wrong(fleet: &Fleet) -> Rows {
    let ends = || {
        fleet.slots.values().filter_map(|slot| match &slot.phase {
            Phase::Over(end) => Some(end),
            Phase::Active | Phase::Waiting | Phase::Idle => None,
        })
    };
    let is_stopped =
        |end: &End| matches!(end, End::Ended(ended) if ended.end_reason() == EndReason::Stopped);
    let all_stopped = ends().all(|end| is_stopped(end) || matches!(end, End::Idle));
    let is_deserted = fleet.is_deserted() && !fleet.interrupted;
    let mut rows = Vec::new();
    for (place, slot) in &fleet.slots {
        let mut row = |why: String| rows.push((place.node.clone(), why));
        if let Some(trouble) = &slot.trouble {
            row(trouble.clone());
        }
        match &slot.phase {
            Phase::Over(End::Ended(ended)) => {
                let as_asked = in_time(ended)
                    && (ended.end_reason() == EndReason::Expired
                        || fleet.interrupted
                        || all_stopped);
                if !as_asked {
                    row(because(ended));
                }
            }
            Phase::Over(End::Lost { cause, how, .. }) => row(lost_in_words(cause.as_deref(), how)),
            Phase::Waiting if fleet.interrupted || all_stopped => {}
            Phase::Waiting => row("nothing acts there: it did not begin in time".to_owned()),
            Phase::Active => row("its agent did not say in time that it has ended".to_owned()),
            Phase::Over(End::Idle) | Phase::Idle if is_deserted => {
                row("all its pods left before the end, and none came in their place".to_owned());
            }
            Phase::Over(End::Idle) | Phase::Idle => {}
        }
    }
    Rows::new(rows)
}

/// What is known of a part that nobody tells about any more.
fn lost_in_words(cause: Option<&Status>, how: &Loss) -> String {
    let said = cause.map(Status::message).unwrap_or_default();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(" (its last words: {said})")
    };
    match how {
        Loss::Silent => {
            "its agent says nothing any more: its faults have ended, because the kernel passes everything once the agent is silent".to_owned()
        }
        Loss::Broken => format!(
            "the connection to its agent broke{said}: its faults end by themselves, after the grace period or by their deadline"
        ),
        Loss::OutOfReach(why) => format!(
            "its agent could not be reached any more ({why}): its faults end by themselves, after the grace period or by their deadline; whether they ran until then is not known"
        ),
        Loss::Replaced => {
            "another agent came in place of its own: its faults ended then, and did not begin again".to_owned()
        }
    }
}

/// Prints what was hit, and says by its result whether that is what was asked for.
pub(super) fn conclude(
    ended: &Whole,
    interrupted: bool,
    output: Output<'_>,
) -> Result<(), CommandError> {
    conclude_as(ended, in_time(&ended.experiment), interrupted, output)
}

fn conclude_as(
    whole: &Whole,
    in_time: bool,
    interrupted: bool,
    output: Output<'_>,
) -> Result<(), CommandError> {
    let ended = &whole.experiment;
    let outcome = if !in_time {
        Outcome::EndedEarly
    } else if !hit(ended) {
        Outcome::NothingMatched
    } else if passed_all(ended) {
        Outcome::NothingDelayed
    } else if interrupted || ended.end_reason() == EndReason::Stopped {
        Outcome::Stopped
    } else {
        Outcome::Completed
    };
    print(outcome, whole, output)?;
    let experiment = Box::new(ended.clone());
    match outcome {
        Outcome::EndedEarly => Err(RunError::EndedEarly { experiment }.into()),
        Outcome::NothingMatched => Err(RunError::NothingHit { experiment }.into()),
        Outcome::NothingDelayed => Err(RunError::NothingDelayed {
            passed: tally::of_experiment(ended).undelayed_packets,
        }
        .into()),
        Outcome::Completed
        | Outcome::Stopped
        | Outcome::AgentLost
        | Outcome::Detached
        | Outcome::DryRun => Ok(()),
    }
}

/// Whether it ended as its user or its duration wanted.
fn in_time(ended: &Experiment) -> bool {
    match ended.end_reason() {
        EndReason::Expired | EndReason::Stopped => true,
        EndReason::Unspecified
        | EndReason::ClientGone
        | EndReason::TargetGone
        | EndReason::AgentStopped
        | EndReason::AgentStalled
        | EndReason::Failed => false,
    }
}

/// Prints what was last seen of an experiment whose agent is gone.
fn lost(
    address: &Address,
    seen: &Whole,
    cause: Option<&Status>,
    output: Output<'_>,
) -> Result<(), CommandError> {
    print(Outcome::AgentLost, seen, output)?;
    Err(RunError::AgentLost {
        address: address.clone(),
        cause: cause.cloned(),
    }
    .into())
}

/// Prints what was hit, and warns where that is not what it seems.
pub(super) fn print(
    outcome: Outcome,
    whole: &Whole,
    output: Output<'_>,
) -> Result<(), CommandError> {
    let passed = tally::of_experiment(&whole.experiment).undelayed_packets;
    if passed > 0 && outcome != Outcome::NothingDelayed {
        output.warn(&format!(
            "{} packets should have been delayed and were not: the delay line would not take them",
            packets(passed)
        ));
    }
    for sentence in requests::sentences(&whole.experiment) {
        output.talk(&sentence);
    }
    let warnings = in_vain::sentences(&whole.experiment).into_iter();
    for sentence in warnings.chain(requests::warnings(&whole.experiment)) {
        output.warn(&sentence);
    }
    output.result(|| table::hits(whole), || Run::new(outcome, whole))?;
    Ok(())
}
