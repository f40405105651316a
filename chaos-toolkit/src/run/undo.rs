//! What undoes an action, and only if that ran: `undo` of the action itself.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::task::JoinSet;

use super::activity::{Written, name};
use super::halt::Halt;
use super::world::World;
use crate::journal::{List, lock};
use crate::observe::Phase;

/// What undoes this activity: an activity whose name and type need not be written.
pub(crate) fn of(activity: &Map<String, Value>) -> Option<Map<String, Value>> {
    let written = activity.get("undo")?.as_object()?;
    let mut undo = Map::new();
    if !written.contains_key("ref") {
        undo.insert("type".to_owned(), "action".into());
        undo.insert(
            "name".to_owned(),
            format!("undo: {}", name(activity)).into(),
        );
    }
    undo.extend(written.clone());
    Some(undo)
}

impl World {
    /// Plays what undoes the actions that ran, the last one first.
    pub(super) async fn play_undo(self: &Arc<Self>) -> Result<(), Halt> {
        loop {
            let Some(undo) = lock(&self.undo).pop() else {
                return Ok(());
            };
            let mut background = JoinSet::new();
            let written = Written::Apart(undo);
            let phase = Phase::Rollbacks;
            self.play_one(written, phase, List::Rollbacks, &mut background)
                .await?;
            // In order: each may need what the one before undid.
            let ended = async { while background.join_next().await.is_some() {} };
            self.line.unless_cut(ended).await?;
        }
    }
}
