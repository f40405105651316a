//! Carries out what the engine asks, in two halves: faults of packets are the kernel's, faults of requests go through doors.
//!
//! Where an experiment has no fault of packets, nothing is attached to an interface. It knows neither programs nor bytes of
//! requests.

mod closing;
mod existing;
mod served;
mod serving;
mod split;
mod upstream;

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use tracing::warn;

use self::serving::Serving;
use crate::{
    attach::{Kernel, Steps, doors::Doors},
    engine::{
        Counters, Datapath, DatapathError, Entrance, Health, Installation, Protected, Spec, Target,
        XdpMode,
    },
};

/// How long a stopping agent waits for requests that run.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// The data plane of this node: packets and requests.
pub struct Plane {
    kernel: Kernel,
    steps: Steps,
    serving: Serving,
    placed: BTreeMap<Installation, Placed>,
}

/// Rules of one experiment on one target.
struct Placed {
    target: Target,
    /// Those of packets.
    packets: Option<Installation>,
    /// What ends connections from before, where the kernel does not end them one by one.
    resets: Option<Installation>,
    /// Which of its rules are of requests, in their order.
    of_requests: Vec<bool>,
}

impl Plane {
    /// With a kernel that takes care of packets, and doors for requests.
    pub fn new(kernel: Kernel, doors: Doors) -> io::Result<Self> {
        Ok(Self {
            steps: kernel.steps(),
            kernel,
            serving: Serving::new(doors)?,
            placed: BTreeMap::new(),
        })
    }

    /// The count of what is done.
    pub fn steps(&self) -> Steps {
        self.steps.clone()
    }

    /// Waits until requests that run have ended, and until what was retired has left the kernel, or the time is up.
    pub fn finish(self, patience: Duration) {
        let began = Instant::now();
        self.serving.finish(patience.min(LAST_REQUESTS));
        self.kernel.finish(patience.saturating_sub(began.elapsed()));
    }

    /// Those of installations that are the kernel's.
    fn of_packets(&self, installations: &[Installation]) -> Vec<Installation> {
        let placed = installations.iter().filter_map(|id| self.placed.get(id));
        placed.filter_map(|placed| placed.packets).collect()
    }

    /// Ends connections from before by packets.
    fn reset(&mut self, id: Installation, ports: &[u16]) {
        let Some(placed) = self.placed.get_mut(&id).filter(|_| !ports.is_empty()) else {
            return;
        };
        let spec = existing::resets(ports, placed.target.cgroup.is_some());
        let until = Instant::now() + spec.duration;
        let installed = self.kernel.install(&placed.target, &spec);
        let armed = installed.and_then(|resets| {
            placed.resets = Some(resets);
            self.kernel.arm(&[resets], until)
        });
        if let Err(error) = armed {
            warn!(%error, "connections that were open before stay open");
        }
    }
}

impl Datapath for Plane {
    fn install(&mut self, target: &Target, spec: &Spec) -> Result<Installation, DatapathError> {
        self.steps.done();
        let id = Installation(
            self.placed
                .last_key_value()
                .map_or(0, |(last, _)| last.0 + 1),
        );
        let packets = match split::of_packets(spec) {
            Some(spec) => Some(self.kernel.install(target, &spec)?),
            None => None,
        };
        if spec.hits_requests()
            && let Err(error) = self.serving.install(id, target, spec)
        {
            self.kernel.remove(packets.into_iter().collect());
            return Err(error);
        }
        let rules = spec.rules.iter();
        let placed = Placed {
            target: target.clone(),
            packets,
            resets: None,
            of_requests: rules.map(|rule| rule.fault.service().is_some()).collect(),
        };
        self.placed.insert(id, placed);
        Ok(id)
    }

    fn stage(
        &mut self,
        installation: Installation,
        target: &Target,
        spec: &Spec,
    ) -> Result<(), DatapathError> {
        let placed = self.placed.get(&installation);
        let packets = placed.and_then(|placed| placed.packets);
        if let (Some(packets), Some(spec)) = (packets, split::of_packets(spec)) {
            self.kernel.stage(packets, target, &spec)?;
        }
        self.serving.stage(installation, spec);
        Ok(())
    }

    fn switch(
        &mut self,
        installations: &[Installation],
        until: Option<Instant>,
    ) -> Result<(), DatapathError> {
        self.kernel.switch(&self.of_packets(installations), until)?;
        installations
            .iter()
            .try_for_each(|id| self.serving.switch(*id, until))
    }

    fn unstage(&mut self, installations: &[Installation]) {
        self.kernel.unstage(&self.of_packets(installations));
        for id in installations {
            self.serving.unstage(*id);
        }
    }

    fn extend(
        &mut self,
        installations: &[Installation],
        until: Instant,
    ) -> Result<(), DatapathError> {
        self.kernel.extend(&self.of_packets(installations), until)?;
        installations
            .iter()
            .try_for_each(|id| self.serving.arm(*id, until).map(|_| ()))
    }

    fn arm(&mut self, installations: &[Installation], until: Instant) -> Result<(), DatapathError> {
        self.kernel.arm(&self.of_packets(installations), until)?;
        for id in installations {
            self.steps.done();
            // Doors act first: whoever comes back finds them.
            let stubborn = self.serving.arm(*id, until)?;
            self.reset(*id, &stubborn);
        }
        Ok(())
    }

    fn disarm(&mut self, installations: &[Installation]) {
        // Whoever comes from now on goes straight to the application.
        for id in installations {
            self.serving.disarm(*id);
        }
        self.kernel.disarm(&self.of_packets(installations));
    }

    fn remove(&mut self, installations: Vec<Installation>) {
        self.serving.remove(&installations);
        let mut packets = self.of_packets(&installations);
        for id in installations {
            self.steps.done();
            let placed = self.placed.remove(&id);
            packets.extend(placed.and_then(|placed| placed.resets));
        }
        self.kernel.remove(packets);
    }

    fn protect(&mut self, list: &[Protected]) -> Result<(), DatapathError> {
        self.serving.protect(list)?;
        Datapath::protect(&mut self.kernel, list)
    }

    fn counters(&mut self, installation: Installation) -> Vec<Counters> {
        let Some(placed) = self.placed.get(&installation) else {
            return Vec::new();
        };
        let packets = placed.packets.map(|packets| self.kernel.counters(packets));
        let requests = self.serving.counters(installation);
        split::in_order(&placed.of_requests, packets.unwrap_or_default(), requests)
    }

    fn xdp(&self, installation: Installation) -> Option<XdpMode> {
        let packets = self.placed.get(&installation)?.packets?;
        self.kernel.xdp(packets)
    }

    fn entrance(&self, installation: Installation) -> Option<Entrance> {
        self.serving.entrance(installation)
    }

    fn health(&mut self, installation: Installation, target: &Target) -> Health {
        self.steps.done();
        // What is behind doors holds the namespace: that they hear of it comes first.
        match self.serving.health(installation) {
            Health::Fine => {}
            broken @ (Health::TargetGone | Health::LineBroken | Health::DoorBroken) => {
                return broken;
            }
        }
        let packets = self.placed.get(&installation).and_then(|of| of.packets);
        packets.map_or(Health::Fine, |packets| self.kernel.health(packets, target))
    }
}
