//! The life of experiments, against a kernel that only remembers what it was told.

mod ends;
mod rules;

use std::collections::BTreeMap;

pub(crate) use super::update::tests::{repoint, running};
use super::*;
use crate::netns::Netns;

/// What the engine told the kernel, in order, and what the kernel is to answer.
#[derive(Debug)]
pub(crate) struct Script {
    /// Made when the test began: deadlines are told from here, to the second.
    began: Instant,
    pub(super) log: Vec<String>,
    next: u64,
    pub(super) refuse: Option<&'static str>,
    pub(super) refuse_arm: bool,
    pub(super) health: BTreeMap<u64, Health>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            log: Vec::new(),
            next: 0,
            refuse: None,
            refuse_arm: false,
            health: BTreeMap::new(),
        }
    }
}

impl Script {
    fn second(&self, until: Instant) -> String {
        let half = Duration::from_millis(500);
        let since = until.saturating_duration_since(self.began) + half;
        format!("until {}s", since.as_secs())
    }
}

impl Datapath for Script {
    fn install(&mut self, target: &Target, _: &Spec) -> Result<Installation, DatapathError> {
        if self.refuse == Some(target.name.as_str()) {
            return Err(DatapathError::TargetGone);
        }
        self.next += 1;
        self.log
            .push(format!("install {} {}", self.next, target.name));
        Ok(Installation(self.next))
    }
    fn stage(
        &mut self,
        Installation(number): Installation,
        target: &Target,
        _: &Spec,
    ) -> Result<(), DatapathError> {
        if self.refuse == Some(target.name.as_str()) {
            return Err(DatapathError::TargetGone);
        }
        self.log.push(format!("stage {number}"));
        Ok(())
    }
    fn switch(
        &mut self,
        installations: &[Installation],
        until: Option<Instant>,
    ) -> Result<(), DatapathError> {
        if self.refuse_arm {
            return Err(DatapathError::TargetGone);
        }
        let numbers = numbers(installations);
        let until = until.map_or_else(|| "not yet".to_owned(), |until| self.second(until));
        self.log.push(format!("switch {numbers} {until}"));
        Ok(())
    }
    fn unstage(&mut self, installations: &[Installation]) {
        self.log.push(format!("unstage {}", numbers(installations)));
    }
    fn extend(
        &mut self,
        installations: &[Installation],
        until: Instant,
    ) -> Result<(), DatapathError> {
        let numbers = numbers(installations);
        let until = self.second(until);
        self.log.push(format!("extend {numbers} {until}"));
        Ok(())
    }
    fn arm(&mut self, installations: &[Installation], until: Instant) -> Result<(), DatapathError> {
        if self.refuse_arm {
            return Err(DatapathError::TargetGone);
        }
        let (numbers, until) = (numbers(installations), self.second(until));
        self.log.push(format!("arm {numbers} {until}"));
        Ok(())
    }
    fn disarm(&mut self, installations: &[Installation]) {
        self.log.push(format!("disarm {}", numbers(installations)));
    }
    fn remove(&mut self, installations: Vec<Installation>) {
        self.log.push(format!("remove {}", numbers(&installations)));
    }
    fn protect(&mut self, list: &[Protected]) -> Result<(), DatapathError> {
        self.log.push(format!("protect {list:?}"));
        Ok(())
    }
    fn counters(&mut self, Installation(number): Installation) -> Vec<Counters> {
        let packets = PacketCounters {
            matched_packets: number * 10,
            ..PacketCounters::default()
        };
        vec![packets.into()]
    }
    fn health(&mut self, Installation(number): Installation, _: &Target) -> Health {
        self.health.get(&number).copied().unwrap_or(Health::Fine)
    }
}

fn numbers(installations: &[Installation]) -> String {
    let numbers: Vec<String> = installations
        .iter()
        .map(|Installation(number)| number.to_string())
        .collect();
    numbers.join(",")
}

pub(super) fn spec(detached: bool) -> Spec {
    Spec {
        selector: Selector {
            at: Where::Netns("provider-1".into()),
            interface: None,
        },
        rules: vec![Rule {
            filter: Filter::default(),
            fault: Fault::Partition {
                reject: false,
                share: crate::engine::Share::ALL,
            },
            pulse: None,
        }],
        duration: Duration::from_secs(30),
        detached,
        grace: Duration::from_secs(5),
        seed: 1,
        include_probes: false,
    }
}

pub(super) fn targets(names: &[&str]) -> Vec<Target> {
    let target = |name: &&str| Target {
        name: (*name).to_owned(),
        netns: Netns::own().unwrap(),
        interface: "eth0".into(),
        ifindex: 2,
        cgroup: None,
        pod: None,
        spared: Vec::new(),
    };
    names.iter().map(target).collect()
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn armed(detached: bool, names: &[&str], start: Instant) -> Engine<Script> {
    let mut engine = Engine::new(Script::default());
    engine
        .prepare("a".into(), spec(detached), targets(names), None, start)
        .unwrap();
    engine.arm("a", start).unwrap();
    engine
}

pub(super) fn reason(engine: &mut Engine<Script>) -> Option<EndReason> {
    match &engine.status("a").unwrap().state {
        State::Ended(ending) => Some(ending.reason),
        State::Prepared | State::Armed => None,
    }
}

pub(super) fn losing_every(count: u32) -> Vec<Rule> {
    vec![Rule {
        filter: Filter::default(),
        fault: Fault::Loss(Choice::Every(count)),
        pulse: None,
    }]
}

pub(super) fn armed_loss(names: &[&str], start: Instant) -> Engine<Script> {
    let mut engine = Engine::new(Script::default());
    let spec = Spec {
        rules: losing_every(2),
        ..spec(true)
    };
    engine
        .prepare("a".into(), spec, targets(names), None, start)
        .unwrap();
    engine.arm("a", start).unwrap();
    engine
}

#[test]
fn one_refusal_undoes_all() {
    let mut engine = Engine::new(Script {
        refuse: Some("three"),
        ..Script::default()
    });
    let error = engine
        .prepare(
            "a".into(),
            spec(true),
            targets(&["one", "two", "three"]),
            None,
            Instant::now(),
        )
        .unwrap_err();
    assert!(
        error.to_string().contains("cannot prepare three"),
        "{error}"
    );
    assert_eq!(engine.list(true).count(), 0);
    assert_eq!(
        engine.into_datapath().log,
        ["install 1 one", "install 2 two", "remove 1,2"]
    );
}

#[test]
fn failed_arm_takes_everything_away() {
    let start = Instant::now();
    let mut engine = Engine::new(Script {
        refuse_arm: true,
        ..Script::default()
    });
    engine
        .prepare("a".into(), spec(true), targets(&["one"]), None, start)
        .unwrap();
    assert!(engine.arm("a", start).is_err());
    assert_eq!(reason(&mut engine), Some(EndReason::Failed));
    assert_eq!(
        engine.into_datapath().log,
        ["install 1 one", "disarm 1", "remove 1"]
    );
}

#[test]
fn arming_twice_does_not_prolong() {
    let start = Instant::now();
    let mut engine = armed(true, &["one"], start);
    assert!(matches!(
        engine.arm("a", start + seconds(20)),
        Err(EngineError::AlreadyArmed { .. })
    ));
    engine.wake("a", start + seconds(30));
    assert_eq!(reason(&mut engine), Some(EndReason::Expired));
}

#[test]
fn history_is_bounded() {
    let now = Instant::now();
    let mut engine = Engine::new(Script::default());
    for number in 0..HISTORY + 5 {
        engine
            .prepare(number.to_string(), spec(true), targets(&["one"]), None, now)
            .unwrap();
        engine.stop(&number.to_string(), Ending::stopped()).unwrap();
    }
    assert_eq!(engine.list(true).count(), HISTORY);
    assert_eq!(
        engine.list(true).next().unwrap().id,
        (HISTORY + 4).to_string()
    );
    assert_eq!(engine.list(false).count(), 0);
}
