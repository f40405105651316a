//! How exact a delay is: what datagrams take more than before, beside what was asked for.

use std::time::Duration;

use anyhow::{Result, ensure};
use chaos_tests::{
    stats::percentile,
    traffic::{Series, UdpProbe},
};
use serde_json::{Value, json};

use super::{
    figure::{Figure, Goal, report},
    node::Node,
};

const LATENCIES_MS: [u64; 2] = [20, 100];
/// Percentile, and microseconds that it may be off on an idle machine.
const GOALS: [(f64, f64); 2] = [(50.0, 50.0), (99.0, 500.0)];

#[derive(clap::Args)]
pub(super) struct Options {
    /// How often everything is measured, in turn
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Datagrams of each measurement
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..))]
    datagrams: u32,
    /// Datagrams a second
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
}

/// Times of one measurement.
type Times = Vec<Duration>;

pub(super) fn measure(options: &Options) -> Result<Value> {
    let node = Node::new()?;
    let engine = node.line_engine()?;
    let times = || -> Result<Times> {
        let probe = UdpProbe {
            series: Series::new(options.datagrams, options.rate),
            ..UdpProbe::default()
        };
        let report = probe.run(&node.sender, &node.receiver)?;
        ensure!(report.lost() == 0, "{} datagrams were lost", report.lost());
        Ok(report.one_way.into_iter().flatten().collect())
    };
    let mut before = Vec::new();
    let mut during = LATENCIES_MS.map(|latency| (latency, Vec::new()));
    for _ in 0..options.rounds {
        before.push(times()?);
        for (latency, during) in &mut during {
            let id = node.start(&format!("delay {latency}ms"))?;
            during.push(times()?);
            node.stop(&id)?;
        }
    }
    node.end()?;
    let mut figures = Vec::new();
    for (latency, during) in &during {
        for (percent, goal) in GOALS {
            let errors: Vec<f64> = during
                .iter()
                .zip(&before)
                .map(|(during, before)| {
                    let asked = Duration::from_millis(*latency) + percentile(before, percent);
                    micros(percentile(during, percent).abs_diff(asked))
                })
                .collect();
            let plain: Vec<f64> = before
                .iter()
                .map(|times| micros(percentile(times, percent)))
                .collect();
            let plain = Figure::median("", "", &plain).value;
            let name = format!("{latency} ms: error of the {percent}th percentile");
            figures.push(
                Figure::median(name, "µs", &errors)
                    .beside("without delay it takes", plain)
                    .goal(Goal::AtMost(goal)),
            );
        }
    }
    let percentiles = |rounds: &[Times]| -> Vec<Value> {
        let of =
            |times: &Times| json!(GOALS.map(|(percent, _)| micros(percentile(times, percent))));
        rounds.iter().map(of).collect()
    };
    let details = json!({
        "percentiles": GOALS.map(|goal| goal.0),
        "unit": "µs",
        "without": percentiles(&before),
        "with": during.iter().map(|(latency, during)| json!({ "latency_ms": latency, "rounds": percentiles(during) })).collect::<Vec<_>>(),
    });
    report("exactness", Some(&engine), &figures, &details)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
