//! Switches of a network namespace, written also where `/proc/sys` is read-only, as in most containers.

use std::{
    ffi::{CStr, c_int, c_uint},
    fs::{self, File},
    io::{self, Write as _},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};

/// Writes a switch of the calling thread's namespace, by its path below `/proc/sys`.
pub(super) fn write_setting(name: &str, value: &str) -> io::Result<()> {
    match fs::write(format!("/proc/sys/{name}"), value) {
        Err(error) if is_read_only(&error) => write_detached(name, value).map_err(|_| error),
        other => other,
    }
}

fn is_read_only(error: &io::Error) -> bool {
    [libc::EROFS, libc::EACCES, libc::EPERM]
        .into_iter()
        .any(|code| error.raw_os_error() == Some(code))
}

/// Writes it through a procfs of our own that is mounted nowhere, so that nobody else finds it.
fn write_detached(name: &str, value: &str) -> io::Result<()> {
    let procfs = procfs()?;
    let path = format!("sys/{name}");
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let setting = openat(&procfs, path.as_str(), flags, Mode::empty())?;
    File::from(setting).write_all(value.as_bytes())
}

// From `linux/mount.h`.
const FSOPEN_CLOEXEC: c_uint = 1;
const FSCONFIG_CMD_CREATE: c_uint = 6;
const FSMOUNT_CLOEXEC: c_uint = 1;

fn procfs() -> io::Result<OwnedFd> {
    let kind: &CStr = c"proc";
    // SAFETY: the name ends with a zero and outlives the call.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) };
    let context = descriptor(context)?;
    let nothing = std::ptr::null::<u8>();
    // SAFETY: the descriptor is open, and this command takes neither key nor value.
    let created = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            nothing,
            nothing,
            0,
        )
    };
    if created != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open; the rest are numbers.
    let mount = unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context.as_raw_fd(),
            FSMOUNT_CLOEXEC,
            0 as c_uint,
        )
    };
    descriptor(mount)
}

fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    match c_int::try_from(result) {
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Scratch;

    #[test]
    fn a_switch_is_written_without_a_mount() {
        let scratch = Scratch::new().unwrap();
        let name = "net/ipv4/fwmark_reflect";
        let path = format!("/proc/sys/{name}");
        let (outside, written, inside) = (
            fs::read_to_string(&path).unwrap(),
            scratch.run(|| write_detached(name, "1")).unwrap(),
            scratch.run(|| fs::read_to_string(&path)).unwrap(),
        );
        written.unwrap();
        assert_eq!(inside.unwrap().trim(), "1");
        assert_eq!(fs::read_to_string(&path).unwrap(), outside);
    }

    /// As in a container that is not privileged.
    #[test]
    fn a_switch_is_written_where_it_is_read_only() {
        use nix::{
            mount::{MsFlags, mount},
            sched::{CloneFlags, unshare},
        };
        let mounted = |from: Option<&str>, at, flags| {
            mount(from, at, None::<&str>, flags, None::<&str>).unwrap();
        };
        let contained = move || {
            unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
            mounted(None, "/", MsFlags::MS_REC | MsFlags::MS_PRIVATE);
            mounted(Some("/proc/sys"), "/proc/sys", MsFlags::MS_BIND);
            let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mounted(None, "/proc/sys", read_only);
            let path = "/proc/sys/net/ipv4/tcp_fwmark_accept";
            let error = fs::write(path, "1").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EROFS));
            write_setting("net/ipv4/tcp_fwmark_accept", "1").unwrap();
            assert_eq!(fs::read_to_string(path).unwrap().trim(), "1");
        };
        // For good, so on a thread that ends with it.
        std::thread::spawn(contained).join().unwrap();
    }
}
