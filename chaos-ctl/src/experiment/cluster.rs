//! An experiment over the agents of a cluster.

use crate::client::Address;
use crate::cluster::{Held, Scene};
use crate::error::{CommandError, ErrorKind};
use crate::output::{Output, json, plan};

/// Runs an experiment as the scene asks.
pub async fn run_in_cluster(
    scene: &Scene,
    _only: Option<&Address>,
    output: Output,
) -> Result<(), CommandError> {
    let plan = scene.plan(&Held::new()).await?;
    if scene.request.dry_run {
        output.result(
            || plan::in_words(&plan, &[]),
            || json::plan::DryRun::new(&plan, &[]),
        )?;
        return Ok(());
    }
    Err(not_yet())
}

/// What is said until agents of a cluster are reached.
pub fn not_yet() -> CommandError {
    CommandError::new(
        ErrorKind::Failed,
        "agents of a cluster cannot be reached yet: give one by --socket or --server",
    )
}
