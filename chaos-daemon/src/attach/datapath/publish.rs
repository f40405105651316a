//! What the programs know of a target.

use chaos_abi::{
    rewrite::STEERS,
    rule::FAULT_REWRITE,
    target::{self as abi, MAX_RULES_PER_TARGET},
};

use super::{Kernel, Key, count};
use crate::{
    attach::{attached::kernel, loader::Plain, rules::Placed, xdp},
    engine::DatapathError,
};

impl Kernel {
    /// Writes the target's list of rules and lines.
    pub(super) fn publish(&mut self, key: Key) -> Result<(), DatapathError> {
        let Some(attached) = self.attached.get_mut(&key) else {
            return Ok(());
        };
        let mut target = abi::Target {
            ifindex: attached.ifindex,
            rule_count: count(attached.rules.len()),
            protects: self.protection.of_target(key.0 == self.node),
            lines: attached.lines.map(|line| line.map_or(0, |line| line.near)),
            ..abi::Target::default()
        };
        let maps = &mut self.object.maps;
        let mut rules = Vec::with_capacity(attached.rules.len());
        for slot in &attached.rules {
            let Plain(rule) = maps.rules.get(slot, 0).map_err(kernel)?;
            rules.push((*slot, rule));
        }
        let has_line = attached.lines[abi::INGRESS_LINE].is_some();
        xdp::place_drops(maps, attached.xdp.as_mut(), &mut rules, has_line).map_err(kernel)?;
        for (to, (slot, rule)) in target.rules.iter_mut().zip(&rules) {
            *to = *slot;
            abi::Wanted::add(&mut target.wanted, rule);
            if rule.fault == FAULT_REWRITE {
                let Plain(rewrite) = maps.rewrites.get(slot, 0).map_err(kernel)?;
                target.steers |= u32::from(rewrite.what & STEERS != 0);
            }
        }
        self.object
            .maps
            .targets
            .set(attached.number, Plain(target), 0)
            .map_err(kernel)?;
        // What it costs, it costs for nothing from now on.
        if !rules.iter().any(|(_, rule)| xdp::may_drop(rule)) {
            attached.xdp = None;
        }
        Ok(())
    }

    /// Adds rules to those of a target, for when it is published.
    pub(super) fn list(&mut self, key: Key, written: &[Placed]) -> Result<(), DatapathError> {
        let attached = self.attached.get_mut(&key);
        let attached = attached.ok_or(DatapathError::TargetGone)?;
        if attached.rules.len() + written.len() > MAX_RULES_PER_TARGET {
            return Err(DatapathError::Full {
                what: "rules on one target",
                most: MAX_RULES_PER_TARGET,
            });
        }
        attached
            .rules
            .extend(written.iter().map(|placed| placed.slot));
        Ok(())
    }
}
