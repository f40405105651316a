//! Carries out what the engine asks: one attachment for each target, shared by its experiments.

mod node;
mod publish;
mod update;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    time::{Duration, Instant},
};

use aya::programs::cgroup_skb::CgroupSkbLink;
use chaos_abi::{
    line::{ENGINE_FQ, ENGINE_TAP},
    maps::MAX_TARGETS,
    rule::Window,
};
use tracing::warn;

use super::{
    Steps,
    attached::{Attached, Attacher, kernel},
    clock::{monotonic_ns, nanoseconds},
    leaving::Key,
    loader::Object,
    protection::Protection,
    rules::{self, Placed, Slots},
    socket,
    sweep::Leftover,
    xdp,
};
use crate::{
    engine::{
        AttachMode, Counters, Datapath, DatapathError, Health, Installation, LineEngine, Protected,
        Spec, Target, XdpMode,
    },
    netlink,
    netns::Netns,
};

/// The data plane of this node.
pub struct Kernel {
    object: Object,
    attacher: Attacher,
    attached: HashMap<Key, Attached>,
    installed: BTreeMap<Installation, Installed>,
    slots: Slots,
    steps: Steps,
    protection: Protection,
    node: u64,
    xdp_modes: &'static [XdpMode],
    /// What drops at sockets, as long as a rule does.
    sockets: Option<CgroupSkbLink>,
}

/// Rules of one experiment on one target.
struct Installed {
    key: Key,
    rules: Vec<Placed>,
    /// Whether packets are told apart by their sockets.
    by_socket: bool,
    /// What is to take over from them, one for each.
    staged: Vec<Placed>,
}

impl Kernel {
    /// Takes over a loaded object.
    pub fn new(
        mut object: Object,
        mode: AttachMode,
        engine: Option<LineEngine>,
    ) -> io::Result<Self> {
        let number = match engine {
            Some(LineEngine::Fq) => ENGINE_FQ,
            // Without an engine there are no lines, and nobody looks.
            Some(LineEngine::Tap) | None => ENGINE_TAP,
        };
        object
            .maps
            .line_engine
            .set(0, number, 0)
            .map_err(io::Error::other)?;
        Ok(Self {
            object,
            attacher: Attacher::new(mode, engine)?,
            attached: HashMap::new(),
            installed: BTreeMap::new(),
            slots: Slots::default(),
            steps: Steps::default(),
            protection: Protection::default(),
            node: Netns::own()?.cookie(),
            xdp_modes: &[],
            sockets: None,
        })
    }

    /// The count of what is done.
    pub fn steps(&self) -> Steps {
        self.steps.clone()
    }

    /// Removes lines of an earlier agent when they are empty.
    pub fn retire(&self, leftovers: Vec<Leftover>) {
        for leftover in leftovers {
            self.attacher.retire(leftover);
        }
    }

    /// Waits until what was retired has left the kernel, or the time is up.
    pub fn finish(self, patience: Duration) {
        self.attacher.finish(patience);
    }

    fn attach(&mut self, target: &Target, spec: &Spec) -> Result<Key, DatapathError> {
        self.reach_sockets(target, spec)?;
        self.attacher.start_holder(spec)?;
        let key = (target.netns.cookie(), target.ifindex);
        if !self.attached.contains_key(&key) {
            let there = self.attached.values();
            let is_taken = |number| there.clone().any(|attached| attached.number == number);
            let attached = self.attacher.begin(target, is_taken);
            let attached = attached.ok_or(DatapathError::Full {
                what: "targets",
                most: MAX_TARGETS as usize,
            })?;
            self.attached.insert(key, attached);
        }
        let longest = self.longest(key, spec);
        let mut attached = self
            .attached
            .remove(&key)
            .ok_or(DatapathError::TargetGone)?;
        if let Err(error) = self.reach_arrivals(&mut attached, key, target, spec) {
            self.attached.insert(key, attached);
            return Err(error);
        }
        let programs = &self.object.programs;
        let result = target.netns.enter(|namespace| {
            self.attacher
                .complete(programs, &mut attached, spec, longest, namespace)
        });
        self.attached.insert(key, attached);
        match result {
            Ok(done) => done.map(|()| key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DatapathError::TargetGone),
            Err(error) => Err(kernel(error)),
        }
    }

    /// The longest that a packet of the target may be held when the rules of `spec` join those that are there: delays add.
    fn longest(&self, key: Key, spec: &Spec) -> Duration {
        let there = self
            .installed
            .values()
            .filter(|installed| installed.key == key)
            .flat_map(|installed| installed.rules.iter().map(|placed| &placed.rule));
        there.chain(&spec.rules).map(rules::longest_delay).sum()
    }

    /// Takes away a target that has no rules.
    fn detach_if_unused(&mut self, key: Key) {
        if self
            .attached
            .get(&key)
            .is_some_and(|attached| attached.rules.is_empty())
            && let Some(attached) = self.attached.remove(&key)
        {
            if let Some(place) = attached.place {
                xdp::give_back(&mut self.object.maps, place);
            }
            self.attacher.detach(attached);
        }
    }

    fn set_windows(
        &mut self,
        installations: &[Installation],
        window: Window,
    ) -> Result<(), DatapathError> {
        for installed in installations.iter().filter_map(|id| self.installed.get(id)) {
            for placed in &installed.rules {
                rules::set_window(&mut self.object.maps, placed.slot, window).map_err(kernel)?;
            }
        }
        Ok(())
    }

    fn take_back(&mut self, key: Key, installed: &[Placed]) {
        if let Some(attached) = self.attached.get_mut(&key) {
            attached
                .rules
                .retain(|slot| !installed.iter().any(|placed| placed.slot == *slot));
        }
        if let Err(error) = self.publish(key) {
            warn!(%error, "could not take rules off a target; they are disarmed");
        }
        self.erase(installed);
        self.detach_if_unused(key);
    }
}

impl Datapath for Kernel {
    fn install(&mut self, target: &Target, spec: &Spec) -> Result<Installation, DatapathError> {
        self.steps.done();
        let key = match self.attach(target, spec) {
            Ok(key) => key,
            Err(error) => {
                self.detach_if_unused((target.netns.cookie(), target.ifindex));
                self.leave_sockets();
                return Err(error);
            }
        };
        let mut written = Vec::with_capacity(spec.rules.len());
        let result = self
            .write_rules(key, target, spec, &mut written)
            .and_then(|()| self.list(key, &written))
            .and_then(|()| self.publish(key));
        if let Err(error) = result {
            self.take_back(key, &written);
            self.leave_sockets();
            return Err(error);
        }
        let id = Installation(
            self.installed
                .last_key_value()
                .map_or(0, |(last, _)| last.0 + 1),
        );
        self.installed.insert(
            id,
            Installed {
                key,
                rules: written,
                by_socket: target.cgroup.is_some(),
                staged: Vec::new(),
            },
        );
        Ok(id)
    }

    fn stage(
        &mut self,
        installation: Installation,
        target: &Target,
        spec: &Spec,
    ) -> Result<(), DatapathError> {
        self.steps.done();
        self.write_beside(installation, target, spec)
    }

    fn switch(
        &mut self,
        installations: &[Installation],
        until: Option<Instant>,
    ) -> Result<(), DatapathError> {
        self.put_in_place(installations, until)
    }

    fn unstage(&mut self, installations: &[Installation]) {
        self.take_back_staged(installations);
    }

    fn extend(
        &mut self,
        installations: &[Installation],
        until: Instant,
    ) -> Result<(), DatapathError> {
        self.move_deadline(installations, until)
    }

    fn protect(&mut self, list: &[Protected]) -> Result<(), DatapathError> {
        Self::protect(self, list).map_err(kernel)
    }

    fn arm(&mut self, installations: &[Installation], until: Instant) -> Result<(), DatapathError> {
        self.set_windows(installations, window(until))
    }

    fn disarm(&mut self, installations: &[Installation]) {
        if let Err(error) = self.set_windows(installations, Window::default()) {
            warn!(%error, "could not disarm; the deadline will");
        }
    }

    fn remove(&mut self, installations: Vec<Installation>) {
        for id in installations {
            self.steps.done();
            if let Some(Installed {
                key, rules, staged, ..
            }) = self.installed.remove(&id)
            {
                self.erase(&staged);
                self.take_back(key, &rules);
            }
        }
        self.leave_sockets();
    }

    fn counters(&mut self, installation: Installation) -> Vec<Counters> {
        let slots = self
            .installed
            .get(&installation)
            .map(|installed| installed.rules.iter());
        slots
            .into_iter()
            .flatten()
            .map(|placed| rules::counters(&self.object.maps, placed).into())
            .collect()
    }

    fn xdp(&self, installation: Installation) -> Option<XdpMode> {
        let installed = self.installed.get(&installation)?;
        let mut rules = installed.rules.iter().map(|placed| &placed.rule);
        let xdp = self.attached.get(&installed.key)?.xdp.as_ref()?;
        (!installed.by_socket && xdp.in_use && rules.any(xdp::drops_arrivals)).then_some(xdp.mode)
    }

    fn health(&mut self, installation: Installation, target: &Target) -> Health {
        self.steps.done();
        let there = target.netns.is_there_with(|_| {
            netlink::with(async |netlink| netlink.link(target.ifindex).await)
                .is_ok_and(|link| link.is_some())
        });
        if !there || target.cgroup.as_ref().is_some_and(socket::is_gone) {
            return Health::TargetGone;
        }
        let attached = self
            .installed
            .get(&installation)
            .and_then(|ours| self.attached.get(&ours.key));
        let broken = attached.is_some_and(|attached| self.attacher.has_broken_line(attached));
        if broken {
            Health::LineBroken
        } else {
            Health::Fine
        }
    }
}

impl Kernel {
    fn write_rules(
        &mut self,
        key: Key,
        target: &Target,
        spec: &Spec,
        written: &mut Vec<Placed>,
    ) -> Result<(), DatapathError> {
        let attached = self.attached.get(&key).ok_or(DatapathError::TargetGone)?;
        for (position, rule) in spec.rules.iter().enumerate() {
            let seed = spec.seed_of(target, position);
            let (maps, slots) = (&mut self.object.maps, &mut self.slots);
            written.push(rules::place(
                maps,
                slots,
                attached.number,
                rule,
                seed,
                target,
            )?);
        }
        Ok(())
    }

    /// Takes away rules that no target has, or no longer has.
    fn erase(&mut self, placed: &[Placed]) {
        for placed in placed {
            rules::take_back(&mut self.object.maps, &mut self.slots, placed);
        }
    }
}

/// From now on.
fn window(until: Instant) -> Window {
    let (now_ns, now) = (monotonic_ns(), Instant::now());
    let left = until.saturating_duration_since(now);
    Window {
        start_ns: now_ns,
        deadline_ns: now_ns.saturating_add(nanoseconds(left)),
    }
}

/// A number that is bounded far below.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
