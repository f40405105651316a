//! What the engine asks of the kernel.

use std::time::Instant;

use super::{
    counters::Counters,
    protection::Protected,
    spec::{Spec, Target},
};

/// Way of a packet, seen from the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// Leaving.
    Egress,
    /// Arriving.
    Ingress,
}

/// How classifiers are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// By a tcx link, which dies with the agent.
    Tcx,
    /// By a filter in the clsact qdisc.
    Clsact,
}

/// What holds delayed packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEngine {
    /// A veth pair with an `fq` qdisc.
    Fq,
    /// A TAP device and the holder process.
    Tap,
}

/// How packets that arrive at the node get to XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// From the driver.
    Native,
    /// From the kernel's own code, a little later.
    Generic,
}

/// Names what one [`Datapath::install`] put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Installation(pub u64);

/// What became of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// All is in place.
    Fine,
    /// The namespace or the interface is gone.
    TargetGone,
    /// The delay line is gone; packets pass undelayed.
    LineBroken,
    /// A door is gone, or what stands behind it; connections go straight to the application.
    DoorBroken,
}

/// What became of the doors of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entrance {
    /// Whether the application sees the addresses of its clients.
    pub keeps_source: bool,
    /// What somebody should know, as a sentence; empty: nothing.
    pub note: String,
}

/// Why a rule is not in place.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// All places are taken.
    #[error("the agent has no room for more {what} (at most {most}): stop an experiment first")]
    Full {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// Nothing holds packets here.
    #[error(
        "nothing on this kernel can hold packets ({why}): a delay cannot be applied, a loss can"
    )]
    NoLine {
        /// What was tried, and what came of it.
        why: String,
    },
    /// More than a drop of what arrives at a socket.
    #[error(
        "what arrives at a workload on the node's own network can only be dropped there: for other faults use --direction egress, or --node"
    )]
    OnlyDrops,
    /// Arriving at one container of several.
    #[error(
        "what arrives at one container of a pod cannot be told from what arrives at the others: use --direction egress, or hit the whole pod"
    )]
    OnlyLeaving,
    /// The target has gone since it was found.
    #[error("its network namespace or interface is gone")]
    TargetGone,
    /// The kernel refused.
    #[error("{0}")]
    Kernel(
        /// Its reason, as a sentence.
        Box<dyn std::error::Error + Send + Sync>,
    ),
}

/// The kernel, as the engine sees it.
pub trait Datapath {
    /// Puts the rules of `spec` in place on one target, disarmed. On error nothing of it stays.
    fn install(&mut self, target: &Target, spec: &Spec) -> Result<Installation, DatapathError>;

    /// Puts other rules in place beside those of an installation, disarmed. On error none of them stays.
    fn stage(
        &mut self,
        installation: Installation,
        target: &Target,
        spec: &Spec,
    ) -> Result<(), DatapathError>;

    /// Lets what was staged take over from what was there, which is taken away; counters go on. It acts until then,
    /// or does not yet act.
    fn switch(
        &mut self,
        installations: &[Installation],
        until: Option<Instant>,
    ) -> Result<(), DatapathError>;

    /// Takes away what was staged.
    fn unstage(&mut self, installations: &[Installation]);

    /// Moves the deadline of rules that act.
    fn extend(
        &mut self,
        installations: &[Installation],
        until: Instant,
    ) -> Result<(), DatapathError>;

    /// Lets rules act from now until then: what putting others in place has taken does not make it later.
    fn arm(&mut self, installations: &[Installation], until: Instant) -> Result<(), DatapathError>;

    /// Stops rules from acting, at once. Cannot fail: where the kernel does not answer, deadlines do it.
    fn disarm(&mut self, installations: &[Installation]);

    /// Takes rules away, and with the last of a target all that was attached there.
    fn remove(&mut self, installations: Vec<Installation>);

    /// Has all rules spare these too.
    fn protect(&mut self, list: &[Protected]) -> Result<(), DatapathError>;

    /// What each rule has done.
    fn counters(&mut self, installation: Installation) -> Vec<Counters>;

    /// Where rules drop what arrives, if that is XDP.
    fn xdp(&self, _: Installation) -> Option<XdpMode> {
        None
    }

    /// What became of its doors, if it has any.
    fn entrance(&self, _: Installation) -> Option<Entrance> {
        None
    }

    /// Whether everything is still there.
    fn health(&mut self, installation: Installation, target: &Target) -> Health;
}
