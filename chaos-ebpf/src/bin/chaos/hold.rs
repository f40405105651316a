//! For how long a rule holds a packet: by its delay, or by its bandwidth.

use aya_ebpf::{macros::map, maps::Array};
use chaos_abi::{
    maps::MAX_TABLES,
    rule::{Memory, PER_FLOW, Quantiles, Rule, Window},
};
use chaos_ebpf::{delay, rate, shape};

use crate::{counters, memory, under_way::Packet};

#[map]
static TABLES: Array<Quantiles> = Array::with_max_entries(MAX_TABLES, 0);

/// A bandwidth: the packet waits for its turn, or is dropped where too many wait. `way` is that of its direction.
#[inline(always)]
pub(crate) fn limit(
    rule: &Rule,
    window: &Window,
    slot: u32,
    index: u32,
    packet: &mut Packet,
    way: usize,
    memory: &mut Memory,
) -> Option<bool> {
    let rooms = if rule.flags & PER_FLOW == 0 {
        &mut memory.room_ns
    } else {
        &mut memory::of_connection(rule, &packet.flow)?.room_ns
    };
    let room_ns = &mut rooms[way % 2];
    let bandwidth = rate::at(rule, window, packet.now);
    let Some(turn) = rate::turn(&bandwidth, *room_ns, packet.now, packet.size.bytes) else {
        counters::dropped(slot, packet.size);
        return Some(true);
    };
    *room_ns = turn.room_ns;
    if turn.wait_ns != 0 {
        packet.act();
        packet.hold_ns += turn.wait_ns;
        packet.delaying |= 1 << index;
    }
    Some(false)
}

/// A delay, drawn from what it may be.
#[inline(always)]
pub(crate) fn delay(
    rule: &Rule,
    window: &Window,
    memory: &mut Memory,
    now_ns: u64,
    random: u64,
) -> u64 {
    let random = delay::correlated(rule, memory, random, random << 32);
    let Some(number) = rule.table.checked_sub(1) else {
        let middle_ns = shape::delay_ns(rule, window, now_ns);
        return delay::uniform(middle_ns, rule.jitter_ns, random);
    };
    match TABLES.get(number) {
        Some(table) => delay::quantile(table, random),
        None => 0,
    }
}
