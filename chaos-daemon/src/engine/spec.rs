//! What an experiment is to do, checked: a value of these types makes sense.

use core::net::IpAddr;
use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    datapath::Way,
    error::SpecError,
    fault::Fault,
    filter::{Direction, Filter},
    pods::{Pod, Pods},
};
use crate::netns::Netns;

/// Longest experiment.
const LONGEST_DURATION: Duration = Duration::from_hours(24);
/// Most rules of an experiment, and on a target.
const MOST_RULES: usize = chaos_abi::target::MAX_RULES_PER_TARGET;
/// What each half of a pulse may be.
const PULSES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);

/// An experiment as asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Where.
    pub selector: Selector,
    /// What.
    pub rules: Vec<Rule>,
    /// How long.
    pub duration: Duration,
    /// Whether it runs without a client.
    pub detached: bool,
    /// How long it outlives its client.
    pub grace: Duration,
    /// Seed of the per-packet decisions.
    pub seed: u64,
    /// Whether rules of pods also touch what the kubelet asks of their probes.
    pub include_probes: bool,
}

/// Where, in the user's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// What was pointed at.
    pub at: Where,
    /// Name of the interface, where it was given.
    pub interface: Option<String>,
}

/// What a selector points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// A service of an inventory.
    Service {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// The inventory's text; nothing means the agent's own.
        inventory: Option<String>,
        /// What errors call that text.
        inventory_file: String,
    },
    /// A network namespace by name or path.
    Netns(String),
    /// A process.
    Pid(u32),
    /// A cgroup directory.
    Cgroup(String),
    /// The node itself.
    Node,
    /// Pods of this node.
    Pods(Pods),
}

impl Where {
    /// The pods, where it is pods.
    pub const fn pods(&self) -> Option<&Pods> {
        match self {
            Self::Pods(pods) => Some(pods),
            Self::Service { .. } | Self::Netns(_) | Self::Pid(_) | Self::Cgroup(_) | Self::Node => {
                None
            }
        }
    }
}

/// One network attachment that a selector resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of the workload.
    pub name: String,
    /// Its namespace.
    pub netns: Netns,
    /// Name of the interface there.
    pub interface: String,
    /// Its number there.
    pub ifindex: u32,
    /// Only packets of sockets of this cgroup: where the workload shares the node's network, or is one container of a pod.
    pub cgroup: Option<Cgroup>,
    /// The pod that it is.
    pub pod: Option<Pod>,
    /// What rules leave alone here, although their filters may take it.
    pub spared: Vec<Spared>,
}

/// What an address and a port of the target say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spared {
    /// The other side.
    pub peer: IpAddr,
    /// The target's own port.
    pub own_port: u16,
}

/// A cgroup of version 2, as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its id.
    pub id: u64,
    /// How deep it is below the root.
    pub level: u32,
    /// Its directory.
    pub path: PathBuf,
    /// Directory of the root.
    pub root: PathBuf,
}

/// Which packets, what happens to them, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Which.
    pub filter: Filter,
    /// What.
    pub fault: Fault,
    /// On and off by turns; nothing means all the time.
    pub pulse: Option<Pulse>,
}

/// On and off by turns, beginning with on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// How long the rule acts in each period.
    pub on: Duration,
    /// How long it then does not.
    pub off: Duration,
}

impl Target {
    /// Whether it is the same place: packets that one matches, the other does.
    pub fn is_same(&self, other: &Self) -> bool {
        self.netns.cookie() == other.netns.cookie()
            && self.ifindex == other.ifindex
            && self.cgroup.as_ref().map(|cgroup| cgroup.id)
                == other.cgroup.as_ref().map(|cgroup| cgroup.id)
    }
}

impl Spec {
    /// Longest grace period.
    pub const LONGEST_GRACE: Duration = Duration::from_mins(5);

    /// Whether any rule holds packets.
    pub fn delays(&self) -> bool {
        self.rules.iter().any(|rule| rule.fault.holds())
    }

    /// The seed of one rule on one target: each gets a sequence of its own (FNV-1a over what tells them apart).
    pub fn seed_of(&self, target: &Target, position: usize) -> u64 {
        let text = format!("{}/{}/{position}", target.name, target.interface);
        text.bytes()
            .fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }

    /// Kinds of its faults, in order.
    pub fn faults(&self) -> String {
        let names: Vec<&str> = self.rules.iter().map(|rule| rule.fault.name()).collect();
        names.join(", ")
    }

    /// Checks what the types do not.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.rules.is_empty() || self.rules.len() > MOST_RULES {
            return Err(SpecError::RuleCount {
                count: self.rules.len(),
                most: MOST_RULES,
            });
        }
        if self.duration.is_zero() || self.duration > LONGEST_DURATION {
            return Err(SpecError::Duration(self.duration));
        }
        if self.grace > Self::LONGEST_GRACE {
            return Err(SpecError::Grace(self.grace));
        }
        if let Where::Pods(pods) = &self.selector.at {
            pods.check()?;
        }
        self.rules.iter().try_for_each(Rule::check)?;
        self.check_doors()
    }
}

impl Rule {
    /// The ways on which it has something to do: answers to what was sent elsewhere come the other way.
    pub const fn ways(&self) -> &'static [Way] {
        if let Fault::Rewrite(rewrite) = &self.fault
            && rewrite.steers()
        {
            return Direction::Both.ways();
        }
        self.filter.direction.ways()
    }

    fn check(&self) -> Result<(), SpecError> {
        if let Some(Pulse { on, off }) = self.pulse
            && !(PULSES.contains(&on) && PULSES.contains(&off))
        {
            return Err(SpecError::Pulse);
        }
        self.filter.check()?;
        self.fault.check(&self.filter)
    }
}
