//! Which of the matched packets something happens to.

use chaos_abi::rule::{
    CHOICE_EVERY, CHOICE_FIRST, CHOICE_FOUR_STATES, CHOICE_GILBERT_ELLIOTT, CHOICE_RANDOM,
    FAULT_CORRUPT, Memory, Rule,
};

use crate::chance::{MILLION, hit};

/// Gilbert and Elliott's states.
const GOOD: u32 = 0;
const BAD: u32 = 1;

/// The states of the four-state model (Salsano, Ludovici and Ordine, 2009): received in a gap, lost in a burst,
/// received in a burst, lost alone. Memory begins with 0.
const RECEIVED_IN_GAP: u32 = 0;
const LOST_IN_BURST: u32 = 1;
const RECEIVED_IN_BURST: u32 = 2;
const LOST_ALONE: u32 = 3;

/// Decides for one packet, and remembers. `share_ppm` is the rule's at this time; `random` has two independent halves;
/// `of_flow` is how many packets of its flow came before.
#[inline(always)]
pub const fn chooses(
    rule: &Rule,
    share_ppm: u32,
    memory: &mut Memory,
    random: u64,
    of_flow: u64,
) -> bool {
    match rule.choice {
        CHOICE_GILBERT_ELLIOTT => gilbert_elliott(rule, memory, random),
        CHOICE_FOUR_STATES => four_states(rule, memory, random),
        CHOICE_EVERY => every(rule, memory),
        CHOICE_FIRST => of_flow < rule.count as u64,
        _ => by_chance(rule, share_ppm, memory, random),
    }
}

/// Whether the same happens to every packet that matches, so that no random number is asked for.
#[inline(always)]
pub const fn is_certain(rule: &Rule) -> bool {
    rule.share_ppm == MILLION
        && rule.choice == CHOICE_RANDOM
        && rule.fault != FAULT_CORRUPT
        && rule.jitter_ns | rule.ramp_ns == 0
        && rule.table | rule.count == 0
}

/// With correlation c, a decision repeats the one before more often: P(chosen after chosen) = p + c(1 - p), and
/// P(chosen after not chosen) = p(1 - c). That keeps the share at p, and makes neighbours correlate by c.
#[inline(always)]
const fn by_chance(rule: &Rule, share_ppm: u32, memory: &mut Memory, random: u64) -> bool {
    let share = if rule.correlation_ppm == 0 || share_ppm >= MILLION {
        share_ppm
    } else if memory.state == 1 {
        share_ppm + of(MILLION - share_ppm, rule.correlation_ppm)
    } else {
        share_ppm - of(share_ppm, rule.correlation_ppm)
    };
    let has_gap = rule.count != 0;
    if has_gap && memory.since_chosen < rule.count {
        memory.since_chosen += 1;
        return false;
    }
    let chosen = hit(random, share);
    if rule.correlation_ppm != 0 {
        memory.state = chosen as u32;
    }
    if has_gap && chosen {
        memory.since_chosen = 0;
    }
    chosen
}

#[inline(always)]
const fn of(whole_ppm: u32, part_ppm: u32) -> u32 {
    (whole_ppm as u64 * part_ppm as u64 / MILLION as u64) as u32
}

#[inline(always)]
const fn gilbert_elliott(rule: &Rule, memory: &mut Memory, random: u64) -> bool {
    let [to_bad, to_good, lost_in_bad, lost_in_good, _] = rule.model_ppm;
    let (leaves, lost) = if memory.state == BAD {
        (to_good, lost_in_bad)
    } else {
        (to_bad, lost_in_good)
    };
    let lost = hit(random << 32, lost);
    if hit(random, leaves) {
        memory.state = if memory.state == BAD { GOOD } else { BAD };
    }
    lost
}

#[inline(always)]
const fn four_states(rule: &Rule, memory: &mut Memory, random: u64) -> bool {
    let [p13, p31, p32, p23, p14] = rule.model_ppm;
    memory.state = match memory.state {
        LOST_IN_BURST if hit(random, p31) => RECEIVED_IN_GAP,
        LOST_IN_BURST if hit(random, p31 + p32) => RECEIVED_IN_BURST,
        LOST_IN_BURST => LOST_IN_BURST,
        RECEIVED_IN_BURST if hit(random, p23) => LOST_IN_BURST,
        RECEIVED_IN_BURST => RECEIVED_IN_BURST,
        LOST_ALONE => RECEIVED_IN_GAP,
        _ if hit(random, p14) => LOST_ALONE,
        _ if hit(random, p14 + p13) => LOST_IN_BURST,
        _ => RECEIVED_IN_GAP,
    };
    matches!(memory.state, LOST_IN_BURST | LOST_ALONE)
}

#[inline(always)]
const fn every(rule: &Rule, memory: &mut Memory) -> bool {
    memory.since_chosen += 1;
    if memory.since_chosen >= rule.count {
        memory.since_chosen = 0;
        true
    } else {
        false
    }
}

#[cfg(test)]
mod tests;
