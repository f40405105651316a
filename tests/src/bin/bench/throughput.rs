//! What goes through a delay: bulk TCP between two hosts of a lab, without, with ours, and with netem.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chaos_tests::{
    daemon::Daemon,
    lab::{Family, Host, Lab},
    traffic::bulk_tcp,
};
use serde_json::{Value, json};

use super::node::{add_netem, delete_netem, kernel_release};

#[derive(clap::Args)]
pub(super) struct Options {
    /// How often each way is measured, in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Seconds that count, each time
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// What the rule and netem delay every packet of the sender by
    #[arg(long, default_value = "20ms")]
    latency: String,
    /// Seconds before them that do not: TCP starts slowly
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Let a connection's buffers grow to this many MiB; by the kernel's default it is the window that limits how much
    /// goes through a delay
    #[arg(long)]
    buffer_mib: Option<u32>,
}

/// One way from the sender to the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    NoFault,
    Rule,
    Netem,
}

impl Way {
    const ALL: [Self; 3] = [Self::NoFault, Self::Rule, Self::Netem];

    const fn name(self) -> &'static str {
        match self {
            Self::NoFault => "no fault",
            Self::Rule => "rule",
            Self::Netem => "netem",
        }
    }
}

/// Two hosts, and the agent that delays what the sender sends.
struct Bench {
    sender: Host,
    receiver: Host,
    daemon: Daemon,
    netem_missing: Option<String>,
    engine: Option<String>,
    _lab: Lab,
}

/// Measures, and gives the figures as one object.
pub(super) fn measure(options: &Options) -> Result<Value> {
    Bench::new()?.throughput(options)
}

impl Bench {
    fn new() -> Result<Self> {
        let lab = Lab::new("bench")?;
        let (sender, receiver) = (lab.host("sender")?, lab.host("receiver")?);
        let daemon = Daemon::start(&lab)?;
        let mut bench = Self {
            sender,
            receiver,
            daemon,
            netem_missing: None,
            engine: None,
            _lab: lab,
        };
        bench.netem_missing = match add_netem(&bench.sender, "1ms") {
            Ok(()) => delete_netem(&bench.sender).map(|()| None)?,
            Err(error) => Some(format!("{error:#}")),
        };
        Ok(bench)
    }

    /// Measures every way in turn.
    fn throughput(&mut self, options: &Options) -> Result<Value> {
        if let Some(mib) = options.buffer_mib {
            self.let_buffers_grow(mib)?;
        }
        let mut figures = Way::ALL.map(|way| (way, Vec::new()));
        for repetition in 0..options.repetitions {
            // The two that are compared stand side by side, each as often first as the other.
            let order = if repetition % 2 == 0 {
                [0, 1, 2]
            } else {
                [0, 2, 1]
            };
            for index in order {
                let (way, gbits) = &mut figures[index];
                if *way == Way::Netem && self.netem_missing.is_some() {
                    continue;
                }
                let gbit = self.measure(*way, options)?;
                eprintln!(
                    "bench: {} of {}: {}: {gbit:.2} Gbit/s",
                    repetition + 1,
                    options.repetitions,
                    way.name()
                );
                gbits.push(gbit);
            }
        }
        let ended = self.daemon.stop()?;
        ensure!(ended.success(), "chaos-daemon did not end well: {ended}");
        let [(_, no_fault), (_, rule), (_, netem)] = &figures;
        Ok(json!({
            "benchmark": "throughput",
            "kernel_release": kernel_release()?,
            "emulated": chaos_tests::requires::is_emulated(),
            "line_engine": self.engine,
            "latency": options.latency,
            "seconds": options.seconds,
            "buffer_mib": options.buffer_mib,
            "no_fault_gbit_per_s": no_fault,
            "rule_gbit_per_s": rule,
            "netem_gbit_per_s": netem,
            "netem_missing": self.netem_missing,
        }))
    }

    /// The limits belong to a network namespace: only the two hosts' change.
    fn let_buffers_grow(&self, mib: u32) -> Result<()> {
        let limits = format!("4096 131072 {}", u64::from(mib) << 20);
        for host in [&self.sender, &self.receiver] {
            host.run(|| {
                ["tcp_rmem", "tcp_wmem"].into_iter().try_for_each(|name| {
                    std::fs::write(format!("/proc/sys/net/ipv4/{name}"), &limits)
                })
            })?
            .context("let TCP's buffers grow")?;
        }
        Ok(())
    }

    /// Gbit/s of payload that go this way.
    fn measure(&mut self, way: Way, options: &Options) -> Result<f64> {
        let transfer = || -> Result<f64> {
            let (warm_up, counted) = (options.warm_up, options.seconds);
            let (warm_up, counted) = (Duration::from_secs(warm_up), Duration::from_secs(counted));
            let (from, to) = (&self.sender, &self.receiver);
            Ok(bulk_tcp(from, to, Family::V4, warm_up, counted)?.gbit_per_s())
        };
        match way {
            Way::NoFault => transfer(),
            Way::Netem => {
                add_netem(&self.sender, &options.latency)?;
                let gbit = transfer();
                delete_netem(&self.sender)?;
                gbit
            }
            Way::Rule => {
                let netns = self.sender.netns_name();
                let armed = self.chaosctl(&[
                    "delay",
                    "--netns",
                    netns,
                    &options.latency,
                    "--duration",
                    "1h",
                    "--detach",
                ])?;
                let gbit = transfer()?;
                let id = armed["experiment"]["id"].as_str().unwrap_or_default();
                let stopped = self.chaosctl(&["stop", id])?;
                let totals = &stopped["experiments"][0]["totals"];
                let delayed = totals["delayed_packets"].as_u64().unwrap_or_default();
                let undelayed = totals["undelayed_packets"].as_u64().unwrap_or_default();
                ensure!(
                    delayed > 0 && undelayed == 0,
                    "{delayed} packets were delayed and {undelayed} that should have been were not: {}",
                    self.daemon.log_tail()
                );
                self.engine = armed["experiment"]["line_engine"]
                    .as_str()
                    .map(str::to_owned);
                Ok(gbit)
            }
        }
    }

    fn chaosctl(&self, arguments: &[&str]) -> Result<Value> {
        let arguments = [arguments, &["-o", "json"]].concat();
        self.daemon.chaosctl(&arguments)?.success()?.json()
    }
}
