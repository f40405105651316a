//! A loaded classifier, run on packets of no network by `BPF_PROG_TEST_RUN`.

use std::time::Duration;

use anyhow::{Context, Result};
use aya::programs::{TestRun, TestRunOptions, TestRunResult};
use chaos_daemon::attach::Object;

/// Offsets in `struct __sk_buff` (linux/bpf.h).
const CB: usize = 48;
const WIRE_LEN: usize = 160;
const GSO_SEGS: usize = 164;
const CONTEXT_LEN: usize = 192;
/// Bytes of headers that each further segment of an offloaded packet has: Ethernet, IPv4, TCP.
const SEGMENT_HEADERS: u32 = 54;

/// A packet and how it comes.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Its bytes, from the Ethernet header on.
    pub frame: &'a [u8],
    /// Number of the target that it belongs to.
    pub target: u32,
    /// How many packets on the wire it stands for; 0 for one that is not offloaded.
    pub segments: u32,
}

/// What a run gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// What the program returned.
    pub verdict: u32,
    /// The packet afterwards.
    pub frame: Vec<u8>,
    /// How long one of the runs took, on average.
    pub took: Duration,
}

/// Runs a classifier of `object` on a packet, `times` over.
pub fn run(object: &Object, program: &'static str, packet: Packet<'_>, times: u32) -> Result<Run> {
    let mut context = [0; CONTEXT_LEN];
    context[CB..CB + 4].copy_from_slice(&packet.target.to_ne_bytes());
    if packet.segments > 0 {
        let one = u32::try_from(packet.frame.len()).context("a packet's length")?;
        let wire_len = one + (packet.segments - 1) * SEGMENT_HEADERS;
        context[GSO_SEGS..GSO_SEGS + 4].copy_from_slice(&packet.segments.to_ne_bytes());
        context[WIRE_LEN..WIRE_LEN + 4].copy_from_slice(&wire_len.to_ne_bytes());
    }
    let mut frame = vec![0; packet.frame.len() + 256];
    let result = object.classifier(program)?.test_run(TestRunOptions {
        data_in: Some(packet.frame),
        data_out: Some(&mut frame),
        ctx_in: Some(&context),
        repeat: times,
        ..TestRunOptions::new()
    })?;
    finished(&result, frame)
}

/// Runs the program for packets that arrive at the node, as if this one had come in by the loopback, `times` over.
pub fn run_arrival(object: &mut Object, frame: &[u8], times: u32) -> Result<Run> {
    let mut after = vec![0; frame.len() + 256];
    let result = object.arrival_mut()?.test_run(TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut after),
        repeat: times,
        ..TestRunOptions::new()
    })?;
    finished(&result, after)
}

fn finished(result: &TestRunResult, mut frame: Vec<u8>) -> Result<Run> {
    frame.truncate(usize::try_from(result.data_size_out).context("a packet's length")?);
    Ok(Run {
        verdict: result.return_value,
        frame,
        took: result.duration,
    })
}
