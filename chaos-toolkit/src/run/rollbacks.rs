//! Whether rollbacks are played, and what becomes of a run that is interrupted meanwhile.

use std::sync::Arc;

use super::controls::{Level, Moment};
use super::halt::Halt;
use super::strategies::RollbackStrategy;
use super::world::World;
use crate::journal::{List, Status, lock};
use crate::observe::{Event, Phase};

impl World {
    fn are_rollbacks_due(&self) -> bool {
        match self.options.rollbacks {
            RollbackStrategy::Always => true,
            RollbackStrategy::Never => false,
            RollbackStrategy::Deviated => self.record.has_deviated(),
            RollbackStrategy::Default => !matches!(
                self.record.status(),
                Some(Status::Failed | Status::Interrupted)
            ),
        }
    }

    /// Undoes what ran, and plays the rollbacks if their strategy has it.
    pub(crate) async fn rollbacks(self: &Arc<Self>, are_declared_ones_due: bool) {
        let are_due = are_declared_ones_due && self.are_rollbacks_due();
        if !are_due && lock(&self.undo).is_empty() {
            return;
        }
        self.heard.hear(Event::PhaseStarted(Phase::Rollbacks));
        // What stops the faults must not stop what undoes the rest.
        self.line.forget_guards();
        let pointer = if are_due { "/rollbacks" } else { "" };
        let played = self.list(Level::Rollback, Phase::Rollbacks, List::Rollbacks, pointer);
        match played.await {
            Ok(()) => {}
            Err(Halt::Broken(why)) => {
                self.say_broken(&why);
                self.record.set_status(Status::Aborted);
            }
            Err(Halt::Refused) => self.record.set_status(Status::Aborted),
            Err(Halt::Interrupted(_) | Halt::CtrlC | Halt::Left | Halt::LeftAsIs | Halt::Guard) => {
                self.record.set_status(Status::Interrupted);
            }
        }
        self.note(Moment::Undone);
        self.heard.hear(Event::PhaseEnded {
            phase: Phase::Rollbacks,
            met: None,
        });
    }
}
