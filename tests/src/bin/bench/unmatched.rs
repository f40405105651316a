//! What traffic that no rule takes notices of one: throughput of TCP, and small datagrams.

use std::time::Duration;

use anyhow::Result;
use chaos_tests::{lab::Family, traffic::bulk_tcp};
use serde_json::{Value, json};

use super::{
    figure::{Figure, Goal, report},
    flood::{Drain, Flood},
    node::Node,
};

/// Attached both ways, with a line of its own; nobody uses the port.
const RULE: &str = "delay 100ms --port 9 --direction both";
/// Payload of a frame of 64 bytes, as Ethernet counts them without its checksum.
const SMALL: usize = 64 - 14 - 20 - 8;
/// Of what goes through without the rule.
const GOAL: f64 = 0.97;

#[derive(clap::Args)]
pub(super) struct Options {
    /// How often each is measured with and without the rule, by turns
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Milliseconds of one measurement
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..))]
    milliseconds: u64,
}

/// A way to measure, in what its unit is.
struct Traffic<'a> {
    name: &'static str,
    unit: &'static str,
    measure: &'a dyn Fn() -> Result<f64>,
}

pub(super) fn measure(options: &Options) -> Result<Value> {
    let node = Node::new()?;
    let engine = node.line_engine()?;
    let time = Duration::from_millis(options.milliseconds);
    let (from, to) = (&node.sender, &node.receiver);
    let tcp = || {
        let warm_up = Duration::from_millis(300);
        Ok(bulk_tcp(from, to, Family::V4, warm_up, time)?.gbit_per_s())
    };
    let drain = Drain::new(to)?;
    let udp = || Ok(Flood::run(from, to, &drain, SMALL, time)?.rate() / 1e3);
    let kinds = [
        Traffic {
            name: "bulk TCP",
            unit: "Gbit/s",
            measure: &tcp,
        },
        Traffic {
            name: "UDP, 64 bytes",
            unit: "thousand/s",
            measure: &udp,
        },
    ];
    let (mut figures, mut details) = (Vec::new(), Vec::new());
    for kind in kinds {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            // Each as often first as the other: what drifts, drifts for both.
            for rule in [round % 2 == 0, round % 2 == 1] {
                let id = rule.then(|| node.start(RULE)).transpose()?;
                let value = (kind.measure)()?;
                if let Some(id) = id {
                    node.stop(&id)?;
                }
                if rule { &mut with } else { &mut without }.push(value);
            }
        }
        let ratios: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a / b).collect();
        let name = |what| format!("{}: {what}", kind.name);
        let plain = Figure::median(name("without"), kind.unit, &without);
        figures.push(
            Figure::median(name("beside a rule that does not match"), kind.unit, &with)
                .beside("nothing attached", plain.value),
        );
        figures.push(
            Figure::median(name("of nothing attached"), "ratio", &ratios)
                .beside(format!("without, in {}", kind.unit), plain.value)
                .goal(Goal::AtLeast(GOAL)),
        );
        details.push(
            json!({ "name": kind.name, "unit": kind.unit, "without": without, "with": with }),
        );
    }
    drop(drain);
    node.end()?;
    report("unmatched", Some(&engine), &figures, &json!(details))
}
