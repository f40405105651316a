//! What traffic that is not delayed gets while other traffic of the same interface is: with a rule that takes only that,
//! with netem, which takes all, and without either.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use chaos_tests::{
    lab::Family,
    stats::median,
    traffic::{Series, TcpServer, bulk_tcp, tcp_rtt},
};
use serde_json::{Value, json};

use super::{
    figure::{Figure, Goal, report},
    node::{Node, add_netem, delete_netem},
};

/// Ports that the delayed traffic goes to.
const PORT: u16 = 9;
/// What traffic beside the rule is to get of what it gets beside netem.
const GOAL: f64 = 5.0;

#[derive(clap::Args)]
pub(super) struct Options {
    /// How often each way is measured, in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of one measurement of throughput
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Milliseconds that the other traffic is delayed by
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    latency: u64,
    /// Datagrams a second of the traffic that is delayed
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    load: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    NoFault,
    Rule,
    Netem,
}

/// What one measurement gave.
#[derive(Clone, Copy)]
struct Got {
    gbit: f64,
    /// Requests that one connection has answered in a second, one after the other.
    requests: f64,
}

type Part = fn(&Got) -> f64;

pub(super) fn measure(options: &Options) -> Result<Value> {
    let node = Node::new()?;
    let engine = node.line_engine()?;
    let mut got = [Way::NoFault, Way::Rule, Way::Netem].map(|way| (way, Vec::new()));
    for _ in 0..options.rounds {
        for (way, got) in &mut got {
            got.push(one(&node, *way, options)?);
        }
    }
    node.end()?;
    let [(_, no_fault), (_, rule), (_, netem)] = &got;
    let mut figures = Vec::new();
    let parts: [(&str, &str, Part); 2] = [
        ("bulk TCP", "Gbit/s", |got| got.gbit),
        ("requests over one connection", "a second", |got| {
            got.requests
        }),
    ];
    for (name, unit, part) in parts {
        let list = |got: &[Got]| got.iter().map(part).collect::<Vec<f64>>();
        let (no_fault, rule, netem) = (list(no_fault), list(rule), list(netem));
        let plain = Figure::median(format!("{name}, no fault"), unit, &no_fault);
        let by_netem = Figure::median(
            format!("{name} beside {} ms by netem", options.latency),
            unit,
            &netem,
        )
        .beside("no fault", plain.value);
        let netems = by_netem.value;
        figures.push(
            Figure::median(
                format!("{name} beside {} ms by a rule", options.latency),
                unit,
                &rule,
            )
            .beside("no fault", plain.value),
        );
        figures.push(by_netem);
        figures.push(plain);
        let ratios: Vec<f64> = rule
            .iter()
            .zip(&netem)
            .map(|(rule, netem)| rule / netem)
            .collect();
        figures.push(
            Figure::median(format!("{name}: of netem's"), "ratio", &ratios)
                .beside(format!("netem's, in {unit}"), netems)
                .goal(Goal::AtLeast(GOAL)),
        );
    }
    report(
        "beside",
        Some(&engine),
        &figures,
        &json!({ "load_per_second": options.load }),
    )
}

fn one(node: &Node, way: Way, options: &Options) -> Result<Got> {
    let latency = format!("{}ms", options.latency);
    let id = match way {
        Way::NoFault => None,
        Way::Netem => {
            add_netem(&node.sender, &latency)?;
            None
        }
        Way::Rule => Some(node.start(&format!("delay {latency} --proto udp --peer-port {PORT}"))?),
    };
    let got = under_load(node, options);
    if way == Way::Netem {
        delete_netem(&node.sender)?;
    }
    if let Some(id) = id {
        let ended = node.stop(&id)?;
        let delayed = ended["totals"]["delayed_packets"].as_u64();
        anyhow::ensure!(delayed > Some(0), "nothing was delayed: {ended}");
    }
    got
}

fn under_load(node: &Node, options: &Options) -> Result<Got> {
    let (from, to) = (&node.sender, &node.receiver);
    let socket = from.run(|| UdpSocket::bind(from.socket_address(Family::V4, 0)))??;
    let sink = to.run(|| UdpSocket::bind(to.socket_address(Family::V4, PORT)))?;
    let _sink = sink.context("take the port of the delayed traffic")?;
    let ends = AtomicBool::new(false);
    let to_port = to.socket_address(Family::V4, PORT);
    thread::scope(|scope| {
        let load = scope.spawn(|| send(&socket, to_port, options.load, &ends));
        let measured = || {
            let (warm_up, time) = (Duration::from_secs(2), Duration::from_secs(options.seconds));
            let gbit = bulk_tcp(from, to, Family::V4, warm_up, time)?.gbit_per_s();
            let server = TcpServer::echo(to, Family::V4, 0)?;
            // Slow enough for one at a time, so that each is a round trip and nothing else.
            let times = tcp_rtt(from, &server, Series::new(40, 8))?;
            Ok(Got {
                gbit,
                requests: 1.0 / median(&times.all()).as_secs_f64(),
            })
        };
        let got = measured();
        ends.store(true, Ordering::Relaxed);
        load.join().map_err(|_| anyhow!("the load panicked"))?;
        got
    })
}

/// Sends datagrams at their times until told to end.
fn send(socket: &UdpSocket, to: SocketAddr, rate: u32, ends: &AtomicBool) {
    let interval = Duration::from_secs(1) / rate.max(1);
    let mut next = Instant::now();
    while !ends.load(Ordering::Relaxed) {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next += interval;
        // One that fails is one less.
        let _failed = socket.send_to(&[0x5a; 512], to);
    }
}
