//! One copy of the door's program with its maps, and its attachment to a namespace.

use std::{
    collections::HashSet,
    fs::File,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, LpmTrie, MapData, MapError, PerCpuArray, SockMap, lpm_trie::Key},
    programs::{ProgramError, SkLookup, sk_lookup::SkLookupLink},
};
use chaos_abi::{
    door::{
        DOOR_COUNTERS, DOORS, Door, DoorCounters, PASSED, PASSED_OWN, PASSED_SPARED, PROGRAM_DOOR,
        Passed, SOCKETS, SPARED_PEERS, TAKEN,
    },
    maps::LIVENESS,
};
use ipnet::IpNet;

use super::query;
use crate::{
    attach::{
        clock::monotonic_ns,
        heartbeat::{Word, Words},
        loader::{LoadError, Plain, load_object, take},
        rules::address_in_kernel,
    },
    engine::{Protected, Spared},
};

/// The door's object.
pub(in crate::attach) static DOOR: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/door"));

/// A copy, in the kernel as long as this lives.
pub struct Copy {
    ebpf: Ebpf,
    link: Option<SkLookupLink>,
    /// The program's, in the kernel.
    number: Option<u32>,
    doors: HashMap<MapData, u32, Plain<Door>>,
    sockets: SockMap<MapData>,
    spared_peers: LpmTrie<MapData, Plain<[u32; 4]>, u32>,
    counters: PerCpuArray<MapData, Plain<DoorCounters>>,
    taken: HashMap<MapData, Plain<Passed>, u32>,
    passed: PassedBy,
    _alive: Word,
}

/// Connections that no door takes; clones are the same.
#[derive(Clone)]
pub(super) struct PassedBy(Arc<Mutex<HashMap<MapData, Plain<Passed>, u32>>>);

impl Copy {
    /// Loads one. Its agent lives from now on, as far as it knows; `words` keep it so.
    pub fn load(words: &Words) -> Result<Self, LoadError> {
        let mut ebpf = load_object(DOOR, &[])?;
        let mut alive: Array<MapData, u64> = take(&mut ebpf, LIVENESS)?;
        let unusable = |source| LoadError::Map {
            name: LIVENESS,
            source,
        };
        alive.set(0, monotonic_ns(), 0).map_err(unusable)?;
        let mut copy = Self {
            doors: take(&mut ebpf, DOORS)?,
            sockets: take(&mut ebpf, SOCKETS)?,
            spared_peers: take(&mut ebpf, SPARED_PEERS)?,
            counters: take(&mut ebpf, DOOR_COUNTERS)?,
            taken: take(&mut ebpf, TAKEN)?,
            passed: PassedBy(Arc::new(Mutex::new(take(&mut ebpf, PASSED)?))),
            _alive: words.add(alive),
            ebpf,
            link: None,
            number: None,
        };
        let program = copy.program()?;
        program.load().map_err(refused)?;
        copy.number = program.info().ok().map(|info| info.id());
        Ok(copy)
    }

    /// Its program, for runs without a network.
    pub fn program(&mut self) -> Result<&mut SkLookup, LoadError> {
        let program = self.ebpf.program_mut(PROGRAM_DOOR);
        let program = program.ok_or(LoadError::Missing(PROGRAM_DOOR))?;
        program.try_into().map_err(refused)
    }

    /// Lets the namespace ask it. What is attached goes when this is dropped, with the process, or with the namespace.
    pub fn attach(&mut self, namespace: &File) -> Result<(), LoadError> {
        if self.link.is_none() {
            let program = self.program()?;
            let id = program.attach(namespace).map_err(refused)?;
            self.link = Some(program.take_link(id).map_err(refused)?);
        }
        Ok(())
    }

    /// Whether it was attached, and nobody here has ended that.
    pub(super) const fn is_attached(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the namespace asks it. Where the kernel does not say, it does as long as nobody here has ended it.
    pub(super) fn is_asked(&self, namespace: &File) -> bool {
        let Some(number) = self.number.filter(|_| self.link.is_some()) else {
            return false;
        };
        query::attached(namespace).map_or(true, |programs| programs.contains(&number))
    }

    /// The namespace asks it no more.
    pub fn detach(&mut self) {
        self.link = None;
    }

    /// Has the door at this place lead to a listener, for as long as that is open.
    pub fn set_listener(&mut self, place: u32, listener: &TcpListener) -> Result<(), MapError> {
        self.counters.set(place, none(&self.counters, place)?, 0)?;
        self.sockets.set(place, listener, 0)
    }

    /// Has it lead nowhere.
    pub fn clear_listener(&mut self, place: u32) {
        // It has gone with its listener, if that is closed.
        let _gone = self.sockets.clear_index(&place);
    }

    /// Writes the door of a port.
    pub fn set_door(&mut self, port: u16, door: Door) -> Result<(), MapError> {
        self.doors.insert(u32::from(port), Plain(door), 0)
    }

    /// Erases it: from now on the port is as if there had never been one.
    pub fn remove_door(&mut self, port: u16) -> Result<(), MapError> {
        match self.doors.remove(&u32::from(port)) {
            Err(MapError::KeyNotFound) => Ok(()),
            other => other,
        }
    }

    /// What the door at this place did.
    pub fn counters(&self, place: u32) -> Result<DoorCounters, MapError> {
        let counters = self.counters.get(&place, 0)?;
        let sum = |of: fn(&DoorCounters) -> u64| counters.iter().map(|one| of(&one.0)).sum();
        Ok(DoorCounters {
            taken: sum(|one| one.taken),
            spared: sum(|one| one.spared),
        })
    }

    /// Who was taken while the door remembered.
    pub fn taken(&self) -> HashSet<Passed> {
        self.taken.keys().flatten().map(|key| key.0).collect()
    }

    /// Forgets them.
    pub fn forget_taken(&mut self) {
        for key in self.taken.keys().flatten().collect::<Vec<_>>() {
            let _gone = self.taken.remove(&key);
        }
    }

    pub(super) fn passed(&self) -> &PassedBy {
        &self.passed
    }

    /// Leaves a peer alone where it talks to a port.
    pub fn spare(&self, spared: &Spared) -> Result<(), MapError> {
        let key = Passed::to_port(address_in_kernel(spared.peer), spared.own_port);
        self.passed
            .lock()
            .insert(Plain(key), PASSED_SPARED, BPF_ANY)
    }

    /// No longer does.
    pub fn no_longer_spare(&self, spared: &Spared) {
        let key = Passed::to_port(address_in_kernel(spared.peer), spared.own_port);
        let _gone = self.passed.lock().remove(&Plain(key));
    }

    /// Leaves alone what is protected. The node's own ports have no doors: that is for whoever opens them.
    pub fn protect(&mut self, list: &[Protected], is_node: bool) -> Result<(), MapError> {
        for protected in list {
            match *protected {
                Protected::Peers(net) => {
                    self.spared_peers
                        .insert(&net_key(&net), PASSED_SPARED, BPF_ANY)?;
                }
                Protected::PeerPort(peer) => self.protect_port(peer)?,
                Protected::NodesPeerPort(peer) if is_node => self.protect_port(peer)?,
                Protected::NodesPeerPort(_) | Protected::OwnPort(_) => {}
            }
        }
        Ok(())
    }

    fn protect_port(&self, peer: SocketAddr) -> Result<(), MapError> {
        let key = Passed::from_port(address_in_kernel(peer.ip()), peer.port());
        let mut passed = self.passed.lock();
        passed.insert(Plain(key), PASSED_SPARED, BPF_ANY)
    }
}

impl PassedBy {
    /// Lets the connection by that this socket is about to make. It fails where another socket is about to use the same
    /// address.
    pub(super) fn let_by(&self, from: SocketAddr) -> Result<(), MapError> {
        self.lock().insert(own(from), PASSED_OWN, BPF_NOEXIST)
    }

    /// The connection is made, or not.
    pub(super) fn done(&self, from: SocketAddr) {
        let mut passed = self.lock();
        // The same address may be spared: that is no entry of ours.
        if matches!(passed.get(&own(from), 0), Ok(PASSED_OWN)) {
            let _gone = passed.remove(&own(from));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MapData, Plain<Passed>, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From `linux/bpf.h`.
const BPF_ANY: u64 = 0;
const BPF_NOEXIST: u64 = 1;

fn own(from: SocketAddr) -> Plain<Passed> {
    let address = address_in_kernel(from.ip().to_canonical());
    Plain(Passed::from_port(address, from.port()))
}

fn net_key(net: &IpNet) -> Key<Plain<[u32; 4]>> {
    let mapped = match net {
        IpNet::V4(_) => 96,
        IpNet::V6(_) => 0,
    };
    let address: IpAddr = net.network();
    Key::new(
        mapped + u32::from(net.prefix_len()),
        Plain(address_in_kernel(address)),
    )
}

fn none(
    counters: &PerCpuArray<MapData, Plain<DoorCounters>>,
    place: u32,
) -> Result<aya::maps::PerCpuValues<Plain<DoorCounters>>, MapError> {
    let cpus = counters.get(&place, 0)?.len();
    let zeros = vec![Plain(DoorCounters::default()); cpus];
    aya::maps::PerCpuValues::try_from(zeros).map_err(MapError::IoError)
}

fn refused(source: ProgramError) -> LoadError {
    LoadError::Program {
        name: PROGRAM_DOOR,
        source,
    }
}

#[cfg(test)]
mod tests {
    use chaos_abi::door::{MAX_DOORS, MAX_PASSED, MAX_SPARED_PEERS, MAX_TAKEN};

    use super::*;

    /// Without privileges: what the object says of its maps is what `chaos-abi` says.
    #[test]
    fn map_sizes_are_those_of_the_abi() {
        let object = aya_obj::Object::parse(DOOR).unwrap();
        let sizes = |name: &str| {
            let map = &object.maps[name];
            let sizes = (map.key_size() as usize, map.value_size() as usize);
            (sizes, map.max_entries())
        };
        assert_eq!(sizes(DOORS), ((4, size_of::<Door>()), MAX_DOORS));
        assert_eq!(sizes(SOCKETS), ((4, 4), MAX_DOORS));
        assert_eq!(sizes(PASSED), ((size_of::<Passed>(), 4), MAX_PASSED));
        assert_eq!(sizes(TAKEN), ((size_of::<Passed>(), 4), MAX_TAKEN));
        assert_eq!(sizes(SPARED_PEERS), ((4 + 16, 4), MAX_SPARED_PEERS));
        let counters = (4, size_of::<DoorCounters>());
        assert_eq!(sizes(DOOR_COUNTERS), (counters, MAX_DOORS));
        assert_eq!(sizes(LIVENESS), ((4, 8), 1));
        assert_eq!(object.maps.len(), 7, "a map that nothing checks");
    }
}
