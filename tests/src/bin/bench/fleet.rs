//! What `chaosctl` does before anything acts, for many pods on many nodes: the plan, and the way to all agents. The API
//! server and the agents are simulated, and share the machine with it.

use std::time::Duration;

use anyhow::Result;
use chaos_tests::fleet::{Large, Times};
use serde_json::{Value, json};

use super::figure::{Figure, Goal, report};

#[derive(clap::Args)]
pub(super) struct Options {
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Nodes, each with an agent
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
    nodes: u16,
    /// Pods behind the service
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pods: u16,
}

pub(super) fn measure(options: &Options) -> Result<Value> {
    let (mut alone, mut many) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        alone.push(Large::new(1, 1)?.delay("1s")?);
        many.push(Large::new(options.nodes, options.pods)?.delay("2s")?);
    }
    let scene = format!("{} pods on {} nodes", options.pods, options.nodes);
    let figure = |what: &str, time: fn(&Times) -> Duration, goal| {
        let of = |times: &[Times]| Figure::median("", "", &milliseconds(times, time)).value;
        Figure::median(format!("{scene}: {what}"), "ms", &milliseconds(&many, time))
            .beside("1 pod on 1 node", of(&alone))
            .goal(Goal::AtMost(goal))
    };
    let figures = [
        figure("planned", |times| times.planned, 1000.0),
        figure("armed everywhere", |times| times.armed, 3000.0),
        figure("spread of the start", |times| times.spread, 250.0),
    ];
    let rounds = |times: &[Times]| -> Vec<String> {
        times.iter().map(|times| format!("{times:?}")).collect()
    };
    let details = json!({ "many": rounds(&many), "one": rounds(&alone) });
    report("fleet", None, &figures, &details)
}

fn milliseconds(times: &[Times], time: fn(&Times) -> Duration) -> Vec<f64> {
    let milliseconds = |times: &Times| time(times).as_secs_f64() * 1000.0;
    times.iter().map(milliseconds).collect()
}
