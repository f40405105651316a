//! Bytes that were read and have not gone on yet. Knows nothing of what they mean.
//!
//! A connection that waits has no buffer: one is taken for the moment of a read, and given back if there was nothing
//! to read, or when all of it has gone on. So 10,000 open connections cost what their sockets and tasks cost.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

/// What one read may bring.
pub(super) const SIZE: usize = 16 * 1024;

/// How far a buffer may grow: no head is longer.
pub(super) const MOST: usize = 64 * 1024;

/// Buffers that a thread keeps for the next reads.
const KEPT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

fn take() -> Box<[u8]> {
    FREE.with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| vec![0; SIZE].into_boxed_slice())
}

fn give_back(bytes: Box<[u8]>) {
    if bytes.len() == SIZE {
        FREE.with_borrow_mut(|free| {
            if free.len() < KEPT {
                free.push(bytes);
            }
        });
    }
}

/// Bytes in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// What is in it.
    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether a read would have no room without [`Buffer::grow`].
    pub(super) fn is_full(&self) -> bool {
        self.len() >= SIZE && self.len() == self.bytes.len()
    }

    /// Makes room for a longer head; false if it is as long as one may be.
    pub(super) fn grow(&mut self) -> bool {
        if self.bytes.len() >= MOST {
            return false;
        }
        let mut larger = vec![0; MOST].into_boxed_slice();
        let len = self.len();
        larger[..len].copy_from_slice(self.filled());
        give_back(std::mem::replace(&mut self.bytes, larger));
        (self.start, self.end) = (0, len);
        true
    }

    /// Takes the first `count` bytes out.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
        if self.start >= self.end {
            self.clear();
        }
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        give_back(std::mem::take(&mut self.bytes));
    }

    /// Reads once. Ready with 0 at the end of the stream; must not be full.
    pub(super) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(!self.is_full());
        if self.bytes.is_empty() {
            self.bytes = take();
        } else if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let mut room = ReadBuf::new(&mut self.bytes[self.end..]);
        let polled = Pin::new(reader).poll_read(cx, &mut room);
        let count = room.filled().len();
        self.end += count;
        if self.is_empty() {
            self.clear();
        }
        ready!(polled)?;
        Poll::Ready(Ok(count))
    }

    /// Waits for bytes; 0 at the end of the stream.
    pub(super) async fn fill<R: AsyncRead + Unpin>(&mut self, reader: &mut R) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx, reader)).await
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn bytes_come_out_as_they_came_and_a_waiting_buffer_is_none() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut buffer = Buffer::default();
        let waits = std::future::poll_fn(|cx| Poll::Ready(buffer.poll_fill(cx, &mut near))).await;
        assert!(waits.is_pending());
        assert!(buffer.bytes.is_empty());

        far.write_all(b"abcdef").await.unwrap();
        assert_eq!(buffer.fill(&mut near).await.unwrap(), 6);
        buffer.consume(2);
        assert_eq!(buffer.filled(), b"cdef");
        far.write_all(&vec![b'x'; 2 * SIZE]).await.unwrap();
        while !buffer.is_full() {
            buffer.fill(&mut near).await.unwrap();
        }
        assert_eq!(buffer.len(), SIZE);
        assert!(buffer.filled().starts_with(b"cdefxx"));
        assert!(buffer.grow());
        assert!(!buffer.is_full());
        assert!(buffer.filled().starts_with(b"cdefxx"));
        assert!(!buffer.grow());

        buffer.consume(buffer.len());
        assert!(buffer.is_empty() && buffer.bytes.is_empty());
    }
}
