//! What rules remember from packet to packet: of themselves, of connections, of the order of flows.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{
    macros::map,
    maps::{Array, LruHashMap},
};
use chaos_abi::{
    maps::{MAX_CONNECTIONS, MAX_FLOWS, MAX_RULES},
    rule::{FlowKey, FlowMemory, Memory, PROTOCOL_TCP, Rule},
};
use chaos_ebpf::{delay, filter::Direction, flow::Flow};

#[map]
static MEMORIES: Array<Memory> = Array::with_max_entries(MAX_RULES, 0);
#[map]
static CONNECTIONS: LruHashMap<FlowKey, FlowMemory> =
    LruHashMap::with_max_entries(MAX_CONNECTIONS, 0);
#[map]
static FLOWS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(MAX_FLOWS, 0);

/// What the rule in a slot remembers.
#[inline(always)]
pub(crate) fn of_rule(slot: u32) -> Option<&'static mut Memory> {
    // SAFETY: the element lives as long as the map, and holds plain integers. Another CPU may write it at the same
    // moment; see `Memory`.
    MEMORIES
        .get_ptr_mut(slot)
        .map(|memory| unsafe { &mut *memory })
}

/// The next position in the rule's random sequence.
#[inline(always)]
pub(crate) fn next_position(memory: &mut Memory) -> u64 {
    // SAFETY: map values are aligned to 8 bytes.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(&raw mut memory.position, 1) }
}

/// What the rule remembers of the packet's connection, from now on if not yet.
#[inline(always)]
pub(crate) fn of_connection(rule: &Rule, flow: &Flow) -> Option<&'static mut FlowMemory> {
    let key = FlowKey {
        hash: flow.connection(0),
        rule: rule.identity,
    };
    let opens = flow.opens_connection();
    // SAFETY: as for `of_rule`.
    let known = CONNECTIONS
        .get_ptr_mut(key)
        .map(|connection| unsafe { &mut *connection });
    // A SYN that is sent again opens no second connection.
    if known.is_none_or(|known| opens && known.is_new == 0) {
        let fresh = FlowMemory {
            // Of what is not TCP, the first packet that is seen is the first.
            is_new: u64::from(opens || flow.protocol != PROTOCOL_TCP),
            ..FlowMemory::default()
        };
        // A full map that cannot evict remembers others.
        let _ = CONNECTIONS.insert(key, fresh, 0);
    }
    // SAFETY: as for `of_rule`.
    CONNECTIONS
        .get_ptr_mut(key)
        .map(|connection| unsafe { &mut *connection })
}

/// When a packet leaves that must not overtake the one before it of its flow, and is next before the one behind it.
///
/// Two CPUs that carry the same flow at the same moment may each see the other's predecessor late;
/// the kernel does not keep such packets in order either.
#[inline(always)]
pub(crate) fn behind_predecessor(
    target: u32,
    direction: Direction,
    flow: &Flow,
    departure_ns: u64,
) -> u64 {
    let key = flow.hash(u64::from(target) << 8 | u64::from(direction.bit()));
    let Some(predecessor) = FLOWS.get_ptr_mut(key) else {
        // A full map that cannot evict keeps the order of other flows only.
        let _ = FLOWS.insert(key, departure_ns, 0);
        return departure_ns;
    };
    // SAFETY: the value is a plain integer; a concurrent update gives the old or the new one.
    unsafe {
        let departure_ns = delay::in_order(departure_ns, *predecessor);
        *predecessor = departure_ns;
        departure_ns
    }
}
