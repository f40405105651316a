//! Rules in the kernel: slots, and the writing of them.
//!
//! A slot is written completely while nothing refers to it, and every rule names its target, so that a
//! program that still looks at an old list cannot act on a stranger's packet.

use std::{net::IpAddr, time::Duration};

use aya::maps::{MapError, PerCpuValues};
use chaos_abi::{
    counters::Counters,
    maps::MAX_RULES,
    rule::{self as abi, Memory, Quantiles, Window},
};

use super::{
    attached::kernel,
    clock::monotonic_ns,
    dns::{erase_dns, write_dns},
    in_kernel::in_kernel,
    loader::{Maps, Plain},
    protection, quantiles, rewrites,
    shared::Shared,
    socket,
};
use crate::engine::{Cgroup, DatapathError, Fault, Rule, Spared, Target};

/// Which slots are taken.
#[derive(Debug, Default)]
pub(super) struct Slots {
    free: Vec<u32>,
    next: u32,
    rules_made: u64,
    shared: Shared,
}

impl Slots {
    pub(super) fn take(&mut self) -> Result<u32, DatapathError> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        if self.next == MAX_RULES {
            return Err(DatapathError::Full {
                what: "rules",
                most: MAX_RULES as usize,
            });
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    pub(super) fn give_back(&mut self, slot: u32) {
        self.free.push(slot);
    }
}

/// A rule in its slot.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) slot: u32,
    pub(super) rule: Rule,
    table: Option<u32>,
    peers: Option<u32>,
    spared: Vec<Spared>,
    /// What it did before it was changed.
    pub(super) before: Counters,
}

/// Writes a rule into a free slot, disarmed and with its counters at zero. The programs know the target by this number.
pub(super) fn place(
    maps: &mut Maps,
    slots: &mut Slots,
    number: u32,
    rule: &Rule,
    seed: u64,
    target: &Target,
) -> Result<Placed, DatapathError> {
    let mut placed = Placed {
        slot: slots.take()?,
        rule: rule.clone(),
        table: None,
        peers: None,
        spared: target.spared.clone(),
        before: Counters::default(),
    };
    let written = fill(
        maps,
        slots,
        number,
        &mut placed,
        seed,
        target.cgroup.as_ref(),
    );
    if let Err(error) = written {
        take_back(maps, slots, &placed);
        return Err(error);
    }
    Ok(placed)
}

fn fill(
    maps: &mut Maps,
    slots: &mut Slots,
    target: u32,
    placed: &mut Placed,
    seed: u64,
    cgroup: Option<&Cgroup>,
) -> Result<(), DatapathError> {
    slots.rules_made += 1;
    let mut kernel_rule = in_kernel(target, &placed.rule, seed);
    kernel_rule.identity = slots.rules_made;
    if let Some(cgroup) = cgroup {
        socket::narrow(&mut kernel_rule, cgroup);
    }
    if let Some(table) = table(&placed.rule) {
        let number = slots.shared.take_table(maps, &table)?;
        placed.table = Some(number);
        kernel_rule.table = number + 1;
    }
    placed.peers = slots.shared.take_peers(maps, &placed.rule.filter)?;
    kernel_rule.peers = placed.peers.unwrap_or_default();
    if !placed.spared.is_empty() {
        kernel_rule.flags |= abi::SPARES;
        protection::spare(maps, placed.slot, &placed.spared).map_err(kernel)?;
    }
    write(maps, placed.slot, &placed.rule, &kernel_rule).map_err(kernel)
}

fn write(maps: &mut Maps, slot: u32, rule: &Rule, kernel_rule: &abi::Rule) -> Result<(), MapError> {
    maps.windows.set(slot, Plain(Window::default()), 0)?;
    maps.memories.set(slot, Plain(Memory::default()), 0)?;
    let zero = vec![Plain(Counters::default()); aya::util::nr_cpus().unwrap_or(1)];
    let zero = PerCpuValues::try_from(zero).map_err(MapError::IoError)?;
    maps.counters.set(slot, zero, 0)?;
    if let Fault::Rewrite(rewrite) = &rule.fault {
        let written = Plain(rewrites::in_kernel(rewrite));
        maps.rewrites.set(slot, written, 0)?;
    }
    if let Fault::Dns(dns) = &rule.fault {
        write_dns(maps, slot, dns)?;
    }
    maps.rules.set(slot, Plain(*kernel_rule), 0)
}

/// Takes away what `place` left behind that a later rule in this slot would see, and gives the slot back.
pub(super) fn take_back(maps: &mut Maps, slots: &mut Slots, placed: &Placed) {
    let slot = placed.slot;
    // A slot that is not referred to does nothing; what cannot be erased is overwritten by its next user.
    let _ = maps.rules.set(slot, Plain(abi::Rule::default()), 0);
    if let Fault::Dns(dns) = &placed.rule.fault {
        erase_dns(maps, slot, dns);
    }
    protection::no_longer_spare(maps, slot, &placed.spared);
    slots.give_back(slot);
    if let Some(number) = placed.table {
        slots.shared.give_back_table(number);
    }
    if let Some(number) = placed.peers {
        slots.shared.give_back_peers(maps, number);
    }
}

fn table(rule: &Rule) -> Option<Quantiles> {
    if let Fault::Delay(delay) = &rule.fault {
        quantiles::table(delay)
    } else {
        None
    }
}

/// From the moment that a rule is told of its earlier form to the last packet that this one takes.
const SWITCHING_NS: u64 = 10_000_000;

/// Prepares a rule to take over from an earlier form of it, and to act in `window`: it remembers what that one did, and
/// lets nothing overtake what that one holds.
pub(super) fn follow(
    maps: &mut Maps,
    placed: &Placed,
    earlier: &Placed,
    window: Window,
) -> Result<(), MapError> {
    let memory = maps.memories.get(&earlier.slot, 0)?;
    maps.memories.set(placed.slot, memory, 0)?;
    let Plain(before) = maps.rules.get(&earlier.slot, 0)?;
    let Plain(mut kernel_rule) = maps.rules.get(&placed.slot, 0)?;
    kernel_rule.identity = before.identity;
    let may_hold = before.fault == abi::FAULT_DELAY && window.deadline_ns != 0;
    if may_hold && before.flags & abi::REORDERS == 0 {
        // Of a delay that varies, the kernel knows when each flow's last packet leaves.
        if before.varies() {
            kernel_rule.flags |= abi::FOLLOWS;
        }
        let last_ns = if before.varies() {
            0
        } else {
            monotonic_ns() + before.delay_ns + SWITCHING_NS
        };
        kernel_rule.not_before_ns = before.not_before_ns.max(last_ns);
    }
    maps.rules.set(placed.slot, Plain(kernel_rule), 0)?;
    set_window(maps, placed.slot, window)
}

/// Lets a rule act from now to its deadline, or not at all where both are 0.
pub(super) fn set_window(maps: &mut Maps, slot: u32, window: Window) -> Result<(), MapError> {
    let not_yet = Window {
        deadline_ns: 0,
        ..window
    };
    maps.windows.set(slot, Plain(not_yet), 0)?;
    maps.windows.set(slot, Plain(window), 0)
}

/// Moves the deadline of a rule that acts, which it does all the while.
pub(super) fn set_deadline(maps: &mut Maps, slot: u32, deadline_ns: u64) -> Result<(), MapError> {
    let Plain(window) = maps.windows.get(&slot, 0)?;
    let window = Window {
        deadline_ns,
        ..window
    };
    maps.windows.set(slot, Plain(window), 0)
}

/// What a rule did, and its earlier forms: the sum over all CPUs.
pub(super) fn counters(maps: &Maps, placed: &Placed) -> Counters {
    let mut sum = placed.before;
    if let Ok(values) = maps.counters.get(&placed.slot, 0) {
        for Plain(of_cpu) in values.iter() {
            sum += of_cpu;
        }
    }
    sum
}

/// Longest time that a rule holds a packet.
pub(super) fn longest_delay(rule: &Rule) -> Duration {
    match &rule.fault {
        Fault::Delay(delay) => quantiles::table(delay).map_or_else(
            || {
                let from = delay.ramp.map_or(Duration::ZERO, |ramp| ramp.from);
                delay.latency.max(from) + delay.jitter
            },
            |table| Duration::from_nanos(table.ns[abi::QUANTILE_STEPS]),
        ),
        Fault::Reorder { by, .. } => *by,
        Fault::Rate(rate) => rate.longest_wait(),
        Fault::Loss(_)
        | Fault::Duplicate(_)
        | Fault::Corrupt { .. }
        | Fault::Partition { .. }
        | Fault::Reset(_)
        | Fault::Rewrite(_)
        | Fault::Dns(_)
        | Fault::Http(_)
        | Fault::Grpc(_) => Duration::ZERO,
    }
}

/// In network order, IPv4 mapped into IPv6.
pub(super) fn address_in_kernel(address: IpAddr) -> [u32; 4] {
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(octets.chunks_exact(4)) {
        *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back() {
        let mut slots = Slots::default();
        let first = slots.take().unwrap();
        let second = slots.take().unwrap();
        assert_ne!(first, second);
        slots.give_back(first);
        assert_eq!(slots.take().unwrap(), first);
    }

    #[test]
    fn slots_run_out() {
        let mut slots = Slots::default();
        for _ in 0..MAX_RULES {
            slots.take().unwrap();
        }
        assert!(matches!(slots.take(), Err(DatapathError::Full { .. })));
    }
}
