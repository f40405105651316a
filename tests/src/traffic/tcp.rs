//! TCP: a server that echoes or swallows, round trips over an established connection, and the time to connect.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::socket;

use super::{PATIENCE, Seen, Series, times};
use crate::{
    lab::{Family, Host},
    pauses::Times,
};

/// A TCP server on threads of this program, in a host's namespace; it ends when dropped.
#[derive(Debug)]
pub struct TcpServer {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    received: Arc<AtomicU64>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl TcpServer {
    /// A server that sends everything back; port 0 for any.
    pub fn echo(host: &Host, family: Family, port: u16) -> Result<Self> {
        Self::start(host, host.socket_address(family, port), true)
    }

    /// A server that counts what it gets; port 0 for any.
    pub fn sink(host: &Host, family: Family, port: u16) -> Result<Self> {
        Self::start(host, host.socket_address(family, port), false)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that arrived so far, over all connections.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    fn start(host: &Host, address: SocketAddr, echoes: bool) -> Result<Self> {
        let listener = host
            .run(|| TcpListener::bind(address))?
            .with_context(|| format!("listen on {address}"))?;
        let listener = Arc::new(listener);
        let mut server = Self {
            address: listener.local_addr().context("address of the listener")?,
            listener: Arc::clone(&listener),
            received: Arc::default(),
            connections: Arc::default(),
            threads: Vec::new(),
        };
        let (received, connections) = (
            Arc::clone(&server.received),
            Arc::clone(&server.connections),
        );
        server.threads.push(thread::spawn(move || {
            // Ends when Drop shuts the listener down.
            while let Ok((stream, _)) = listener.accept() {
                let Ok(shared) = stream.try_clone() else {
                    continue;
                };
                connections
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(shared);
                let received = Arc::clone(&received);
                thread::spawn(move || serve(stream, echoes, &received));
            }
        }));
        Ok(server)
    }
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        let _gone = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
        for connection in self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            let _closed = connection.shutdown(Shutdown::Both);
        }
    }
}

/// One connection, until its end.
fn serve(mut stream: TcpStream, echoes: bool, received: &AtomicU64) {
    let _refused = stream.set_nodelay(true);
    let mut bytes = vec![0; 1 << 18];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        received.fetch_add(length as u64, Ordering::Relaxed);
        if echoes && stream.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

/// Connects from a host, within [`PATIENCE`], without Nagle's delay; reads and writes time out likewise.
pub(super) fn connect(from: &Host, address: SocketAddr) -> Result<TcpStream> {
    let stream = from
        .run(|| TcpStream::connect_timeout(&address, PATIENCE))?
        .with_context(|| format!("connect from {} to {address}", from.name()))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Round trip times of small messages over one connection to an echo server; an error when one does not come back. The
/// rate must leave fewer than 10 under way, or the congestion window delays them.
pub fn tcp_rtt(from: &Host, server: &TcpServer, series: Series) -> Result<Times> {
    let stream = connect(from, server.address())?;
    rtt_over(&stream, series)
}

/// The same over a connection that stands.
fn rtt_over(stream: &TcpStream, series: Series) -> Result<Times> {
    stream.set_read_timeout(Some(series.patience))?;
    thread::scope(|scope| {
        let receiver = scope.spawn(move || -> Result<Seen> {
            let mut stream = stream;
            let mut seen = Seen::new();
            for number in 0..series.count {
                let mut answer = [0; 4];
                stream
                    .read_exact(&mut answer)
                    .with_context(|| format!("wait for the answer to message {number}"))?;
                seen.push((u32::from_be_bytes(answer), Instant::now()));
            }
            Ok(seen)
        });
        let mut failed = None;
        let sent = series.pace(|number| {
            let mut stream = stream;
            failed = stream
                .write_all(&number.to_be_bytes())
                .err()
                .or(failed.take());
        });
        let seen = receiver
            .join()
            .map_err(|_| anyhow!("the receiver panicked"))?;
        if let Some(error) = failed {
            return Err(error).context("send a message");
        }
        let times = Times::of(&sent, &times(&sent, &seen?));
        ensure!(times.count() == sent.len(), "a message came back changed");
        Ok(times)
    })
}

/// Times of `count` connection set-ups, one after the other.
pub fn tcp_connect_time(from: &Host, server: &TcpServer, count: usize) -> Result<Times> {
    let address = server.address();
    from.run(|| {
        let connect = |_| {
            let started = Instant::now();
            let stream = TcpStream::connect_timeout(&address, PATIENCE)
                .with_context(|| format!("connect to {address}"))?;
            let time = started.elapsed();
            drop(stream);
            Ok((started, time))
        };
        (0..count).map(connect).collect()
    })?
}
