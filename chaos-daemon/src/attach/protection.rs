//! What no rule touches, in the kernel's maps.

use std::net::SocketAddr;

use aya::maps::{MapError, lpm_trie::Key};
use chaos_abi::{
    maps::PROTECTED_SET,
    rule::{EXCEPTION, PeerKey, spared_set},
    target::{
        PROTECTS_FOR_NODE, PROTECTS_OWN_PORTS, PROTECTS_PEER_PORTS, PROTECTS_PEERS, ProtectedPort,
    },
};
use ipnet::IpNet;

use super::{
    features::Feature,
    loader::{Maps, Plain},
    rules::address_in_kernel,
    shared::peer_key,
};
use crate::engine::{Protected, Spared};

/// What each kind of target has to look up, once it is in the maps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Protection {
    everywhere: u32,
    on_node: u32,
}

const EVERY_TARGET: u32 = 0;

impl Protection {
    /// Adds entries to those that are there.
    pub(super) fn write(&mut self, maps: &mut Maps, list: &[Protected]) -> Result<(), MapError> {
        for protected in list {
            match *protected {
                Protected::Peers(net) => {
                    let key = peer_key(PROTECTED_SET, &net);
                    maps.peers.insert(&key, EXCEPTION, 0)?;
                    self.everywhere |= PROTECTS_PEERS;
                }
                Protected::PeerPort(peer) => {
                    write_peer_port(maps, EVERY_TARGET, peer)?;
                    write_peer_port(maps, PROTECTS_FOR_NODE, peer)?;
                    self.everywhere |= PROTECTS_PEER_PORTS;
                }
                Protected::NodesPeerPort(peer) => {
                    write_peer_port(maps, PROTECTS_FOR_NODE, peer)?;
                    self.on_node |= PROTECTS_PEER_PORTS;
                }
                Protected::OwnPort(port) => {
                    maps.protected
                        .insert(Plain(ProtectedPort::own(port)), 1, 0)?;
                    self.on_node |= PROTECTS_OWN_PORTS;
                }
            }
        }
        Ok(())
    }

    /// `Target::protects`.
    pub(super) const fn of_target(self, is_node: bool) -> u32 {
        if is_node {
            self.everywhere | self.on_node | PROTECTS_FOR_NODE
        } else {
            self.everywhere
        }
    }
}

fn write_peer_port(maps: &mut Maps, protects: u32, peer: SocketAddr) -> Result<(), MapError> {
    let address = address_in_kernel(peer.ip());
    let key = ProtectedPort::of_peer_seen_by(protects, address, peer.port());
    maps.protected.insert(Plain(key), 1, 0)
}

/// Writes what the rule in this slot leaves alone.
pub(super) fn spare(maps: &mut Maps, slot: u32, list: &[Spared]) -> Result<(), MapError> {
    for spared in list {
        maps.peers.insert(&spared_key(slot, spared), EXCEPTION, 0)?;
    }
    Ok(())
}

/// Erases it; what was not written is not missed.
pub(super) fn no_longer_spare(maps: &mut Maps, slot: u32, list: &[Spared]) {
    for spared in list {
        let _ = maps.peers.remove(&spared_key(slot, spared));
    }
}

fn spared_key(slot: u32, Spared { peer, own_port }: &Spared) -> Key<Plain<PeerKey>> {
    peer_key(spared_set(slot, *own_port), &IpNet::from(*peer))
}

/// As `chaosctl doctor` shows it.
pub fn feature(list: &[Protected]) -> Feature {
    let words: Vec<String> = list
        .iter()
        .map(|protected| match protected {
            Protected::OwnPort(_) => format!("{protected} (of the node)"),
            Protected::Peers(_) | Protected::PeerPort(_) | Protected::NodesPeerPort(_) => {
                protected.to_string()
            }
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
