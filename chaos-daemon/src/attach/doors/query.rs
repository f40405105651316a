//! Which programs a network namespace asks at the look-up of sockets: aya tells it of other kinds only.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, RawFd},
};

use aya::programs::loaded_programs;
use chaos_abi::door::PROGRAM_DOOR;

// From `linux/bpf.h`.
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_SK_LOOKUP: u32 = 36;
/// As many as may be attached to one namespace.
const MOST: usize = 64;

/// What `bpf(2)` takes for it; the kernel writes into it.
#[repr(C)]
struct Query {
    namespace: RawFd,
    attach_type: u32,
    flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    reserved: u32,
}

/// Numbers of the programs that the namespace asks.
pub(super) fn attached(namespace: &File) -> io::Result<Vec<u32>> {
    let mut programs = vec![0_u32; MOST];
    let mut query = Query {
        namespace: namespace.as_raw_fd(),
        attach_type: BPF_SK_LOOKUP,
        flags: 0,
        attach_flags: 0,
        programs: programs.as_mut_ptr().addr() as u64,
        count: u32::try_from(MOST).unwrap_or_default(),
        reserved: 0,
    };
    // SAFETY: pointer and length are those of `query`, whose own pointer is to as many numbers as it says, and outlives the
    // call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_QUERY,
            &raw mut query,
            size_of::<Query>(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    programs.truncate(query.count as usize);
    Ok(programs)
}

/// Whether the namespace asks a door's program. Where the kernel does not say, it does not.
pub(super) fn has_door(namespace: &File) -> bool {
    let Ok(attached) = attached(namespace) else {
        return false;
    };
    // Most have none, and then nobody goes through all programs of the kernel.
    !attached.is_empty()
        && loaded_programs().flatten().any(|program| {
            attached.contains(&program.id()) && program.name_as_str() == Some(PROGRAM_DOOR)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_attached_to_a_new_namespace() {
        let scratch = crate::netns::Scratch::new().unwrap();
        let found = scratch.run(|| attached(&File::open("/proc/thread-self/ns/net").unwrap()));
        assert_eq!(found.unwrap().unwrap(), [] as [u32; 0]);
    }
}
