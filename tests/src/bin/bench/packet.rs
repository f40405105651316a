//! What the classifier takes for one packet, by `BPF_PROG_TEST_RUN`, beside an empty program.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use aya::maps::lpm_trie::Key;
use chaos_abi::{
    maps::PROGRAM_EGRESS,
    rule::{
        ARRIVAL, EGRESS, FAULT_DELAY, FAULT_LOSS, HAS_PEERS, PEER, PORT_OF_EITHER, PROTOCOL_TCP,
        PROTOCOL_UDP, PeerKey, PortRange, Rule, Window,
    },
    target::{Target, Wanted},
};
use chaos_daemon::attach::{Heartbeat, Object, Plain};
use chaos_tests::{
    packet::{Frame, tcp_flags},
    progrun::{self, Packet},
};
use serde_json::{Value, json};

use super::empty::{self, Empty};

/// The packet's target.
const TARGET: u32 = 5;
const MILLION: u32 = 1_000_000;
/// Number of the interface that packets come in by here.
const LOOPBACK: u32 = 1;
/// CIDRs of the rule that has many.
const CIDRS: u32 = 10_000;

#[derive(clap::Args)]
pub(super) struct Options {
    /// How often each case is measured, in turn
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Packets of one measurement
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    packets: u32,
    /// Only the empty program and cases whose name has this in it
    #[arg(long, default_value = "")]
    case: String,
}

/// What is measured, and how much more than the empty program it may take.
struct Case {
    name: &'static str,
    budget_ns: Option<u32>,
    program: Program,
}

enum Program {
    Empty(Empty),
    Classifier(Box<Object>, Heartbeat),
    Arrival(Box<Object>, Heartbeat),
}

/// Measures, and gives the figures as one object.
pub(super) fn measure(options: &Options) -> Result<Value> {
    let mut cases = cases()?;
    cases.retain(|case| case.budget_ns.is_none() || case.name.contains(&options.case));
    let mut figures: Vec<Vec<f64>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.repetitions {
        for (case, figures) in cases.iter_mut().zip(&mut figures) {
            figures.push(case.run(options.packets)?);
        }
    }
    let of = |(case, figures): (&Case, &Vec<f64>)| {
        json!({
            "name": case.name,
            "budget_ns_above_floor": case.budget_ns,
            "ns": figures,
        })
    };
    Ok(json!({
        "benchmark": "packet",
        "kernel_release": super::node::kernel_release()?,
        "packets": options.packets,
        "cases": cases.iter().zip(&figures).map(of).collect::<Vec<_>>(),
    }))
}

/// A rule that takes every TCP packet that leaves.
fn tcp() -> Rule {
    Rule {
        target: TARGET,
        directions: EGRESS,
        protocol: PROTOCOL_TCP,
        share_ppm: MILLION,
        flows_ppm: MILLION,
        most_len: u32::MAX,
        ..Rule::default()
    }
}

fn cases() -> Result<Vec<Case>> {
    let other = Rule {
        protocol: PROTOCOL_UDP,
        fault: FAULT_LOSS,
        ..tcp()
    };
    let elsewhere = Rule {
        flags: HAS_PEERS,
        fault: FAULT_LOSS,
        ..tcp()
    };
    let loss = Rule {
        fault: FAULT_LOSS,
        share_ppm: MILLION / 100,
        ..tcp()
    };
    let delay = Rule {
        fault: FAULT_DELAY,
        delay_ns: 1_000_000,
        ..tcp()
    };
    let jitter = Rule {
        jitter_ns: 500_000,
        ..delay
    };
    // The frame's port is 3000: it is another, and looks the same at a glance.
    let mut other_port = Rule {
        fault: FAULT_LOSS,
        port_count: 1,
        port_sides: PORT_OF_EITHER.into(),
        ..tcp()
    };
    other_port.ports[0] = PortRange {
        first: 3064,
        last: 3064,
        side: PORT_OF_EITHER,
        reserved: 0,
    };
    let case = |name, budget_ns, rules: &[Rule]| {
        Ok::<_, anyhow::Error>(Case {
            name,
            budget_ns: Some(budget_ns),
            program: loaded(rules)?,
        })
    };
    let mut many = case("10,000 CIDRs, none matches", 60, &[elsewhere])?;
    if let Program::Classifier(object, _) = &mut many.program {
        for number in 0..CIDRS {
            let [_, a, b, c] = number.to_be_bytes();
            let address = [
                0,
                0,
                0xffff_u32.to_be(),
                u32::from_ne_bytes([100 + a, b, c, 0]),
            ];
            let key = Key::new(32 + 96 + 24, Plain(PeerKey { set: 0, address }));
            object.maps.peers.insert(&key, PEER, 0)?;
        }
    }
    Ok(vec![
        Case {
            name: "empty program",
            budget_ns: None,
            program: Program::Empty(Empty::load(empty::CLASSIFIER)?),
        },
        case("1 rule, does not match", 12, &[other])?,
        case("16 rules, none matches", 40, &[other; 16])?,
        case("16 rules, none matches, nearly", 40, &[other_port; 16])?,
        case("16 rules, none of whose peers it is", 40, &[elsewhere; 16])?,
        many,
        case("loss of 1 %, matches", 40, &[loss])?,
        case("delay, matches: the decision", 90, &[delay])?,
        case("delay with jitter, likewise", 90, &[jitter])?,
        Case {
            name: "empty XDP program",
            budget_ns: None,
            program: Program::Empty(Empty::load(empty::XDP)?),
        },
        Case {
            name: "XDP, drops",
            budget_ns: Some(20),
            program: arriving(&Rule {
                directions: ARRIVAL,
                fault: FAULT_LOSS,
                ..tcp()
            })?,
        },
    ])
}

fn loaded(rules: &[Rule]) -> Result<Program> {
    let (object, heartbeat) = object(rules)?;
    Ok(Program::Classifier(object, heartbeat))
}

fn arriving(rule: &Rule) -> Result<Program> {
    let (mut object, heartbeat) = object(&[*rule])?;
    object.maps.arrivals.set(LOOPBACK, TARGET + 1, 0)?;
    Ok(Program::Arrival(object, heartbeat))
}

fn object(rules: &[Rule]) -> Result<(Box<Object>, Heartbeat)> {
    let mut object = Box::new(Object::load()?);
    let mut target = Target {
        ifindex: LOOPBACK,
        ..Target::default()
    };
    let armed = Window {
        start_ns: 0,
        deadline_ns: u64::MAX,
    };
    for (slot, rule) in (0..).zip(rules) {
        target.rules[target.rule_count as usize] = slot;
        target.rule_count += 1;
        Wanted::add(&mut target.wanted, rule);
        object.maps.rules.set(slot, Plain(*rule), 0)?;
        object.maps.windows.set(slot, Plain(armed), 0)?;
    }
    object.maps.targets.set(TARGET, Plain(target), 0)?;
    let heartbeat = object.heartbeat()?;
    Ok((object, heartbeat))
}

impl Case {
    /// Nanoseconds for a packet.
    fn run(&mut self, packets: u32) -> Result<f64> {
        let between = Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let frame = between.tcp(40_000, 3000, tcp_flags::ACK, &[0; 512]);
        let packet = Packet {
            frame: &frame,
            target: TARGET,
            segments: 0,
        };
        // A heartbeat is younger than 3 s while this runs.
        let run = match &mut self.program {
            Program::Empty(empty) => return empty.run(&frame, packets),
            Program::Classifier(object, heartbeat) => {
                heartbeat.beat()?;
                progrun::run(object, PROGRAM_EGRESS, packet, packets)?
            }
            Program::Arrival(object, heartbeat) => {
                heartbeat.beat()?;
                progrun::run_arrival(object, &frame, packets)?
            }
        };
        ensure!(
            run.frame == frame,
            "{}: the packet is not what it was",
            self.name
        );
        Ok(run.took.as_secs_f64() * 1e9)
    }
}
