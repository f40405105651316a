//! A program that does nothing: what the kernel itself takes to run one.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use anyhow::{Context, Result};

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_TEST_RUN: libc::c_long = 10;
/// `r0 = …`, as `struct bpf_insn` (linux/bpf.h) lays it out.
const RETURNS: u64 = 0x0000_00b7;
/// `exit`.
const EXIT: u64 = 0x0000_0095;

/// What a program is for: its type and what it returns, which is to do nothing.
#[derive(Clone, Copy)]
pub(super) struct Kind(u32, u32);

/// `BPF_PROG_TYPE_SCHED_CLS`, `TC_ACT_UNSPEC`.
pub(super) const CLASSIFIER: Kind = Kind(3, u32::MAX);
/// `BPF_PROG_TYPE_XDP`, `XDP_DROP`: what is compared with it drops, too.
pub(super) const XDP: Kind = Kind(6, 1);

/// The beginning of `union bpf_attr` for loading (linux/bpf.h); what is not given is zero.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instructions: u32,
    program: u64,
    license: u64,
    log: [u32; 4],
    version_and_flags: [u32; 2],
}

/// The same for running.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    returned: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration_ns: u32,
    context: [u64; 3],
    flags_and_cpu: [u32; 2],
}

/// The program.
pub(super) struct Empty(OwnedFd);

impl Empty {
    pub(super) fn load(Kind(kind, verdict): Kind) -> Result<Self> {
        let program = [u64::from(verdict) << 32 | RETURNS, EXIT];
        let mut load = Load {
            kind,
            instructions: 2,
            program: program.as_ptr().addr() as u64,
            license: c"GPL".as_ptr().addr() as u64,
            ..Load::default()
        };
        let descriptor = bpf(BPF_PROG_LOAD, &mut load).context("load an empty program")?;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Nanoseconds for a packet.
    pub(super) fn run(&self, frame: &[u8], packets: u32) -> Result<f64> {
        let mut run = TestRun {
            program: self.0.as_raw_fd().cast_unsigned(),
            data_size_in: u32::try_from(frame.len())?,
            data_in: frame.as_ptr().addr() as u64,
            repeat: packets,
            ..TestRun::default()
        };
        bpf(BPF_PROG_TEST_RUN, &mut run).context("run an empty program")?;
        Ok(run.duration_ns.into())
    }
}

fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the pointer and the length are those of `attributes`, whose own pointers outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    match i32::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}
