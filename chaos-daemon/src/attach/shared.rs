//! What many rules have in common in the kernel, such as the rules of one experiment on a hundred targets: distributions and
//! sets of peers. It is there once, for as long as a rule has it.

use aya::maps::{MapError, lpm_trie::Key};
use chaos_abi::{
    maps::{MAX_RULES, MAX_TABLES},
    rule::{EXCEPTION, PEER, PEER_SET_BITS, PeerKey, Quantiles},
};
use ipnet::IpNet;

use super::{
    attached::kernel,
    loader::{Maps, Plain},
    rules::address_in_kernel,
};
use crate::engine::{DatapathError, Filter};

/// Addresses of the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Peers {
    taken: Vec<IpNet>,
    spared: Vec<IpNet>,
}

/// Contents by their numbers, and how many rules have each.
#[derive(Debug)]
struct Pool<T> {
    what: &'static str,
    most: u32,
    held: Vec<Option<(T, usize)>>,
}

/// Both kinds.
#[derive(Debug)]
pub(super) struct Shared {
    tables: Pool<Quantiles>,
    peers: Pool<Peers>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            tables: Pool::new("distributions", MAX_TABLES),
            peers: Pool::new("sets of peers", MAX_RULES),
        }
    }
}

impl Shared {
    /// The number under which the programs find this distribution.
    pub(super) fn take_table(
        &mut self,
        maps: &mut Maps,
        table: &Quantiles,
    ) -> Result<u32, DatapathError> {
        let (number, is_new) = self.tables.take(table)?;
        if is_new && let Err(error) = maps.tables.set(number, Plain(*table), 0) {
            self.tables.give_back(number);
            return Err(kernel(error));
        }
        Ok(number)
    }

    pub(super) fn give_back_table(&mut self, number: u32) {
        self.tables.give_back(number);
    }

    /// The number under which the programs find the peers and exceptions of a filter; nothing where it has none.
    pub(super) fn take_peers(
        &mut self,
        maps: &mut Maps,
        filter: &Filter,
    ) -> Result<Option<u32>, DatapathError> {
        if filter.peers.is_empty() && filter.exceptions.is_empty() {
            return Ok(None);
        }
        let peers = Peers {
            taken: filter.peers.clone(),
            spared: filter.exceptions.clone(),
        };
        let (number, is_new) = self.peers.take(&peers)?;
        if is_new && let Err(error) = peers.write(maps, number) {
            self.give_back_peers(maps, number);
            return Err(kernel(error));
        }
        Ok(Some(number))
    }

    pub(super) fn give_back_peers(&mut self, maps: &mut Maps, number: u32) {
        if let Some(peers) = self.peers.give_back(number) {
            peers.erase(maps, number);
        }
    }
}

impl Peers {
    fn write(&self, maps: &mut Maps, number: u32) -> Result<(), MapError> {
        for (nets, value) in [(&self.taken, PEER), (&self.spared, EXCEPTION)] {
            for net in nets {
                maps.peers.insert(&peer_key(number, net), value, 0)?;
            }
        }
        Ok(())
    }

    /// What was not written is not missed.
    fn erase(&self, maps: &mut Maps, number: u32) {
        for net in self.taken.iter().chain(&self.spared) {
            let _ = maps.peers.remove(&peer_key(number, net));
        }
    }
}

impl<T: PartialEq + Clone> Pool<T> {
    const fn new(what: &'static str, most: u32) -> Self {
        Self {
            what,
            most,
            held: Vec::new(),
        }
    }

    /// The number of this content, and whether it has just got one.
    fn take(&mut self, content: &T) -> Result<(u32, bool), DatapathError> {
        let is_it = |held: &Option<(T, usize)>| held.as_ref().is_some_and(|(it, _)| it == content);
        if let Some(index) = self.held.iter().position(is_it) {
            if let Some((_, holders)) = &mut self.held[index] {
                *holders += 1;
            }
            return Ok((number(index), false));
        }
        let free = self.held.iter().position(Option::is_none);
        let index = free.unwrap_or(self.held.len());
        if number(index) >= self.most {
            return Err(DatapathError::Full {
                what: self.what,
                most: self.most as usize,
            });
        }
        if free.is_none() {
            self.held.push(None);
        }
        self.held[index] = Some((content.clone(), 1));
        Ok((number(index), true))
    }

    /// The content, when nobody has it any more.
    fn give_back(&mut self, number: u32) -> Option<T> {
        let place = self.held.get_mut(number as usize)?;
        let (_, holders) = place.as_mut()?;
        *holders -= 1;
        if *holders == 0 {
            place.take().map(|(content, _)| content)
        } else {
            None
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

pub(super) fn peer_key(set: u32, peer: &IpNet) -> Key<Plain<PeerKey>> {
    let prefix = match peer {
        IpNet::V4(_) => 96 + u32::from(peer.prefix_len()),
        IpNet::V6(_) => u32::from(peer.prefix_len()),
    };
    let address = address_in_kernel(peer.network());
    Key::new(PEER_SET_BITS + prefix, Plain(PeerKey { set, address }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_there_once_until_nobody_has_it() {
        let mut pool = Pool::new("things", 2);
        assert_eq!(pool.take(&"a").unwrap(), (0, true));
        assert_eq!(pool.take(&"b").unwrap(), (1, true));
        assert_eq!(pool.take(&"a").unwrap(), (0, false));
        assert!(matches!(
            pool.take(&"c"),
            Err(DatapathError::Full { most: 2, .. })
        ));
        assert_eq!(pool.give_back(0), None);
        assert_eq!(pool.give_back(0), Some("a"));
        assert_eq!(pool.give_back(0), None, "it was given back before");
        assert_eq!(pool.take(&"c").unwrap(), (0, true));
    }

    #[test]
    fn ipv4_peer_is_mapped() {
        let key = peer_key(3, &"10.1.2.3/16".parse().unwrap());
        assert_eq!(key.prefix_len(), 32 + 96 + 16);
        let Plain(PeerKey { set, address }) = key.data();
        assert_eq!(set, 3);
        assert_eq!(
            address,
            [
                0,
                0,
                u32::from_ne_bytes([0, 0, 255, 255]),
                u32::from_ne_bytes([10, 1, 0, 0])
            ]
        );
    }
}
