//! One experiment from the client's side: prepare, arm, attend to it, and say how it went.
//!
//! It has a part on each node, and everything is done by the agents there; this is the order of the calls and what each
//! way to end means to the user. One agent is a fleet of one.

mod cluster;
mod end;
mod failure;
mod fleet;
mod in_vain;
mod keep;
mod listen;
mod plan;
mod reach;
mod requests;
mod run;
mod start;
mod steer;
mod stop;

use std::sync::Arc;
use std::time::Duration;

use chaos_proto::v1::PrepareResponse;

use crate::client::Address;
use crate::cluster::{Answer, Part, Replans};
use crate::error::CommandError;
use crate::output::json::{self, Outcome};
use crate::output::progress::Progress;
use crate::output::whole::Whole;
use crate::output::{Output, plan as in_words, table, words};
use crate::quantity::{from_wire, time_in_words};

pub use cluster::run_in_cluster;
pub use failure::{Rows, RunError};
pub use reach::{Connecting, Direct, Only, Reach};
pub(crate) use start::AT_ONCE;
pub use steer::{Hand, Steer};

use fleet::Attending;
use run::Run;
use start::{Armed, Prepared};
use steer::{Hold, Interrupt};

/// With that many nodes a bar that moves every 200 ms costs more than it tells.
const MANY: usize = 10;
const INTERVAL_OF_MANY: Duration = Duration::from_secs(1);

/// What is to run, and how its agents are reached.
pub struct Asked {
    /// The way to the agents.
    pub reach: Arc<dyn Reach>,
    /// What to ask of each; at least one.
    pub parts: Vec<Part>,
    /// Plans, as the cluster changes; nothing where the first one is to stay.
    pub replans: Option<Replans>,
}

impl Asked {
    /// One agent.
    pub fn of_one(direct: Direct, request: chaos_proto::v1::PrepareRequest) -> Self {
        Self {
            reach: Arc::new(direct),
            parts: vec![Part {
                node: String::new(),
                request,
            }],
            replans: None,
        }
    }
}

/// Runs an experiment as the requests ask: only planned, detached, or attended until its end.
pub async fn run(mut asked: Asked, steer: Steer, output: Output<'_>) -> Result<(), CommandError> {
    let Some(first) = asked.parts.first() else {
        return Ok(());
    };
    let (dry_run, detached) = (first.request.dry_run, first.request.detached);
    let (mut interrupt, hold) = steer.listen().map_err(RunError::NoSignals)?;
    let id = if asked.reach.is_cluster() && !dry_run {
        plan::agree(&mut asked.parts)
    } else {
        String::new()
    };
    let follows = asked.replans.is_some();
    let run = Arc::new(Run::new(asked.reach, id, &asked.parts, follows));
    let prepared = start::prepare(&run, asked.parts, &mut interrupt, output).await?;
    if dry_run {
        let experiments: Vec<_> = prepared
            .iter()
            .map(|part| part.experiment.clone())
            .collect();
        let whole = plan::whole(&prepared, &experiments);
        let answers = prepared.into_iter().map(|part| PrepareResponse {
            experiment: Some(part.experiment),
            ..part.answer
        });
        let answers: Vec<_> = answers
            .map(|answer| Answer::Prepared(Box::new(answer)))
            .collect();
        output.result(
            || table::plan(&whole, &in_words::spared(&answers)),
            || json::Run::dry(&whole, answers.first()),
        )?;
        return would_refuse(&answers);
    }
    tell(&prepared, output);
    if detached {
        detach(&run, &prepared, &mut interrupt, output).await
    } else {
        let placed = Placed { prepared, hold };
        attend(&run, placed, asked.replans, &mut interrupt, output).await
    }
}

/// An error where some agents would not do what was planned.
fn would_refuse(answers: &[Answer]) -> Result<(), CommandError> {
    let refusing = answers.iter().filter(|answer| !answer.is_yes()).count();
    if refusing == 0 {
        return Ok(());
    }
    let of = answers.len();
    Err(RunError::WouldRefuse { refusing, of }.into())
}

fn tell(prepared: &[Prepared], output: Output<'_>) {
    for part in prepared {
        let experiment = &part.experiment;
        let engine = match words::engine(experiment.line_engine()) {
            Some(engine) => format!("engine {engine}"),
            None => "no delay line".to_owned(),
        };
        let place = match part.slot.node.as_str() {
            "" => String::new(),
            node => format!(" on {node}"),
        };
        output.detail(&format!(
            "{}: prepared{place}, {engine}, seed {}",
            experiment.id, experiment.seed
        ));
        for target in &experiment.targets {
            output.detail(&format!(
                "  target: {}, {} in {}",
                target.name, target.interface, target.netns
            ));
        }
        for rule in &experiment.rules {
            output.detail(&format!("  rule: {}", words::rule(rule)));
        }
    }
}

async fn detach(
    run: &Arc<Run>,
    prepared: &[Prepared],
    interrupt: &mut Interrupt,
    output: Output<'_>,
) -> Result<(), CommandError> {
    let armed = tokio::select! {
        armed = start::arm(run, prepared) => armed,
        () = interrupt.next() => return stop::before_it_began(run, prepared, interrupt, output).await,
    };
    let armed = match armed {
        Ok(armed) => armed,
        Err(refused) => {
            return Err(stop::after_failed_arm(run, prepared, refused, interrupt).await);
        }
    };
    let whole = plan::whole(prepared, &armed);
    output.talk(&format!(
        "{} on {} for {}; end it with `chaosctl stop {}`",
        words::summary(&whole.experiment),
        words::places(&whole),
        time_in_words(from_wire(whole.experiment.duration.as_ref())),
        whole.experiment.id
    ));
    output.result(
        || whole.experiment.id.clone(),
        || json::Run::new(Outcome::Detached, &whole),
    )?;
    Ok(())
}

/// What is in place, and may have to wait for a word to act.
struct Placed {
    prepared: Vec<Prepared>,
    hold: Option<Hold>,
}

async fn attend(
    run: &Arc<Run>,
    Placed { prepared, hold }: Placed,
    replans: Option<Replans>,
    interrupt: &mut Interrupt,
    output: Output<'_>,
) -> Result<(), CommandError> {
    let interval = if prepared.len() > MANY {
        INTERVAL_OF_MANY
    } else {
        Progress::interval(output)
    };
    let starting = async {
        let news = start::watch(&prepared, interval).await?;
        if let Some(hold) = hold {
            hold.wait().await;
        }
        Ok((news, start::arm(run, &prepared).await?))
    };
    let started = tokio::select! {
        started = starting => started,
        () = interrupt.next() => return stop::before_it_began(run, &prepared, interrupt, output).await,
    };
    let (news, armed) = match started {
        Ok(started) => started,
        Err(refused) => {
            return Err(stop::after_failed_arm(run, &prepared, refused, interrupt).await);
        }
    };
    let whole: Whole = plan::whole(&prepared, &armed);
    let address: Address = prepared[0].agent.address().clone();
    let mut progress = Progress::start(output, &whole);
    let armed = prepared.into_iter().zip(armed).zip(news);
    let armed = armed.map(|((prepared, experiment), news)| Armed {
        prepared: Prepared {
            experiment,
            ..prepared
        },
        news,
    });
    let attending = Attending {
        run,
        progress: &mut progress,
        interval,
    };
    let mut fleet = attending.attend(armed.collect(), replans, interrupt).await;
    let ends_all = fleet.stopped_elsewhere && run.reach.is_cluster();
    let untold = if fleet.interrupted || ends_all {
        stop::all(run, &mut fleet, interrupt).await
    } else {
        Ok(())
    };
    let whole = fleet.whole();
    if untold.is_err() && !run.reach.is_cluster() {
        progress.finish(None);
        return untold;
    }
    progress.finish(end::farewell(&fleet, &whole.experiment).as_deref());
    match untold {
        Ok(()) => end::verdict(&fleet, run, &address, output),
        Err(error) => {
            end::print(Outcome::EndedEarly, &whole, output)?;
            Err(error)
        }
    }
}
