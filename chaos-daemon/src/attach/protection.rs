//! What no rule touches, in the kernel's maps.

use aya::maps::MapError;
use chaos_abi::{
    maps::PROTECTED_SET,
    rule::EXCEPTION,
    target::{PROTECTS_OWN_PORTS, PROTECTS_PEER_PORTS, PROTECTS_PEERS, ProtectedPort},
};

use super::{
    features::Feature,
    loader::{Maps, Plain},
    rules::address_in_kernel,
    shared::peer_key,
};
use crate::engine::Protected;

/// What each kind of target has to look up, once it is in the maps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Protection {
    everywhere: u32,
    on_node: u32,
}

impl Protection {
    /// Writes all entries.
    pub(super) fn write(maps: &mut Maps, list: &[Protected]) -> Result<Self, MapError> {
        let mut protection = Self::default();
        for protected in list {
            match *protected {
                Protected::Peers(net) => {
                    let key = peer_key(PROTECTED_SET, &net);
                    maps.peers.insert(&key, EXCEPTION, 0)?;
                    protection.everywhere |= PROTECTS_PEERS;
                }
                Protected::PeerPort(peer) => {
                    let address = address_in_kernel(peer.ip());
                    let key = ProtectedPort::of_peer(address, peer.port());
                    maps.protected.insert(Plain(key), 1, 0)?;
                    protection.everywhere |= PROTECTS_PEER_PORTS;
                }
                Protected::OwnPort(port) => {
                    maps.protected
                        .insert(Plain(ProtectedPort::own(port)), 1, 0)?;
                    protection.on_node |= PROTECTS_OWN_PORTS;
                }
            }
        }
        Ok(protection)
    }

    /// `Target::protects`.
    pub(super) const fn of_target(self, is_node: bool) -> u32 {
        if is_node {
            self.everywhere | self.on_node
        } else {
            self.everywhere
        }
    }
}

/// As `chaosctl doctor` shows it.
pub fn feature(list: &[Protected]) -> Feature {
    let words: Vec<String> = list
        .iter()
        .map(|protected| match protected {
            Protected::OwnPort(_) => format!("{protected} (of the node)"),
            Protected::Peers(_) | Protected::PeerPort(_) => protected.to_string(),
        })
        .collect();
    Feature {
        name: "protected",
        available: true,
        used: !list.is_empty(),
        detail: if list.is_empty() {
            "nothing: --protect names what no fault may touch".to_owned()
        } else {
            format!("no fault touches {}", words.join(", "))
        },
    }
}
