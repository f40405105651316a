//! Addresses of the other side, of all rules in one trie.

use aya_ebpf::{
    macros::map,
    maps::lpm_trie::{Key, LpmTrie},
};
use chaos_abi::{
    maps::MAX_PEERS,
    rule::{EXCEPTION, HAS_PEERS, PEER, PEER_SET_BITS, PeerKey, Rule, spared_set},
};
use chaos_ebpf::{filter::Direction, flow::Flow};

#[map]
static PEERS: LpmTrie<PeerKey, u32> = LpmTrie::with_max_entries(MAX_PEERS, BPF_F_NO_PREALLOC);

/// The kernel takes no trie without it.
const BPF_F_NO_PREALLOC: u32 = 1;
const ADDRESS_BITS: u32 = 128;

/// What a set says of an address.
#[inline(always)]
pub(crate) fn known(set: u32, address: [u32; 4]) -> Option<u32> {
    let key = Key::new(PEER_SET_BITS + ADDRESS_BITS, PeerKey { set, address });
    PEERS.get(key).copied()
}

/// Whether the rule takes packets of this peer.
#[inline(always)]
pub(crate) fn is_peer(rule: &Rule, address: [u32; 4]) -> bool {
    match known(rule.peers, address) {
        Some(EXCEPTION) => false,
        Some(PEER) => true,
        _ => rule.flags & HAS_PEERS == 0,
    }
}

/// Whether the rule in this slot leaves alone what this peer and this port of the target say to each other.
#[inline(always)]
pub(crate) fn is_spared(slot: u32, direction: Direction, flow: &Flow) -> bool {
    let Some((own_port, _)) = direction.ports(flow) else {
        return false;
    };
    known(spared_set(slot, own_port), direction.peer(flow)).is_some()
}
