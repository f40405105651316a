//! As much TCP as goes through: over plain sockets, and with iperf3.

use std::{
    io::Write,
    net::TcpStream,
    process::Stdio,
    sync::mpsc::{self, TryRecvError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{
    counters::TcpInfo,
    tcp::{TcpServer, connect},
};
use crate::{
    lab::{Family, Host, Output, Process},
    services,
};

/// What a bulk transfer reached.
#[derive(Debug, Clone, Copy)]
pub struct Throughput {
    /// Bytes of payload that arrived.
    pub bytes: u64,
    /// Time in which they arrived.
    pub elapsed: Duration,
    /// Segments that the sender sent again.
    pub retransmits: u32,
}

impl Throughput {
    /// Payload in Gbit/s.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a figure for people and for comparisons within per cents"
    )]
    pub fn gbit_per_s(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e9 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

/// One connection that sends as much as goes through; it ends when dropped.
#[derive(Debug)]
pub struct BulkTcp {
    began: Instant,
    server: TcpServer,
    stream: TcpStream,
    sender: Option<Sender>,
}

/// Ends when the other side is dropped.
type Sender = (mpsc::Sender<()>, JoinHandle<Result<()>>);

impl BulkTcp {
    /// Connects, and begins to send.
    pub fn start(from: &Host, to: &Host, family: Family) -> Result<Self> {
        let server = TcpServer::sink(to, family, 0)?;
        let began = Instant::now();
        let stream = connect(from, server.address())?;
        let mut sending = stream.try_clone().context("share the connection")?;
        let (end, ended) = mpsc::channel();
        let sender = thread::spawn(move || {
            let bytes = vec![0x5a; 1 << 18];
            while ended.try_recv() == Err(TryRecvError::Empty) {
                sending.write_all(&bytes).context("send bulk data")?;
            }
            Ok(())
        });
        Ok(Self {
            began,
            server,
            stream,
            sender: Some((end, sender)),
        })
    }

    /// When it began to connect.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Bytes of payload that arrived at the other host so far.
    pub fn received(&self) -> u64 {
        self.server.received()
    }

    /// Segments that the sender sent again so far.
    pub fn retransmits(&self) -> Result<u32> {
        Ok(TcpInfo::of(&self.stream)?.retransmits)
    }

    /// Stops sending; what is under way goes on.
    pub fn stop(&mut self) -> Result<()> {
        let Some((end, sender)) = self.sender.take() else {
            return Ok(());
        };
        drop(end);
        let ended = sender.join();
        ended.map_err(|_| anyhow!("the sender panicked"))?
    }
}

impl Drop for BulkTcp {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop`.
        let _error = self.stop();
    }
}

/// Sends over one connection for `duration` after `warm_up` (slow start), and counts what arrives at the other host.
pub fn bulk_tcp(
    from: &Host,
    to: &Host,
    family: Family,
    warm_up: Duration,
    duration: Duration,
) -> Result<Throughput> {
    let mut bulk = BulkTcp::start(from, to, family)?;
    thread::sleep(warm_up);
    let (started, before) = (Instant::now(), bulk.received());
    thread::sleep(duration);
    let (elapsed, bytes) = (started.elapsed(), bulk.received() - before);
    bulk.stop()?;
    Ok(Throughput {
        bytes,
        elapsed,
        retransmits: bulk.retransmits()?,
    })
}

/// The same with iperf3, which must be installed; the first second (or what `omit` says) does not count.
pub fn iperf3(
    from: &Host,
    to: &Host,
    family: Family,
    omit: Duration,
    duration: Duration,
) -> Result<Throughput> {
    const PORT: u16 = 5201;
    let mut command = to.command("iperf3")?;
    command.args(["--server", "--port", &PORT.to_string()]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _server = Process::spawn(command)?;
    services::listening(to, PORT)?;
    let seconds = |duration: Duration| duration.as_secs().max(1).to_string();
    let arguments = [
        "--client",
        &to.address(family).to_string(),
        "--json",
        "--omit",
        &seconds(omit),
        "--time",
        &seconds(duration),
    ];
    let mut command = from.command("iperf3")?;
    command.args(arguments);
    let report = Output::of(command, omit + duration + Duration::from_secs(30))?
        .success()?
        .json()?;
    let received = &report["end"]["sum_received"];
    let seconds = received["seconds"].as_f64().unwrap_or(0.0);
    ensure!(seconds > 0.0, "iperf3 reports nothing received: {report}");
    let retransmits = report["end"]["sum_sent"]["retransmits"]
        .as_u64()
        .unwrap_or(0);
    Ok(Throughput {
        bytes: received["bytes"].as_u64().unwrap_or(0),
        elapsed: Duration::from_secs_f64(seconds),
        retransmits: u32::try_from(retransmits).unwrap_or(u32::MAX),
    })
}
