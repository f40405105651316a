//! What one experiment has on one target, of the half of requests.

use std::{sync::Arc, time::Instant};

use crate::{
    attach::doors::DoorId,
    engine::{Door, Entrance, Rule, Spec, Target},
    relay::Tally,
};

/// Rules of one experiment on one target.
#[derive(Default)]
pub(super) struct Served {
    pub(super) doors: Vec<Standing>,
    pub(super) rules: Vec<Placed>,
    /// Its experiment's.
    pub(super) seed: u64,
    /// What is to take over from them, one for each.
    pub(super) staged: Vec<Rule>,
    /// When they act; nothing while they do not.
    pub(super) window: Option<(Instant, Instant)>,
    /// They have acted, and will not again.
    pub(super) over: bool,
    pub(super) entrance: Entrance,
    /// Its target has gone: nobody waits for what runs.
    pub(super) gone: bool,
    /// Its doors let new connections by, because there is hardly room for more.
    pub(super) crowded: bool,
}

/// A rule, and where it counts.
pub(super) struct Placed {
    pub(super) rule: Rule,
    pub(super) seed: u64,
    pub(super) tally: Arc<Tally>,
}

/// A door as one experiment has it.
pub(super) struct Standing {
    pub(super) id: DoorId,
    pub(super) shared: u64,
    pub(super) port: u16,
    pub(super) door: Door,
    pub(super) was_armed: bool,
    pub(super) closed_existing: u64,
}

impl Served {
    /// The rules of requests among those of an experiment, before any door is open.
    pub(super) fn new(target: &Target, spec: &Spec) -> Self {
        let mut served = Self {
            seed: spec.seed,
            ..Self::default()
        };
        served.entrance.keeps_source = true;
        for (position, rule) in spec.rules.iter().enumerate() {
            if rule.fault.service().is_some() {
                served.rules.push(Placed {
                    rule: rule.clone(),
                    seed: spec.seed_of(target, position),
                    tally: Arc::default(),
                });
            }
        }
        served
    }

    /// Tells whoever asks that its doors let new connections by, or did.
    pub(super) fn tell(&mut self, crowded: bool) {
        self.crowded = crowded;
        let note = if crowded { CROWDED } else { WAS_CROWDED };
        note.clone_into(&mut self.entrance.note);
    }
}

/// What somebody should know then.
const CROWDED: &str =
    "the agent has as many connections open as it may: new ones go straight to the application";
/// And afterwards.
const WAS_CROWDED: &str = "for a while the agent had as many connections open as it may, and new ones went straight to the application";
