//! Loads the classifiers once, and hands out their maps and programs.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, ProgramArray},
    programs::{CgroupSkb, ProgramError, ProgramFd, SchedClassifier, Xdp},
};
use chaos_abi::{
    counters::Counters,
    dns::{DnsAnswer, DnsName},
    maps,
    rewrite::Rewrite,
    rule::{Memory, PeerKey, Quantiles, Rule, Window},
    target::{ProtectedPort, Target},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Heartbeat;

/// The classifiers' object.
pub(super) static CLASSIFIERS: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/chaos"));
/// The entry program's object.
pub(super) static ENTRY: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/entry"));

/// The far ends' object.
pub(super) static LINE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/line"));

/// A value of `chaos-abi` as aya takes it.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain<T>(pub T);

// SAFETY: T has no padding and no invalid bit patterns (zerocopy checks both), holds no references, and
// `Plain` is transparent.
unsafe impl<T: Copy + FromBytes + Immutable + IntoBytes + 'static> aya::Pod for Plain<T> {}

/// Why the programs are not in the kernel.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The object could not be loaded.
    #[error("the kernel did not take the BPF object: {0}")]
    Object(#[from] EbpfError),
    /// A program was refused.
    #[error("the kernel did not take the BPF program {name}: {source}")]
    Program {
        /// Its name.
        name: &'static str,
        /// Verifier's words.
        source: ProgramError,
    },
    /// A map is missing or of another kind.
    #[error("the BPF object has no usable map {name}: {source}")]
    Map {
        /// Its name.
        name: &'static str,
        /// What aya says.
        source: MapError,
    },
    /// A name that the object does not have.
    #[error("the BPF object has no {0}: it was built from other sources")]
    Missing(&'static str),
}

/// The maps that the agent writes and reads.
pub struct Maps {
    /// See [`maps::TARGETS`].
    pub targets: Array<MapData, Plain<Target>>,
    /// See [`maps::RULES`].
    pub rules: Array<MapData, Plain<Rule>>,
    /// See [`maps::WINDOWS`].
    pub windows: Array<MapData, Plain<Window>>,
    /// See [`maps::MEMORIES`].
    pub memories: Array<MapData, Plain<Memory>>,
    /// See [`maps::TABLES`].
    pub tables: Array<MapData, Plain<Quantiles>>,
    /// See [`maps::COUNTERS`].
    pub counters: PerCpuArray<MapData, Plain<Counters>>,
    /// See [`maps::PEERS`].
    pub peers: LpmTrie<MapData, Plain<PeerKey>, u32>,
    /// See [`maps::REWRITES`].
    pub rewrites: Array<MapData, Plain<Rewrite>>,
    /// See [`maps::DNS_NAMES`].
    pub dns_names: LpmTrie<MapData, Plain<DnsName>, u32>,
    /// See [`maps::DNS_ANSWERS`].
    pub dns_answers: Array<MapData, Plain<DnsAnswer>>,
    /// See [`maps::ARRIVALS`].
    pub arrivals: Array<MapData, u32>,
    /// See [`maps::PROTECTED`].
    pub protected: HashMap<MapData, Plain<ProtectedPort>, u32>,
    /// See [`maps::LINE_ENGINE`].
    pub line_engine: Array<MapData, u32>,
}

/// The programs that entry programs call.
#[derive(Debug)]
pub struct Programs {
    /// For packets that leave a target.
    pub egress: ProgramFd,
    /// For packets that arrive at a target.
    pub ingress: ProgramFd,
}

/// The classifiers, in the kernel as long as this lives.
pub struct Object {
    ebpf: Ebpf,
    /// Their maps.
    pub maps: Maps,
    /// Their programs.
    pub programs: Programs,
    /// Empties itself when it is closed.
    _actions: ProgramArray<MapData>,
}

/// What the classifiers call.
const ACTIONS: [(u32, &str); maps::MAX_ACTIONS as usize] = [
    (maps::ACTION_ANSWER, maps::PROGRAM_ANSWER),
    (maps::ACTION_REWRITE, maps::PROGRAM_REWRITE),
    (maps::ACTION_BACK, maps::PROGRAM_BACK),
    (maps::ACTION_EGRESS, maps::PROGRAM_EGRESS),
    (maps::ACTION_INGRESS, maps::PROGRAM_INGRESS),
    (maps::ACTION_DNS, maps::PROGRAM_DNS),
];

impl Object {
    /// Loads the object, and the programs that every target needs.
    pub fn load() -> Result<Self, LoadError> {
        let mut ebpf = load_object(CLASSIFIERS, &[])?;
        let programs = Programs {
            egress: load_program(&mut ebpf, maps::PROGRAM_EGRESS)?,
            ingress: load_program(&mut ebpf, maps::PROGRAM_INGRESS)?,
        };
        let mut actions: ProgramArray<MapData> = take(&mut ebpf, maps::ACTIONS)?;
        for (place, name) in ACTIONS {
            let program = match name {
                maps::PROGRAM_EGRESS => &programs.egress,
                maps::PROGRAM_INGRESS => &programs.ingress,
                name => &load_program(&mut ebpf, name)?,
            };
            actions
                .set(place, program, 0)
                .map_err(|source| LoadError::Map {
                    name: maps::ACTIONS,
                    source,
                })?;
        }
        let maps = Maps {
            targets: take(&mut ebpf, maps::TARGETS)?,
            rules: take(&mut ebpf, maps::RULES)?,
            windows: take(&mut ebpf, maps::WINDOWS)?,
            memories: take(&mut ebpf, maps::MEMORIES)?,
            tables: take(&mut ebpf, maps::TABLES)?,
            counters: take(&mut ebpf, maps::COUNTERS)?,
            peers: take(&mut ebpf, maps::PEERS)?,
            rewrites: take(&mut ebpf, maps::REWRITES)?,
            dns_names: take(&mut ebpf, maps::DNS_NAMES)?,
            dns_answers: take(&mut ebpf, maps::DNS_ANSWERS)?,
            arrivals: take(&mut ebpf, maps::ARRIVALS)?,
            protected: take(&mut ebpf, maps::PROTECTED)?,
            line_engine: take(&mut ebpf, maps::LINE_ENGINE)?,
        };
        Ok(Self {
            ebpf,
            maps,
            programs,
            _actions: actions,
        })
    }

    /// Takes over the liveness word.
    pub fn heartbeat(&mut self) -> Result<Heartbeat, LoadError> {
        let word = take(&mut self.ebpf, maps::LIVENESS)?;
        Heartbeat::start(word).map_err(|source| LoadError::Map {
            name: maps::LIVENESS,
            source,
        })
    }

    /// Loads what else there is: the programs for the node, which few ask for, and whose look by the verifier is a third
    /// of the agent's start.
    pub fn load_rest(&mut self) -> Result<(), LoadError> {
        self.arrival_mut()?;
        self.socket_mut()?;
        Ok(())
    }

    /// The program for packets that arrive at the node, loaded when it is first asked for.
    pub fn arrival_mut(&mut self) -> Result<&mut Xdp, LoadError> {
        let name = maps::PROGRAM_ARRIVAL;
        let failed = |source| LoadError::Program { name, source };
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or(LoadError::Missing(name))?;
        let program: &mut Xdp = program.try_into().map_err(failed)?;
        if program.fd().is_err() {
            program.load().map_err(failed)?;
        }
        Ok(program)
    }

    /// The program for packets that arrive at sockets, loaded when it is first asked for.
    pub(super) fn socket_mut(&mut self) -> Result<&mut CgroupSkb, LoadError> {
        let name = maps::PROGRAM_SOCKET;
        let failed = |source| LoadError::Program { name, source };
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or(LoadError::Missing(name))?;
        let program: &mut CgroupSkb = program.try_into().map_err(failed)?;
        if program.fd().is_err() {
            program.load().map_err(failed)?;
        }
        Ok(program)
    }

    /// A loaded classifier by name, for programs to be run without packets of a network.
    pub fn classifier(&self, name: &'static str) -> Result<&SchedClassifier, LoadError> {
        let program = self.ebpf.program(name).ok_or(LoadError::Missing(name))?;
        program
            .try_into()
            .map_err(|source| LoadError::Program { name, source })
    }
}

/// The one loader. Making one reads and parses all types of the kernel, which takes longer than everything else
/// that we do, and which our programs do not need.
static LOADER: LazyLock<Mutex<EbpfLoader<'static>>> = LazyLock::new(|| {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    Mutex::new(loader)
});

/// Puts an object's maps into the kernel, with constants of it set. A name that no object has is caught by a test.
pub(super) fn load_object(
    object: &[u8],
    constants: &[(&'static str, u32)],
) -> Result<Ebpf, EbpfError> {
    let mut loader = LOADER.lock().unwrap_or_else(PoisonError::into_inner);
    for &(name, value) in constants {
        loader.override_global(name, lasting(value), false);
    }
    loader.load(object)
}

/// The loader keeps references. Numbers of targets and interfaces are few, so each is kept for good.
fn lasting(value: u32) -> &'static u32 {
    static NUMBERS: LazyLock<Mutex<BTreeMap<u32, &'static u32>>> = LazyLock::new(Mutex::default);
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    numbers
        .entry(value)
        .or_insert_with(|| Box::leak(Box::new(value)))
}

/// Loads the program `name` of an object.
pub(super) fn load_program(ebpf: &mut Ebpf, name: &'static str) -> Result<ProgramFd, LoadError> {
    let failed = |source| LoadError::Program { name, source };
    let program: &mut SchedClassifier = ebpf
        .program_mut(name)
        .ok_or(LoadError::Missing(name))?
        .try_into()
        .map_err(failed)?;
    program.load().map_err(failed)?;
    program
        .fd()
        .map_err(failed)?
        .try_clone()
        .map_err(|error| failed(error.into()))
}

/// Takes the map `name` out of an object.
pub(super) fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, LoadError>
where
    M: TryFrom<Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
    M::try_from(map).map_err(|source| LoadError::Map { name, source })
}

#[cfg(test)]
mod tests {
    use chaos_abi::{
        rewrite::{Steered, SteeredKey},
        rule::{FlowKey, FlowMemory},
    };

    use super::*;

    #[test]
    fn constants_are_in_their_objects() {
        let has = |object, name| {
            let mut object = aya_obj::Object::parse(object).unwrap();
            let must_exist = true;
            object
                .patch_map_data([(name, (&[0; 4][..], must_exist))].into())
                .is_ok()
        };
        assert!(has(ENTRY, maps::ENTRY_TARGET));
        assert!(has(LINE, maps::LINE_IFINDEX) && has(LINE, maps::LINE_TARGET));
        assert!(!has(LINE, maps::ENTRY_CALLS));
    }

    /// Without privileges: what the object says of its maps is what `chaos-abi` says.
    #[test]
    fn map_sizes_are_those_of_the_abi() {
        let object = aya_obj::Object::parse(CLASSIFIERS).unwrap();
        let sizes = |name: &str| {
            let map = &object.maps[name];
            (
                map.key_size() as usize,
                map.value_size() as usize,
                map.max_entries(),
            )
        };
        let rule_of = |value| (4, value, maps::MAX_RULES);
        assert_eq!(
            sizes(maps::TARGETS),
            (4, size_of::<Target>(), maps::MAX_TARGETS)
        );
        assert_eq!(sizes(maps::RULES), rule_of(size_of::<Rule>()));
        assert_eq!(sizes(maps::WINDOWS), rule_of(size_of::<Window>()));
        assert_eq!(sizes(maps::MEMORIES), rule_of(size_of::<Memory>()));
        assert_eq!(
            sizes(maps::TABLES),
            (4, size_of::<Quantiles>(), maps::MAX_TABLES)
        );
        assert_eq!(
            sizes(maps::CONNECTIONS),
            (
                size_of::<FlowKey>(),
                size_of::<FlowMemory>(),
                maps::MAX_CONNECTIONS
            )
        );
        assert_eq!(sizes(maps::COUNTERS), rule_of(size_of::<Counters>()));
        assert_eq!(
            sizes(maps::PEERS),
            (4 + size_of::<PeerKey>(), 4, maps::MAX_PEERS)
        );
        assert_eq!(sizes(maps::FLOWS), (8, 8, maps::MAX_FLOWS));
        assert_eq!(sizes(maps::FRAGMENTS), (8, 4, maps::MAX_FRAGMENTS));
        assert_eq!(sizes(maps::LIVENESS), (4, 8, 1));
        assert_eq!(sizes(maps::LINE_ENGINE), (4, 4, 1));
        assert_eq!(sizes(maps::ACTIONS), (4, 4, maps::MAX_ACTIONS));
        assert_eq!(sizes(maps::REWRITES), rule_of(size_of::<Rewrite>()));
        assert_eq!(
            sizes(maps::STEERED),
            (
                size_of::<SteeredKey>(),
                size_of::<Steered>(),
                maps::MAX_CONNECTIONS
            )
        );
        assert_eq!(
            sizes(maps::DNS_NAMES),
            (4 + size_of::<DnsName>(), 4, maps::MAX_DNS_NAMES)
        );
        assert_eq!(sizes(maps::DNS_ANSWERS), rule_of(size_of::<DnsAnswer>()));
        let (key, _, entries) = sizes(maps::DNS_QUESTION);
        assert_eq!((key, entries), (4, 1));
        assert_eq!(
            sizes(maps::PROTECTED),
            (size_of::<ProtectedPort>(), 4, maps::MAX_PROTECTED_PORTS)
        );
        assert_eq!(sizes(maps::ARRIVALS), (4, 4, maps::MAX_TARGETS));
        assert_eq!(object.maps.len(), 21, "a map that nothing checks");
    }
}
