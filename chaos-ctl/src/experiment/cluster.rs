//! An experiment over the agents of a cluster.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;

use super::failure::RunError;
use super::{AT_ONCE, Asked, Direct, Only, Reach, Steer};
use crate::cluster::{self, Answer, Held, Plan, Scene, Tokens};
use crate::error::{CommandError, ErrorKind};
use crate::output::{Output, json, plan};

/// An experiment that one agent alone cannot do.
#[derive(Debug, thiserror::Error)]
enum OnlyError {
    /// Pods on other nodes.
    #[error(
        "what is pointed at is on {} nodes ({}), and one address reaches the agent of one: leave out --server and --socket",
        .0.len(), .0.join(", ")
    )]
    Several(Vec<String>),
}

/// Runs an experiment as the scene asks: on all nodes, or by the only agent that was given.
pub async fn run_in_cluster(
    scene: Scene,
    only: Option<Direct>,
    mut steer: Steer,
    output: Output<'_>,
) -> Result<(), CommandError> {
    let dry_run = scene.request.dry_run;
    let (reach, plan) = tokio::select! {
        found = look_up(&scene, only) => found?,
        () = steer.told() => return Err(RunError::InterruptedBeforeStart.into()),
    };
    if dry_run {
        return tell(&*reach, &plan, steer, output).await;
    }
    for note in &plan.resolved.notes {
        output.talk(note);
    }
    let is_followed = scene.selection.follow && !scene.request.detached;
    let parts = plan.parts.clone();
    let replans = is_followed.then(|| cluster::follow(scene, plan));
    let asked = Asked {
        reach,
        parts,
        replans,
    };
    super::run(asked, steer, output).await
}

/// What is to be asked of whom. Nobody is asked yet.
async fn look_up(
    scene: &Scene,
    only: Option<Direct>,
) -> Result<(Arc<dyn Reach>, Plan), CommandError> {
    let none = Held::new();
    if let Some(mut direct) = only {
        let plan = scene.plan(&none).await?;
        let nodes = plan.nodes();
        if nodes.len() > 1 {
            let nodes = nodes.into_iter().map(str::to_owned).collect();
            return Err(CommandError::new(
                ErrorKind::Failed,
                OnlyError::Several(nodes),
            ));
        }
        if direct.token.is_none() {
            direct.token = Some(Arc::new(Tokens::new(&scene.cluster)));
        }
        Ok((Arc::new(Only(direct)), plan))
    } else {
        let reach = cluster::Reach::new(scene.cluster.clone());
        let (plan, agents) = tokio::join!(scene.plan(&none), reach.look_up());
        let plan = plan?;
        // What a plan is can be told without agents; each node's answer then says what is missing.
        if !scene.request.dry_run {
            agents?;
        }
        Ok((Arc::new(reach), plan))
    }
}

/// Prints the plan, with what each agent would say to it.
async fn tell(
    reach: &dyn Reach,
    plan: &Plan,
    steer: Steer,
    output: Output<'_>,
) -> Result<(), CommandError> {
    let (mut interrupt, _) = steer.listen().map_err(RunError::NoSignals)?;
    let each = plan.parts.iter().map(|part| async move {
        let answer = match reach.connect(&part.node).await {
            Ok(agent) => agent.prepare(part.request.clone()).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok((experiment, mut answer)) => {
                answer.experiment = Some(experiment);
                Answer::Prepared(Box::new(answer))
            }
            Err(error) => Answer::Refused(error.to_string()),
        }
    });
    let asking = stream::iter(each.collect::<Vec<_>>())
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let answers = tokio::select! {
        answers = asking => answers,
        () = interrupt.next() => return Err(RunError::InterruptedBeforeStart.into()),
    };
    output.result(
        || plan::in_words(plan, &answers),
        || json::plan::DryRun::new(plan, &answers),
    )?;
    super::would_refuse(&answers)
}
