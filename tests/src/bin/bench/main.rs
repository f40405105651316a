//! The measurements behind `cargo xtask bench`, on the kernel that this runs on. The figures are one JSON object on
//! stdout; what it is doing it says on stderr.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command: its result is what it prints"
)]

mod empty;
mod packet;
mod throughput;

use anyhow::Result;
use clap::Parser;

/// Measures, and prints the figures as JSON.
#[derive(Parser)]
enum Arguments {
    /// Bulk TCP between two hosts of a lab, with and without a delay of 20 ms on the sender
    Throughput(throughput::Options),
    /// Nanoseconds that the classifier takes for a packet
    Packet(packet::Options),
}

fn main() -> Result<()> {
    let figures = match Arguments::parse() {
        Arguments::Throughput(options) => throughput::measure(&options)?,
        Arguments::Packet(options) => packet::measure(&options)?,
    };
    println!("{figures}");
    Ok(())
}
