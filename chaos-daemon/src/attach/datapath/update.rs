//! Updates: other forms of rules are written beside those that act, and put in their place.

use std::time::Instant;

use chaos_abi::rule::Window;

use super::{Kernel, window};
use crate::{
    attach::{
        attached::kernel,
        clock,
        rules::{self, Placed},
    },
    engine::{DatapathError, Installation, Spec, Target},
};

#[cfg(doc)]
use crate::engine::Datapath;

impl Kernel {
    /// See [`Datapath::stage`].
    pub(super) fn write_beside(
        &mut self,
        installation: Installation,
        target: &Target,
        spec: &Spec,
    ) -> Result<(), DatapathError> {
        // The lines must hold packets for as long as the new rules ask for, beside what they hold already.
        let key = self.attach(target, spec)?;
        let mut staged = Vec::with_capacity(spec.rules.len());
        let written = self.write_rules(key, target, spec, &mut staged);
        if written.is_err() {
            self.erase(&staged);
            return written;
        }
        if let Some(installed) = self.installed.get_mut(&installation) {
            installed.staged = staged;
        }
        Ok(())
    }

    /// See [`Datapath::switch`].
    pub(super) fn put_in_place(
        &mut self,
        installations: &[Installation],
        until: Option<Instant>,
    ) -> Result<(), DatapathError> {
        let window = until.map_or_else(Window::default, window);
        for id in installations {
            let Some(installed) = self.installed.get_mut(id) else {
                continue;
            };
            // Nothing is staged for a target that has gone.
            for (next, earlier) in installed.staged.iter_mut().zip(&installed.rules) {
                rules::follow(&mut self.object.maps, next, earlier, window).map_err(kernel)?;
                next.before = rules::counters(&self.object.maps, earlier);
            }
            if installed.staged.is_empty() {
                continue;
            }
            // From here on, what is staged is what it was.
            std::mem::swap(&mut installed.staged, &mut installed.rules);
            let key = installed.key;
            if let Some(attached) = self.attached.get_mut(&key) {
                for slot in &mut attached.rules {
                    let is_old = |placed: &Placed| placed.slot == *slot;
                    if let Some(position) = installed.staged.iter().position(is_old) {
                        *slot = installed.rules[position].slot;
                    }
                }
            }
            self.publish(key)?;
        }
        clock::wait_for_programs();
        for id in installations {
            self.take_over(*id);
        }
        Ok(())
    }

    /// See [`Datapath::unstage`].
    pub(super) fn take_back_staged(&mut self, installations: &[Installation]) {
        for id in installations {
            if let Some(installed) = self.installed.get_mut(id) {
                let staged = std::mem::take(&mut installed.staged);
                self.erase(&staged);
            }
        }
    }

    /// See [`Datapath::extend`].
    pub(super) fn move_deadline(
        &mut self,
        installations: &[Installation],
        until: Instant,
    ) -> Result<(), DatapathError> {
        let Window { deadline_ns, .. } = window(until);
        for installed in installations.iter().filter_map(|id| self.installed.get(id)) {
            for placed in &installed.rules {
                rules::set_deadline(&mut self.object.maps, placed.slot, deadline_ns)
                    .map_err(kernel)?;
            }
        }
        Ok(())
    }

    /// Adds what changed rules did to the counters of those that took over, and takes them away.
    fn take_over(&mut self, id: Installation) {
        let Some(installed) = self.installed.get_mut(&id) else {
            return;
        };
        let changed = std::mem::take(&mut installed.staged);
        for (next, earlier) in installed.rules.iter_mut().zip(&changed) {
            next.before = rules::counters(&self.object.maps, earlier);
        }
        self.erase(&changed);
    }
}
