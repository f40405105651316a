//! Drops of packets that arrive at the node: at XDP, before the kernel has spent anything on them, native where the
//! driver can and generic elsewhere; where neither works, the classifiers do it as on every other target.

use aya::{
    maps::MapError,
    programs::{
        self as aya_programs,
        xdp::{XdpLink, XdpMode as AyaMode},
    },
};
use chaos_abi::{
    maps::{MAX_TARGETS, PROGRAM_ARRIVAL},
    rule::{
        ARRIVAL, FAULT_CORRUPT, FAULT_DELAY, FAULT_LOSS, FAULT_RATE, FAULT_REWRITE, INGRESS,
        Rule as KernelRule,
    },
};
use tracing::{debug, info, warn};

use super::loader::{LoadError, Maps, Object, Plain};
use crate::engine::{Rule, Way, XdpMode};

/// The program on one interface of the node; off it again when this is dropped, also with the process.
pub(super) struct Xdp {
    pub(super) mode: XdpMode,
    /// Whether the rules of the target make use of it.
    pub(super) in_use: bool,
    _link: XdpLink,
}

/// Whether the rule drops packets that arrive.
pub(super) fn drops_arrivals(rule: &Rule) -> bool {
    rule.fault.drops() && rule.filter.direction.ways().contains(&Way::Ingress)
}

impl Xdp {
    /// Puts the program onto an interface of the agent's own namespace, in the first of the modes that works.
    pub(super) fn attach(
        object: &mut Object,
        modes: &[XdpMode],
        interface: &str,
        ifindex: u32,
    ) -> Option<Self> {
        if let (Err(error), [_, ..]) = (object.arrival_mut(), modes) {
            warn!(%error, "this kernel drops nothing at XDP; the classifiers do");
            return None;
        }
        let (mode, link) = modes
            .iter()
            .find_map(|&mode| match link(object, mode, ifindex) {
                Ok(link) => Some((mode, link)),
                Err(error) => {
                    debug!(interface, ?mode, %error, "no XDP");
                    None
                }
            })?;
        info!(interface, ?mode, "what arrives is dropped at XDP");
        Some(Self {
            mode,
            in_use: false,
            _link: link,
        })
    }

    /// Whether rules may drop here: in generic mode, what is put back on its way in would come by a second time.
    fn is_passed_once(&self, rules: &[(u32, KernelRule)], has_line: bool) -> bool {
        let stays = |rule: &KernelRule| match rule.fault {
            FAULT_LOSS | FAULT_CORRUPT => true,
            FAULT_DELAY | FAULT_RATE => rule.directions & INGRESS == 0,
            // Copies and answers are put back, perhaps on the way in.
            _ => false,
        };
        // Answers from where connections were sent have not been translated yet.
        let is_first = rules.iter().all(|(_, rule)| rule.fault != FAULT_REWRITE);
        is_first
            && (self.mode == XdpMode::Native
                || (!has_line && rules.iter().all(|(_, rule)| stays(rule))))
    }
}

/// Lets programs that know nothing but an interface's number find its target; nothing where another interface is in the
/// way, whose number is the same modulo the size of the map.
pub(super) fn claim(maps: &mut Maps, number: u32, ifindex: u32) -> Option<u32> {
    let place = ifindex % MAX_TARGETS;
    let is_free = maps.arrivals.get(&place, 0).ok()? == 0;
    (is_free && maps.arrivals.set(place, number + 1, 0).is_ok()).then_some(place)
}

/// Lets the place be another interface's.
pub(super) fn give_back(maps: &mut Maps, place: u32) {
    if let Err(error) = maps.arrivals.set(place, 0, 0) {
        warn!(%error, "an interface keeps its place at XDP");
    }
}

/// Has the rules of a target, with their slots, drop what arrives at XDP or, without it, further up; but nowhere twice.
pub(super) fn place_drops(
    maps: &mut Maps,
    xdp: Option<&mut Xdp>,
    rules: &mut [(u32, KernelRule)],
    has_line: bool,
) -> Result<(), MapError> {
    let at_xdp = xdp.is_some_and(|xdp| {
        xdp.in_use = xdp.is_passed_once(rules, has_line);
        xdp.in_use
    });
    for (slot, rule) in rules {
        let directions = directions(rule, at_xdp);
        if directions != rule.directions {
            rule.directions = directions;
            maps.rules.set(*slot, Plain(*rule), 0)?;
        }
    }
    Ok(())
}

/// Whether the rule drops what arrives at an interface, at XDP or, as long as that cannot be, further up.
pub(super) fn may_drop(rule: &KernelRule) -> bool {
    rule.fault == FAULT_LOSS && rule.directions & (INGRESS | ARRIVAL) != 0
}

/// Of a rule that drops what arrives, where it does so; of others, what they have.
fn directions(rule: &KernelRule, at_xdp: bool) -> u32 {
    if !may_drop(rule) {
        return rule.directions;
    }
    let others = rule.directions & !(INGRESS | ARRIVAL);
    others | if at_xdp { ARRIVAL } else { INGRESS }
}

fn link(object: &mut Object, mode: XdpMode, ifindex: u32) -> Result<XdpLink, LoadError> {
    let failed = |source| LoadError::Program {
        name: PROGRAM_ARRIVAL,
        source,
    };
    let program: &mut aya_programs::Xdp = object.arrival_mut()?;
    let mode = match mode {
        XdpMode::Native => AyaMode::Driver,
        XdpMode::Generic => AyaMode::Skb,
    };
    let id = program.attach_to_if_index(ifindex, mode).map_err(failed)?;
    program.take_link(id).map_err(failed)
}

#[cfg(test)]
mod tests {
    use chaos_abi::rule::{EGRESS, FAULT_DUPLICATE};

    use super::*;

    #[test]
    fn drops_of_arrivals_move_and_nothing_else_does() {
        let rule = |fault, directions| KernelRule {
            fault,
            directions,
            ..KernelRule::default()
        };
        for (before, at_xdp, after) in [
            (rule(FAULT_LOSS, INGRESS), true, ARRIVAL),
            (rule(FAULT_LOSS, EGRESS | INGRESS), true, EGRESS | ARRIVAL),
            (rule(FAULT_LOSS, EGRESS | ARRIVAL), false, EGRESS | INGRESS),
            (rule(FAULT_LOSS, ARRIVAL), true, ARRIVAL),
            (rule(FAULT_LOSS, EGRESS), true, EGRESS),
            (rule(FAULT_DELAY, INGRESS), true, INGRESS),
            (rule(FAULT_DUPLICATE, INGRESS), true, INGRESS),
        ] {
            assert_eq!(directions(&before, at_xdp), after, "{before:?}");
        }
    }
}
