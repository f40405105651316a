//! A loaded classifier, run on packets of no network by `BPF_PROG_TEST_RUN`.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd as _, BorrowedFd},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
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

/// A connection that is asked for, as the socket look-up's programs see it: `struct bpf_sk_lookup`. By which interface it
/// comes, a test run cannot say.
#[derive(Debug, Clone, Copy)]
pub struct Lookup {
    /// Who asks.
    pub peer: SocketAddr,
    /// What for.
    pub local: SocketAddr,
    /// `IPPROTO_TCP` or another.
    pub protocol: u8,
}

/// `AF_INET` and `AF_INET6`.
const FAMILIES: [u32; 2] = [2, 10];
const LOOKUP_LEN: usize = 72;

impl Lookup {
    fn context(&self) -> [u8; LOOKUP_LEN] {
        let mut context = [0; LOOKUP_LEN];
        let mut put =
            |at: usize, bytes: &[u8]| context[at..at + bytes.len()].copy_from_slice(bytes);
        let [v4, v6] = FAMILIES;
        put(8, &if self.peer.is_ipv4() { v4 } else { v6 }.to_ne_bytes());
        put(12, &u32::from(self.protocol).to_ne_bytes());
        for (address, v4_at) in [(self.peer, 16), (self.local, 40)] {
            match address.ip() {
                IpAddr::V4(address) => put(v4_at, &address.octets()),
                IpAddr::V6(address) => put(v4_at + 4, &address.octets()),
            }
        }
        put(36, &self.peer.port().to_be_bytes());
        put(60, &u32::from(self.local.port()).to_ne_bytes());
        context
    }
}

/// `bpf_attr` of `BPF_PROG_TEST_RUN` (linux/bpf.h).
#[repr(C)]
#[derive(Default)]
struct TestRunAttributes {
    program: u32,
    verdict: u32,
    sizes: [u32; 2],
    data: [u64; 2],
    repeat: u32,
    took_ns: u32,
    context_sizes: [u32; 2],
    contexts: [u64; 2],
    flags: [u32; 3],
    _reserved: u32,
}

/// Runs a loaded program at the socket look-up on a connection, `times` over: gives its verdict, the cookie of the socket
/// that it chose, 0 for none, and how long a run took.
pub fn run_lookup(
    program: BorrowedFd<'_>,
    asked: &Lookup,
    times: u32,
) -> Result<(u32, u64, Duration)> {
    const BPF_PROG_TEST_RUN: libc::c_int = 10;
    let (before, mut after) = (asked.context(), [0_u8; LOOKUP_LEN]);
    let length = u32::try_from(LOOKUP_LEN)?;
    let mut attributes = TestRunAttributes {
        program: u32::try_from(program.as_raw_fd())?,
        repeat: times,
        context_sizes: [length; 2],
        contexts: [before.as_ptr() as u64, after.as_mut_ptr() as u64],
        ..TestRunAttributes::default()
    };
    // SAFETY: the attributes say how long both contexts are, and both live until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_TEST_RUN,
            &raw mut attributes,
            size_of_val(&attributes),
        )
    };
    ensure!(result == 0, "run a program: {}", io::Error::last_os_error());
    let cookie = u64::from_ne_bytes(after[..8].try_into()?);
    let took = Duration::from_nanos(attributes.took_ns.into());
    Ok((attributes.verdict, cookie, took))
}
