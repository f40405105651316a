//! Puts programs and delay lines onto one target, and takes them off again.

use std::{fs::File, io, time::Duration};

use aya::programs::TcAttachType;
use chaos_abi::{
    maps::{ENTRY_CALLS, ENTRY_TARGET, MAX_TARGETS, PROGRAM_ENTRY},
    target::{EGRESS_LINE, INGRESS_LINE},
};
use tracing::debug;

use super::{
    hook::{Attachment, Hook},
    leaving::{Entries, Leaving},
    line::{self, Kind, Line, Place},
    loader::{ENTRY, LoadError, Programs, take},
    retire::Retirement,
    rules,
    sweep::Leftover,
    xdp::Xdp,
};
use crate::{
    engine::{AttachMode, DatapathError, LineEngine, Spec, Target, Way},
    holder::Holder,
    netlink,
    netns::{Netns, Scratch},
};

/// A target with programs on it.
pub(super) struct Attached {
    pub(super) number: u32,
    netns: Netns,
    interface: String,
    pub(super) ifindex: u32,
    had_clsact: bool,
    entries: [Option<Attachment>; 2],
    pub(super) lines: [Option<Line>; 2],
    pub(super) rules: Vec<u32>,
    /// Of an interface of the node: where the programs find it that know nothing but its number.
    pub(super) place: Option<u32>,
    /// Of an interface of the node.
    pub(super) xdp: Option<Xdp>,
    /// The longest that its lines hold a packet.
    longest: Duration,
}

/// What is needed to attach: decided at the start, or shared by all targets.
pub(super) struct Attacher {
    mode: AttachMode,
    engine: Option<LineEngine>,
    scratch: Scratch,
    holder: Option<Holder>,
    retirement: Retirement,
    leaving: Leaving,
    instance: u16,
    lines_made: u16,
}

impl Attacher {
    pub(super) fn new(mode: AttachMode, engine: Option<LineEngine>) -> io::Result<Self> {
        Ok(Self {
            mode,
            engine,
            scratch: Scratch::new()?,
            holder: None,
            retirement: Retirement::start()?,
            leaving: Leaving::start()?,
            // Not its process number: in a container, each agent has that of the one before, whose lines may still be there.
            instance: (getrandom::u32().unwrap_or_else(|_| std::process::id()) & 0xffff)
                .try_into()
                .unwrap_or_default(),
            lines_made: 0,
        })
    }

    /// Removes a line of an earlier agent when it is empty.
    pub(super) fn retire(&self, leftover: Leftover) {
        self.retirement.add_leftover(leftover);
    }

    /// Waits until what was retired has left the kernel, or the time is up.
    pub(super) fn finish(self, patience: Duration) {
        self.leaving.finish();
        self.retirement.finish(patience);
        if let Some(holder) = self.holder {
            holder.finish(patience);
        }
    }

    /// A target with nothing on it, or with the programs that were about to leave it; nothing when all numbers are taken.
    pub(super) fn begin(
        &self,
        target: &Target,
        is_taken: impl Fn(u32) -> bool,
    ) -> Option<Attached> {
        let key = (target.netns.cookie(), target.ifindex);
        if let Some(entries) = self.leaving.take_back(key) {
            let mut attached = Attached::new(entries.number, target);
            attached.entries = entries.attachments;
            return Some(attached);
        }
        let free =
            || (0..MAX_TARGETS).find(|&number| !is_taken(number) && !self.leaving.has(number));
        loop {
            if let Some(number) = free() {
                return Some(Attached::new(number, target));
            }
            if !self.leaving.wait_for_one() {
                return None;
            }
        }
    }

    /// Whether a line of the target has lost its device or its holder.
    pub(super) fn has_broken_line(&self, attached: &Attached) -> bool {
        attached.lines.iter().flatten().any(|line| match line.kind {
            Kind::Fq => false,
            Kind::Tap(id) => self.holder.as_ref().is_none_or(|holder| holder.is_gone(id)),
        })
    }

    /// Starts what holds the packets of `spec`, if that is a process and does not run. Outside of every target: a process
    /// keeps the namespace alive in which it was started.
    pub(super) fn start_holder(&mut self, spec: &Spec) -> Result<(), DatapathError> {
        let is_alive = self.holder.as_ref().is_some_and(Holder::is_alive);
        if self.engine == Some(LineEngine::Tap) && spec.delays() && !is_alive {
            self.holder = Some(Holder::start().map_err(kernel)?);
        }
        Ok(())
    }

    /// Adds what `spec` needs and the target does not have yet; `longest` is the longest that its lines are then to hold
    /// a packet. On error, nothing is added. Runs inside the target's namespace.
    pub(super) fn complete(
        &mut self,
        programs: &Programs,
        attached: &mut Attached,
        spec: &Spec,
        longest: Duration,
        namespace: &File,
    ) -> Result<(), DatapathError> {
        let had = [0, 1].map(|way| {
            (
                attached.entries[way].is_some(),
                attached.lines[way].is_some(),
            )
        });
        let added = self.add(programs, attached, spec, longest, namespace);
        if added.is_err() {
            let mut extra = Attached {
                longest,
                ..attached.without_parts()
            };
            for (way, (had_entry, had_line)) in had.into_iter().enumerate() {
                if !had_entry {
                    extra.entries[way] = attached.entries[way].take();
                }
                if !had_line {
                    extra.lines[way] = attached.lines[way].take();
                }
            }
            // The filters that were there before stay, and with them their clsact.
            extra.had_clsact |= had.iter().any(|(had_entry, _)| *had_entry);
            if self.mode == AttachMode::Tcx {
                // Links go at once: the target's others stay, and whoever asks again soon must not get two of a kind.
                extra.entries = [None, None];
            }
            self.detach(extra);
        }
        added
    }

    fn add(
        &mut self,
        programs: &Programs,
        attached: &mut Attached,
        spec: &Spec,
        longest: Duration,
        namespace: &File,
    ) -> Result<(), DatapathError> {
        if self.mode == AttachMode::Clsact && attached.entries.iter().all(Option::is_none) {
            let index = attached.ifindex.cast_signed();
            attached.had_clsact =
                netlink::with(async |netlink| netlink.has_clsact(index).await).map_err(kernel)?;
        }
        if self.engine == Some(LineEngine::Fq) && longest > attached.longest {
            for line in attached.lines.iter().flatten() {
                line::fq::resize(line, longest).map_err(kernel)?;
            }
        }
        attached.longest = attached.longest.max(longest);
        for rule in &spec.rules {
            for &way in rule.ways() {
                if !rules::longest_delay(rule).is_zero() && attached.lines[index(way)].is_none() {
                    attached.lines[index(way)] =
                        Some(self.make_line(attached, way, longest, namespace)?);
                }
                if attached.entries[index(way)].is_none() {
                    attached.entries[index(way)] = Some(self.make_entry(programs, attached, way)?);
                }
            }
        }
        Ok(())
    }

    fn make_entry(
        &self,
        programs: &Programs,
        attached: &Attached,
        way: Way,
    ) -> Result<Attachment, DatapathError> {
        let (direction, calls) = match way {
            Way::Egress => (TcAttachType::Egress, &programs.egress),
            Way::Ingress => (TcAttachType::Ingress, &programs.ingress),
        };
        let hook = Hook {
            object: ENTRY,
            program: PROGRAM_ENTRY,
            constants: &[(ENTRY_TARGET, attached.number)],
            interface: &attached.interface,
            direction,
        };
        hook.attach(self.mode, |object| {
            let mut map: aya::maps::ProgramArray<_> = take(object, ENTRY_CALLS)?;
            map.set(0, calls, 0).map_err(|source| LoadError::Map {
                name: ENTRY_CALLS,
                source,
            })?;
            Ok(Some(map))
        })
        .map_err(kernel)
    }

    fn make_line(
        &mut self,
        attached: &Attached,
        way: Way,
        longest: Duration,
        namespace: &File,
    ) -> Result<Line, DatapathError> {
        self.lines_made = self.lines_made.wrapping_add(1);
        let place = Place {
            name: &line::device_name(self.instance, self.lines_made, way),
            target_ifindex: attached.ifindex,
            namespace,
            scratch: &self.scratch,
        };
        match self.engine {
            None => {
                let why = "none was found when the agent started".to_owned();
                return Err(DatapathError::NoLine { why });
            }
            Some(LineEngine::Fq) => line::fq::make(&place, attached.number, way, longest),
            Some(LineEngine::Tap) => {
                let holder = self.holder.as_mut().ok_or_else(no_holder)?;
                line::tap::make(&place, attached.number, way, holder)
            }
        }
        .map_err(kernel)
    }

    /// Takes a target's programs off, filters at once and links soon, and its lines when what they hold has left.
    pub(super) fn detach(&self, attached: Attached) {
        let Attached {
            number,
            netns,
            interface,
            ifindex,
            had_clsact,
            entries,
            lines,
            longest,
            ..
        } = attached;
        if entries.iter().flatten().any(Attachment::is_clsact) {
            let [egress, ingress] = entries;
            let ours = [
                (egress, TcAttachType::Egress),
                (ingress, TcAttachType::Ingress),
            ];
            let taken_off = netns.enter(|_| {
                for (entry, direction) in ours {
                    if let Some(Err(error)) = entry.map(|entry| entry.detach(&interface, direction))
                    {
                        debug!(%interface, %error, "could not detach");
                    }
                }
                if had_clsact {
                    Ok(())
                } else {
                    netlink::with(async |netlink| netlink.delete_empty_clsact(ifindex).await)
                }
            });
            if let Err(error) = taken_off.and_then(|done| done) {
                debug!(%interface, %error, "could not clean up; the interface is gone");
            }
        } else if entries.iter().any(Option::is_some) {
            self.leaving.add(Entries {
                key: (netns.cookie(), ifindex),
                number,
                attachments: entries,
            });
        }
        for line in lines.into_iter().flatten() {
            match line.kind {
                Kind::Fq => self.retirement.add(netns.clone(), line.near, longest),
                Kind::Tap(id) => {
                    if let Some(Err(error)) = self.holder.as_ref().map(|holder| holder.retire(id)) {
                        debug!(%interface, %error, "could not retire a line; the holder is gone");
                    }
                }
            }
        }
    }
}

impl Attached {
    pub(super) fn new(number: u32, target: &Target) -> Self {
        Self::at(number, &target.netns, &target.interface, target.ifindex)
    }

    /// The same place with nothing on it.
    fn without_parts(&self) -> Self {
        Self {
            had_clsact: self.had_clsact,
            ..Self::at(self.number, &self.netns, &self.interface, self.ifindex)
        }
    }

    fn at(number: u32, netns: &Netns, interface: &str, ifindex: u32) -> Self {
        Self {
            number,
            netns: netns.clone(),
            interface: interface.to_owned(),
            ifindex,
            had_clsact: false,
            entries: [None, None],
            lines: [None, None],
            rules: Vec::new(),
            place: None,
            xdp: None,
            longest: Duration::ZERO,
        }
    }
}

const fn index(way: Way) -> usize {
    match way {
        Way::Egress => EGRESS_LINE,
        Way::Ingress => INGRESS_LINE,
    }
}

fn no_holder() -> DatapathError {
    kernel("no process holds packets for lines")
}

pub(super) fn kernel(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DatapathError {
    DatapathError::Kernel(error.into())
}
