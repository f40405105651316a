//! The measurements behind `cargo xtask bench`, on the kernel that this runs on. The figures are one JSON object on
//! stdout; what it is doing it says on stderr.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command: its result is what it prints"
)]

mod beside;
mod daemon;
mod empty;
mod exactness;
mod figure;
mod fleet;
mod flood;
mod node;
mod packet;
mod queue;
mod reaction;
mod relay;
mod throughput;
mod toolkit;
mod unmatched;

use anyhow::Result;
use clap::Parser;

/// Measures, and prints the figures as JSON.
#[derive(Parser)]
enum Arguments {
    /// Bulk TCP between two hosts of a lab, with and without a delay on the sender
    Throughput(throughput::Options),
    /// Nanoseconds that the classifier takes for a packet
    Packet(packet::Options),
    /// What traffic notices of a rule that does not match it
    Unmatched(unmatched::Options),
    /// How far a delay is off
    Exactness(exactness::Options),
    /// What a delay loses at the highest rate that one thread reaches
    Queue(queue::Options),
    /// How soon after `chaosctl` a fault acts, and ends
    Reaction(reaction::Options),
    /// Memory and time of the agent
    Daemon(daemon::Options),
    /// What a request costs on its way through the relay, beside nginx
    Relay(relay::Options),
    /// What is left for traffic that is not delayed beside traffic that is
    Beside(beside::Options),
    /// How soon `chaosctl` has planned for many pods, and armed them on many nodes
    Fleet(fleet::Options),
    /// What experiments of Chaos Toolkit's format take, beside Chaos Toolkit
    Toolkit(toolkit::Options),
}

fn main() -> Result<()> {
    let figures = match Arguments::parse() {
        Arguments::Throughput(options) => throughput::measure(&options)?,
        Arguments::Packet(options) => packet::measure(&options)?,
        Arguments::Unmatched(options) => unmatched::measure(&options)?,
        Arguments::Exactness(options) => exactness::measure(&options)?,
        Arguments::Queue(options) => queue::measure(&options)?,
        Arguments::Reaction(options) => reaction::measure(&options)?,
        Arguments::Daemon(options) => daemon::measure(&options)?,
        Arguments::Relay(options) => relay::measure(&options)?,
        Arguments::Beside(options) => beside::measure(&options)?,
        Arguments::Fleet(options) => fleet::measure(&options)?,
        Arguments::Toolkit(options) => toolkit::measure(&options)?,
    };
    println!("{figures}");
    Ok(())
}
