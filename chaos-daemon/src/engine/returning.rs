//! Pods that lose where their rules were, and get another: a container that is restarted, a sandbox that is made anew.
//!
//! The pod is still the one that was chosen, so the fault goes on there. Somebody else looks for it; an experiment whose
//! targets are all gone waits as long as one of its pods may come back.

use tracing::{info, warn};

use super::{
    Engine,
    datapath::Datapath,
    experiment::{Ending, Experiment, State},
    pods::{Pod, Pods},
    spec::{Selector, Target, Where},
    update::is_of,
};

/// What became of pods whose targets had gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Return {
    /// Where some of them are now.
    pub found: Vec<Target>,
    /// UIDs of those that will not come back.
    pub lost: Vec<String>,
}

impl Experiment {
    /// Where to look for those of its pods that have no target now, and may have one again; nothing, where it misses none.
    pub fn missing(&self) -> Option<Selector> {
        let pods = self.spec.selector.at.pods()?;
        let missing: Vec<Pod> = self.missed().cloned().collect();
        (!missing.is_empty()).then(|| Selector {
            at: Where::Pods(Pods {
                pods: missing,
                ..pods.clone()
            }),
            interface: self.spec.selector.interface.clone(),
        })
    }

    /// Those of its pods that have no target now and may have one again.
    pub fn missed(&self) -> impl Iterator<Item = &Pod> {
        let pods = self.spec.selector.at.pods();
        let pods = pods.filter(|_| !matches!(self.state, State::Ended(_)));
        pods.into_iter().flat_map(|pods| &pods.pods).filter(|pod| {
            let has_target = self.live().any(|hit| is_of(&hit.target, &pod.uid));
            !has_target && !self.lost.contains(&pod.uid)
        })
    }
}

impl<D: Datapath> Engine<D> {
    /// From now on somebody looks for pods whose targets are gone, and tells by [`Engine::returned`].
    pub const fn look_for_missing(&mut self) {
        self.is_looking = true;
    }

    /// Puts the rules of an experiment in place where its pods are now, until its deadline; and ends it, where none of its
    /// pods is or will be there. What cannot be put in place is missing still.
    pub fn returned(&mut self, id: &str, told: Return) {
        let Ok(index) = self.position(id) else { return };
        let spec = self.live[index].spec.clone();
        // One may have been let go, or have come back, meanwhile.
        let missing: Vec<String> = self.live[index]
            .missed()
            .map(|pod| pod.uid.clone())
            .collect();
        let is_missing = |target: &Target| {
            let pod = target.pod.as_ref();
            pod.is_some_and(|pod| missing.contains(&pod.uid))
        };
        for target in told.found.into_iter().filter(is_missing) {
            let name = target.name.clone();
            let installed = match self.install(&spec, vec![target]) {
                Ok(hits) => hits,
                Err((_, error)) => {
                    warn!(id, target = name, %error, "cannot go on where the pod is now");
                    continue;
                }
            };
            let until = self.live[index].acts_until();
            let new = super::installations(&installed);
            if let Err(error) = self.begin(&new, until) {
                warn!(id, target = name, %error, "cannot go on where the pod is now");
                self.take_away(new);
                continue;
            }
            info!(id, target = name, "goes on where the pod is now");
            self.live[index].hits.extend(installed);
            self.live[index].forget_oldest_gone();
        }
        self.live[index].lost.extend(told.lost);
        self.end_without_targets(index);
    }

    /// How many targets of an experiment are in place.
    pub fn live_hits(&self, id: &str) -> usize {
        let experiment = self.position(id).map(|index| &self.live[index]);
        experiment.map_or(0, |experiment| experiment.live().count())
    }

    /// Ends an experiment that has no targets, and none to come.
    pub(super) fn end_without_targets(&mut self, index: usize) -> bool {
        let experiment = &self.live[index];
        let is_over = experiment.live().next().is_none()
            && !(self.is_looking && experiment.missed().next().is_some());
        if is_over {
            let ending = Ending::target_gone(experiment);
            self.end(index, ending);
        }
        is_over
    }
}
