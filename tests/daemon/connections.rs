//! Many keep-alive connections to the tutorial's provider, opened from a host of a lab.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use chaos_tests::lab::Host;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::scenario::PATIENCE;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: provider\r\n\r\n";

/// A connection on which one request follows the other.
pub(crate) struct Asks(TcpStream);

impl Asks {
    /// Connects, once.
    pub(crate) fn connect(to: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends a request; gives the status of its answer.
    pub(crate) fn ask(&mut self, patience: Duration) -> std::io::Result<u16> {
        self.0.set_read_timeout(Some(patience))?;
        self.0.write_all(REQUEST)?;
        let mut answer = [0; 4096];
        // The answer is short, and comes at once.
        let length = self.0.read(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer[..length]);
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        status.ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    /// Waits until the other side has ended it; false if it has not.
    pub(crate) fn has_ended(&mut self, patience: Duration) -> bool {
        self.0.set_read_timeout(Some(patience)).unwrap();
        match self.0.read(&mut [0; 1]) {
            Ok(length) => length == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// One request on a new connection, without a second try.
pub(crate) fn ask_once(from: &Host, to: SocketAddr, patience: Duration) -> std::io::Result<u16> {
    from.run(|| Asks::connect(to)?.ask(patience)).unwrap()
}

/// Opens so many connections from a host, one after the other, with a request on each that must be answered with 200.
pub(crate) fn open(from: &Host, to: SocketAddr, count: usize) -> Vec<Asks> {
    let open = || {
        let one = |number| {
            let mut connection = Asks::connect(to).unwrap();
            let status = connection.ask(PATIENCE);
            assert_eq!(status.unwrap(), 200, "connection {number}");
            connection
        };
        (0..count).map(one).collect()
    };
    from.run(open).unwrap()
}

/// The same, without a request.
pub(crate) fn connect_all(from: &Host, to: SocketAddr, count: usize) -> Vec<Asks> {
    let connect = || (0..count).map(|_| Asks::connect(to).unwrap()).collect();
    from.run(connect).unwrap()
}

/// Asks on all at once; answers in their order.
pub(crate) fn ask_all(all: &mut [Asks], patience: Duration) -> Vec<std::io::Result<u16>> {
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        let at_once = all.len().div_ceil(16).max(1);
        for (part, asks) in all.chunks_mut(at_once).enumerate() {
            let sender = sender.clone();
            scope.spawn(move || {
                for (number, asks) in asks.iter_mut().enumerate() {
                    let result = asks.ask(patience);
                    sender.send((part * at_once + number, result)).unwrap();
                }
            });
        }
    });
    drop(sender);
    let mut results: Vec<_> = results.iter().collect();
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Lets this program, and what it starts, open as many files as it may; gives how many.
pub(crate) fn as_many_files_as_may_be() -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    hard
}

/// Resident memory of a process, in KiB.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
