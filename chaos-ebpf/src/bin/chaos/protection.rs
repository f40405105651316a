//! What no rule touches, whatever it asks for. Only a packet that a rule takes is looked up.

use aya_ebpf::{macros::map, maps::HashMap};
use chaos_abi::{
    maps::{MAX_PROTECTED_PORTS, PROTECTED_SET},
    target::{PROTECTS_OWN_PORTS, PROTECTS_PEER_PORTS, PROTECTS_PEERS, ProtectedPort, Target},
};
use chaos_ebpf::{filter::Direction, flow::Flow};

use crate::peers;

#[map]
static PROTECTED: HashMap<ProtectedPort, u32> = HashMap::with_max_entries(MAX_PROTECTED_PORTS, 0);

/// Whether the packet is one of those that the agent was told to spare.
#[inline(always)]
pub(crate) fn covers(target: &Target, direction: Direction, flow: &Flow) -> bool {
    let protects = target.protects;
    if protects == 0 {
        return false;
    }
    let peer = direction.peer(flow);
    if protects & PROTECTS_PEERS != 0 && peers::known(PROTECTED_SET, peer).is_some() {
        return true;
    }
    let Some((own_port, peer_port)) = direction.ports(flow) else {
        // A fragment may be of any port.
        return flow.fragment != 0 && protects & (PROTECTS_PEER_PORTS | PROTECTS_OWN_PORTS) != 0;
    };
    (protects & PROTECTS_PEER_PORTS != 0
        && is_listed(ProtectedPort::of_peer_seen_by(protects, peer, peer_port)))
        || (protects & PROTECTS_OWN_PORTS != 0 && is_listed(ProtectedPort::own(own_port)))
}

#[inline(always)]
fn is_listed(port: ProtectedPort) -> bool {
    PROTECTED.get_ptr(port).is_some()
}
