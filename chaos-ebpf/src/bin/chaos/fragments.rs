//! Datagrams in fragments, of which only the first has ports.

use aya_ebpf::{macros::map, maps::LruHashMap};
use chaos_abi::maps::MAX_FRAGMENTS;
use chaos_ebpf::flow::{FIRST_FRAGMENT, Flow};

#[map]
static FRAGMENTS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(MAX_FRAGMENTS, 0);

/// Later fragments get the ports that the first one had, if it came before them.
#[inline(always)]
pub(crate) fn share_ports(flow: &mut Flow) {
    let key = flow.datagram();
    if flow.fragment == FIRST_FRAGMENT {
        if flow.has_ports == 0 {
            return;
        }
        let ports = u32::from(flow.source_port) << 16 | u32::from(flow.destination_port);
        // A full map that cannot evict remembers others.
        let _ = FRAGMENTS.insert(key, ports, 0);
        return;
    }
    // SAFETY: the value is a plain integer.
    if let Some(&ports) = unsafe { FRAGMENTS.get(key) } {
        flow.source_port = (ports >> 16) as u16;
        flow.destination_port = ports as u16;
        flow.has_ports = 1;
    }
}
