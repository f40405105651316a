//! Whether a delay line loses anything because it is full: as many datagrams as one thread can send through 100 ms.

use std::time::Duration;

use anyhow::Result;
use chaos_tests::lab::Host;
use serde_json::{Value, json};

use super::{
    figure::{Figure, Goal, report},
    flood::{Drain, Flood},
    node::Node,
};

/// Payloads: of the smallest frame, and of a full one.
const SIZES: [usize; 2] = [22, 1400];

#[derive(clap::Args)]
pub(super) struct Options {
    /// Seconds for which each flood lasts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few million")]
pub(super) fn measure(options: &Options) -> Result<Value> {
    let node = Node::new()?;
    let engine = node.line_engine()?;
    let drain = Drain::new(&node.receiver)?;
    let (mut figures, mut details) = (Vec::new(), Vec::new());
    for size in SIZES {
        let (mut rates, mut plain_rates) = (Vec::new(), Vec::new());
        let (mut lost, mut plain_lost, mut sent) = (0, 0, 0);
        for _ in 0..options.rounds {
            let run = || {
                let time = Duration::from_secs(options.seconds);
                Flood::run(&node.sender, &node.receiver, &drain, size, time)
            };
            let plain = run()?;
            let dropped = (drops(&node.sender)?, drops(&node.receiver)?);
            let id = node.start("delay 100ms --proto udp")?;
            let held = run()?;
            let ended = node.stop(&id)?;
            let after = (drops(&node.sender)?, drops(&node.receiver)?);
            plain_rates.push(plain.rate() / 1e3);
            rates.push(held.rate() / 1e3);
            plain_lost += plain.lost();
            lost += held.lost();
            sent += held.sent;
            details.push(json!({
                "size": size,
                "without": { "sent": plain.sent, "arrived": plain.arrived, "no_room": plain.no_room },
                "with": { "sent": held.sent, "arrived": held.arrived, "no_room": held.no_room },
                "counters": ended["totals"],
                "dropped_by_devices_of_sender": after.0 as f64 - dropped.0 as f64,
                "dropped_by_devices_of_receiver": after.1 as f64 - dropped.1 as f64,
            }));
        }
        let plain = Figure::median("", "", &plain_rates).value;
        figures.push(
            Figure::median(
                format!("{size} bytes: through 100 ms"),
                "thousand/s",
                &rates,
            )
            .beside("no fault", plain),
        );
        figures.push(
            Figure::of(
                format!("{size} bytes: lost of {sent}"),
                "datagrams",
                lost as f64,
            )
            .beside("no fault", plain_lost as f64)
            .goal(Goal::AtMost(0.0)),
        );
    }
    drop(drain);
    node.end()?;
    report("queue", Some(&engine), &figures, &json!(details))
}

/// What all devices of a host have dropped so far.
fn drops(host: &Host) -> Result<u64> {
    let said = host.output("ip", &["-s", "-json", "link"], Duration::from_secs(30))?;
    let links = said.success()?.json()?;
    let links = links.as_array().into_iter().flatten();
    let of = |link: &Value, way: &str| link["stats64"][way]["dropped"].as_u64().unwrap_or(0);
    Ok(links.map(|link| of(link, "tx") + of(link, "rx")).sum())
}
