//! Network namespaces: how to name one, know it again, and act inside it.
//!
//! A namespace is never held open: an open descriptor, like a socket made inside, would keep it alive
//! after its pod is gone. So it is kept as a path, and as the inode and cookie that the path
//! led to.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    process, thread,
};

use nix::{
    sched::{CloneFlags, setns, unshare},
    sys::{
        socket::{AddressFamily, SockFlag, SockType, socket},
        statfs::{NSFS_MAGIC, fstatfs},
    },
    unistd::{getpid, gettid},
};
use tracing::error;

/// Where `ip netns add` puts names.
pub const NAMED: &str = "/run/netns";

/// A network namespace that existed when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Netns {
    path: PathBuf,
    inode: u64,
    cookie: u64,
}

impl Netns {
    /// Looks up the namespace at `path`: a bind mount, or `/proc/PID/ns/net`.
    pub fn at(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = open(&path)?;
        let inode = file.metadata()?.ino();
        let cookie = inside(&file, |_| own_cookie())??;
        Ok(Self {
            path,
            inode,
            cookie,
        })
    }

    /// The namespace that this process lives in.
    pub fn own() -> io::Result<Self> {
        Self::at("/proc/self/ns/net")
    }

    /// The namespace of process 1: the host's, when the agent sees the host's processes.
    pub fn host() -> io::Result<Self> {
        Self::at("/proc/1/ns/net")
    }

    /// Identity: the kernel gives no two namespaces the same, unlike inodes, which it uses again.
    pub const fn cookie(&self) -> u64 {
        self.cookie
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is still there, and `look`, inside it, says so too: under the name at which it was found, or, if it was
    /// found through a process, through any process that lives in it.
    pub fn is_there_with<F>(&self, look: F) -> bool
    where
        F: FnOnce(&File) -> bool + Send,
    {
        if self.path.starts_with("/proc") {
            self.enter(look)
        } else {
            self.enter_at(&self.path, &mut Some(look))
        }
        .unwrap_or(false)
    }

    /// Runs `act` inside the namespace, wherever that can be reached now: its path may have gone
    /// while a process still lives in it. `NotFound` when it is gone.
    pub fn enter<T, F>(&self, act: F) -> io::Result<T>
    where
        T: Send,
        F: FnOnce(&File) -> T + Send,
    {
        let mut act = Some(act);
        let reached = self.enter_at(&self.path, &mut act);
        if reached.is_ok() || act.is_none() {
            return reached;
        }
        for path in every_path() {
            let reached = self.enter_at(&path, &mut act);
            if reached.is_ok() || act.is_none() {
                return reached;
            }
        }
        Err(gone())
    }

    /// Has the calling thread live in the namespace from now on, and what it opens there keep it alive.
    pub fn move_in(&self) -> io::Result<()> {
        let namespace = self.enter(File::try_clone)??;
        Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?)
    }

    /// Takes `act` only when it is the right namespace.
    fn enter_at<T, F>(&self, path: &Path, act: &mut Option<F>) -> io::Result<T>
    where
        T: Send,
        F: FnOnce(&File) -> T + Send,
    {
        let file = open(path)?;
        if file.metadata()?.ino() != self.inode {
            return Err(gone());
        }
        inside(&file, |file| {
            if own_cookie()? != self.cookie {
                return Err(gone());
            }
            act.take().map(|act| act(file)).ok_or_else(gone)
        })?
    }
}

/// Opens a namespace, and nothing else: a FIFO would block, and a device might do anything.
fn open(path: &Path) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if fstatfs(&file)?.filesystem_type() == NSFS_MAGIC {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no namespace",
        ))
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the network namespace is gone")
}

/// Cookie of the calling thread's namespace (`SO_NETNS_COOKIE`, Linux 5.14).
fn own_cookie() -> io::Result<u64> {
    let socket = socket(
        AddressFamily::Unix,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of_val(&cookie)).unwrap_or_default();
    // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes into `cookie`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// From asm-generic/socket.h.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// A namespace of our own, empty, that nobody else sees.
#[derive(Debug)]
pub struct Scratch(File);

impl Scratch {
    /// Makes one. It lives as long as this value, or a socket made inside.
    pub fn new() -> io::Result<Self> {
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    unshare(CloneFlags::CLONE_NEWNET)?;
                    File::open("/proc/thread-self/ns/net").map(Self)
                })
                .join()
                .unwrap_or_else(|_| {
                    Err(io::Error::other("a thread that made a namespace panicked"))
                })
        })
    }

    /// Runs `act` inside it.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> io::Result<T> {
        inside(&self.0, |_| act())
    }
}

/// Runs `act` in a namespace and comes back. Not on the process's first thread: its namespace is what `/proc/PID/ns/net`
/// shows of us.
fn inside<T: Send>(file: &File, act: impl FnOnce(&File) -> T + Send) -> io::Result<T> {
    let visit = || {
        let _visit = Visit::begin(file)?;
        Ok(act(file))
    };
    if gettid() != getpid() {
        return visit();
    }
    thread::scope(|scope| {
        let panicked = || io::Error::other("a thread inside a namespace panicked");
        scope.spawn(visit).join().map_err(|_| panicked())?
    })
}

/// The calling thread is in another namespace until this is dropped. A thread for each visit would cost more than what is
/// done there.
struct Visit {
    from: File,
}

impl Visit {
    fn begin(to: &File) -> io::Result<Self> {
        let from = File::open("/proc/thread-self/ns/net")?;
        setns(to, CloneFlags::CLONE_NEWNET)?;
        Ok(Self { from })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Err(error) = setns(&self.from, CloneFlags::CLONE_NEWNET) {
            // Whatever this thread did next, it would do to somebody's network.
            error!(%error, "cannot leave a network namespace; the agent ends at once");
            process::abort();
        }
    }
}

/// Every network namespace that can be reached from here: those of processes and those mounted somewhere.
pub fn all() -> Vec<Netns> {
    let mut inodes = HashSet::new();
    every_path()
        .into_iter()
        .filter(|path| fs::metadata(path).is_ok_and(|metadata| inodes.insert(metadata.ino())))
        .filter_map(|path| Netns::at(path).ok())
        .collect()
}

fn every_path() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounted = mounts.lines().filter_map(|line| {
        // man 5 proc: field 5 is the mount point, the type follows the separator "-".
        let (fields, rest) = line.split_once(" - ")?;
        rest.starts_with("nsfs ")
            .then(|| PathBuf::from(fields.split(' ').nth(4).unwrap_or_default()))
    });
    let processes = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| entry.path().join("ns/net"))
        });
    mounted.chain(processes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_namespace_is_among_all() {
        let own = Netns::own().unwrap();
        assert!(all().iter().any(|netns| netns.cookie() == own.cookie()));
        assert!(own.is_there_with(|_| true));
    }

    #[test]
    fn another_namespace_at_the_path_is_not_the_namespace() {
        let own = Netns::own().unwrap();
        let other_inode = Netns {
            inode: 1,
            ..own.clone()
        };
        let inode_used_again = Netns {
            cookie: own.cookie + 1,
            ..own
        };
        for stranger in [other_inode, inode_used_again] {
            assert!(!stranger.is_there_with(|_| true));
            let error = stranger.enter(|_| ()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }

    /// Where the calling thread is.
    fn here() -> u64 {
        let link = fs::metadata("/proc/thread-self/ns/net");
        link.unwrap().ino()
    }

    #[test]
    fn a_visit_ends_where_it_began() {
        let (scratch, other) = (Scratch::new().unwrap(), Scratch::new().unwrap());
        let home = here();
        let (outer, inner, outer_again) = scratch
            .run(|| (here(), other.run(here).unwrap(), here()))
            .unwrap();
        assert_eq!(outer, outer_again);
        assert_eq!(here(), home);
        assert!(outer != home && inner != home && inner != outer);
        let panicked = std::panic::catch_unwind(|| scratch.run(|| assert_eq!(here(), 0)));
        assert!(panicked.is_err());
        assert_eq!(here(), home);
    }

    #[test]
    fn what_is_not_a_namespace_is_an_error() {
        assert!(Netns::at("/proc/self/status").is_err());
    }
}
