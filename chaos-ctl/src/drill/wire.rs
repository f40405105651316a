//! A connection whose bytes are counted, and that remembers when they went.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What went over one connection. One request is under way on it at a time.
#[derive(Debug)]
pub(super) struct Meter {
    begin: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    /// Nanoseconds since `begin`; 0: never since the last mark.
    last_write: AtomicU64,
    first_read: AtomicU64,
}

/// A reading, from one mark on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Bytes so far.
    pub(super) sent: u64,
    /// Bytes so far.
    pub(super) received: u64,
    /// When the last byte was written.
    pub(super) last_write: Option<Instant>,
    /// When the first byte came.
    pub(super) first_read: Option<Instant>,
}

impl Meter {
    /// Of a connection that is about to be made.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            begin: Instant::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            last_write: AtomicU64::new(0),
            first_read: AtomicU64::new(0),
        })
    }

    /// A request begins.
    pub(super) fn mark(&self) {
        self.last_write.store(0, Ordering::Relaxed);
        self.first_read.store(0, Ordering::Relaxed);
    }

    /// Bytes and times of the request that is under way.
    pub(super) fn read(&self) -> Reading {
        let time = |at: &AtomicU64| match at.load(Ordering::Relaxed) {
            0 => None,
            ns => self.begin.checked_add(Duration::from_nanos(ns)),
        };
        Reading {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            last_write: time(&self.last_write),
            first_read: time(&self.first_read),
        }
    }

    fn now(&self) -> u64 {
        let ns = u64::try_from(self.begin.elapsed().as_nanos());
        ns.unwrap_or(u64::MAX).max(1)
    }

    fn wrote(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_write.store(self.now(), Ordering::Relaxed);
    }

    fn got(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        let now = self.now();
        // Only the first one counts.
        let _ = self
            .first_read
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A stream with its meter.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    /// Counts what goes over the stream.
    pub(super) fn new(stream: S, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.meter.got(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.stream).poll_write(context, buffer))?;
        self.meter.wrote(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, buffers))?;
        self.meter.wrote(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
