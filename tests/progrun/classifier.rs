//! A loaded object with rules in its maps, and a way to send it a packet.

use std::cell::RefCell;

use aya::maps::lpm_trie::Key;
use chaos_abi::{
    counters::Counters,
    maps::{PROGRAM_EGRESS, PROGRAM_INGRESS},
    rewrite::{Rewrite, STEERS},
    rule::{
        EGRESS, FAULT_DELAY, FAULT_LOSS, INGRESS, Memory, PEER, PeerKey, Quantiles, Rule, Window,
    },
    target::{ProtectedPort, Target, Wanted},
};
use chaos_daemon::{
    attach::{Heartbeat, Object, Plain, write_dns},
    engine::Dns,
};
use chaos_tests::progrun::{Packet, Run, run, run_arrival};

/// `TC_ACT_UNSPEC`: the packet goes on.
pub(crate) const PASSED: u32 = u32::MAX;
/// `TC_ACT_REDIRECT`: to nowhere, which is how a packet is dropped in silence.
pub(crate) const DROPPED: u32 = 7;

/// The target that packets belong to.
pub(crate) const TARGET: u32 = 5;

/// The classifiers with rules for [`TARGET`], armed for ever.
pub(crate) struct Classifier {
    object: Object,
    heartbeat: Option<RefCell<Heartbeat>>,
    target: Target,
}

impl Classifier {
    /// With an agent that is alive whenever a packet comes.
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut classifier = Self::without_agent(rules);
        classifier.heartbeat = Some(RefCell::new(classifier.object.heartbeat().unwrap()));
        classifier
    }

    /// With an agent that has never been heard of.
    pub(crate) fn without_agent(rules: &[Rule]) -> Self {
        let mut object = Object::load().unwrap();
        // By the loopback, which is number 1.
        object.maps.arrivals.set(1, TARGET + 1, 0).unwrap();
        let target = Target {
            ifindex: 1,
            ..Target::default()
        };
        let mut classifier = Self {
            object,
            heartbeat: None,
            target,
        };
        for (slot, rule) in (0..).zip(rules) {
            let position = usize::try_from(classifier.target.rule_count).unwrap();
            classifier.target.rules[position] = slot;
            classifier.target.rule_count += 1;
            Wanted::add(&mut classifier.target.wanted, rule);
            classifier
                .object
                .maps
                .rules
                .set(slot, Plain(*rule), 0)
                .unwrap();
            classifier.deadline(slot, u64::MAX);
        }
        classifier.publish();
        classifier
    }

    /// Sends packets that are to be held to this interface.
    pub(crate) fn line(mut self, engine: u32, near: u32) -> Self {
        self.target.lines = [near; 2];
        self.object.maps.line_engine.set(0, engine, 0).unwrap();
        self.publish();
        self
    }

    /// Says what no rule touches here.
    pub(crate) fn protects(mut self, kinds: u32) -> Self {
        self.target.protects = kinds;
        self.publish();
        self
    }

    /// Adds a port that no rule touches.
    pub(crate) fn protect(&mut self, port: ProtectedPort) {
        let ports = &mut self.object.maps.protected;
        ports.insert(Plain(port), 1, 0).unwrap();
    }

    /// Says which interface the target is.
    pub(crate) fn interface(mut self, ifindex: u32) -> Self {
        self.target.ifindex = ifindex;
        self.publish();
        self
    }

    /// Says what a rule writes.
    pub(crate) fn rewrite(mut self, slot: u32, rewrite: Rewrite) -> Self {
        self.target.steers |= u32::from(rewrite.what & STEERS != 0);
        let maps = &mut self.object.maps;
        maps.rewrites.set(slot, Plain(rewrite), 0).unwrap();
        self.publish();
        self
    }

    /// Sets a rule's deadline.
    pub(crate) fn deadline(&mut self, slot: u32, deadline_ns: u64) {
        self.window(slot, 0, deadline_ns);
    }

    /// Sets when a rule acts.
    pub(crate) fn window(&mut self, slot: u32, start_ns: u64, deadline_ns: u64) {
        let window = Window {
            start_ns,
            deadline_ns,
        };
        self.object
            .maps
            .windows
            .set(slot, Plain(window), 0)
            .unwrap();
    }

    /// Puts another rule in a slot's place, which begins anew.
    pub(crate) fn replace(&mut self, slot: u32, rule: &Rule) {
        let maps = &mut self.object.maps;
        maps.rules.set(slot, Plain(*rule), 0).unwrap();
        let memory = Plain(Memory::default());
        maps.memories.set(slot, memory, 0).unwrap();
    }

    /// Adds a peer to a set.
    pub(crate) fn peer(&mut self, set: u32, prefix: u32, address: [u32; 4]) {
        self.peer_or_exception(set, prefix, address, PEER);
    }

    /// Adds one or the other to a set.
    pub(crate) fn peer_or_exception(
        &mut self,
        set: u32,
        prefix: u32,
        address: [u32; 4],
        value: u32,
    ) {
        let key = Key::new(32 + prefix, Plain(PeerKey { set, address }));
        self.object.maps.peers.insert(&key, value, 0).unwrap();
    }

    /// Says what a rule answers to questions, and to which.
    pub(crate) fn dns(&mut self, slot: u32, dns: &Dns) {
        write_dns(&mut self.object.maps, slot, dns).unwrap();
    }

    /// Runs the classifier for leaving packets.
    pub(crate) fn egress(&self, frame: &[u8]) -> Run {
        self.run(PROGRAM_EGRESS, frame, TARGET, 0)
    }

    /// Runs it so many times over for the same packet.
    pub(crate) fn egress_times(&self, frame: &[u8], times: u32) {
        let packet = Packet {
            frame,
            target: TARGET,
            segments: 0,
        };
        self.beat();
        run(&self.object, PROGRAM_EGRESS, packet, times).unwrap();
    }

    /// Sets a table of quantiles.
    pub(crate) fn table(&mut self, number: u32, table: &Quantiles) {
        let table = Plain(*table);
        self.object.maps.tables.set(number, table, 0).unwrap();
    }

    /// Runs the classifier for arriving packets.
    pub(crate) fn ingress(&self, frame: &[u8]) -> Run {
        self.run(PROGRAM_INGRESS, frame, TARGET, 0)
    }

    /// Runs the program at XDP.
    pub(crate) fn arrival(&mut self, frame: &[u8]) -> Run {
        self.beat();
        run_arrival(&mut self.object, frame, 1).unwrap()
    }

    /// Runs it for a packet of another target.
    pub(crate) fn egress_of(&self, target: u32, frame: &[u8]) -> Run {
        self.run(PROGRAM_EGRESS, frame, target, 0)
    }

    /// Runs it for a packet that stands for several.
    pub(crate) fn egress_segments(&self, frame: &[u8], segments: u32) -> Run {
        self.run(PROGRAM_EGRESS, frame, TARGET, segments)
    }

    /// What a rule did so far.
    pub(crate) fn counters(&self, slot: u32) -> Counters {
        let values = self.object.maps.counters.get(&slot, 0).unwrap();
        let mut sum = Counters::default();
        for Plain(of_cpu) in values.iter() {
            sum += of_cpu;
        }
        sum
    }

    fn publish(&mut self) {
        let target = Plain(self.target);
        self.object.maps.targets.set(TARGET, target, 0).unwrap();
    }

    fn run(&self, program: &'static str, frame: &[u8], target: u32, segments: u32) -> Run {
        let packet = Packet {
            frame,
            target,
            segments,
        };
        self.beat();
        run(&self.object, program, packet, 1).unwrap()
    }

    /// As the agent does: to load another object takes longer than the programs wait for it, where a kernel is
    /// emulated.
    fn beat(&self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.borrow_mut().beat().unwrap();
        }
    }
}

/// Drops everything, both ways.
pub(crate) fn loss() -> Rule {
    Rule {
        target: TARGET,
        directions: EGRESS | INGRESS,
        fault: FAULT_LOSS,
        share_ppm: 1_000_000,
        flows_ppm: 1_000_000,
        most_len: u32::MAX,
        ..Rule::default()
    }
}

/// Delays everything, both ways, by 1 ms.
pub(crate) fn delay() -> Rule {
    Rule {
        fault: FAULT_DELAY,
        delay_ns: 1_000_000,
        ..loss()
    }
}
