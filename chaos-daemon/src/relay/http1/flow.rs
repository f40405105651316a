//! Moves the bytes of one message from where they are read to where they go, without keeping more than a buffer of
//! them. Can be left at any time and gone on with.

use std::{
    io,
    num::NonZeroU64,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::body::Body;
use crate::relay::{buffer::Buffer, pace::Pace};

/// A message on its way.
#[derive(Debug)]
pub(super) struct Flow {
    /// Goes out before what was read: a head that was changed.
    ahead: Vec<u8>,
    written: usize,
    /// So many bytes at the front of the buffer belong to the message.
    cleared: usize,
    body: Body,
    /// Content that may go on; then it is cut.
    most: u64,
    pace: Option<Pace>,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// All of it went on.
    Whole,
    /// As much of it went on as may.
    Cut,
    /// What follows cannot be framed.
    Unframed,
    /// The sender ended before its message did.
    Short,
}

/// Whose side failed.
#[derive(Debug)]
pub(super) enum Broken {
    /// Where the bytes come from.
    From,
    /// Where they go.
    To,
}

impl Flow {
    /// A message whose head is the first `head` bytes of the buffer.
    pub(super) fn new(head: usize, body: Body) -> Self {
        Self {
            ahead: Vec::new(),
            written: 0,
            cleared: head,
            body,
            most: u64::MAX,
            pace: None,
        }
    }

    /// A message whose head is this one; the one that it came with has been taken out of the buffer.
    pub(super) fn with_head(head: Vec<u8>, body: Body) -> Self {
        Self {
            ahead: head,
            ..Self::new(0, body)
        }
    }

    /// Cuts the message after so many bytes of content.
    pub(super) fn cut_after(mut self, most: Option<u64>) -> Self {
        self.most = most.unwrap_or(u64::MAX);
        self
    }

    /// From now on the body goes at so many bytes a second, or as it comes.
    pub(super) fn pace(&mut self, rate: Option<NonZeroU64>) {
        Pace::change(&mut self.pace, rate);
    }

    /// Whether nothing of it is left to read.
    pub(super) fn is_over(&self) -> bool {
        self.cleared == 0 && self.ahead.is_empty() && self.body.is_over()
    }

    /// From now on everything belongs to it: nobody knows better.
    pub(super) fn give_up_framing(&mut self) {
        self.body = Body::UntilClose;
    }

    /// Moves what can be moved.
    pub(super) fn poll_move<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        buffer: &mut Buffer,
        writer: &mut W,
    ) -> Poll<Result<Moved, Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        // The head goes at once; only the body has a pace. What of the body came with it goes in the same write.
        if self.pace.is_none()
            && self.cleared > 0
            && self.cleared < buffer.len()
            && !self.clear(buffer)
        {
            return Poll::Ready(Ok(Moved::Unframed));
        }
        loop {
            if self.written < self.ahead.len() {
                let ahead = &self.ahead[self.written..];
                self.written += ready!(write(cx, writer, ahead)).map_err(|_| Broken::To)?;
                if self.written == self.ahead.len() {
                    (self.ahead, self.written) = (Vec::new(), 0);
                }
            } else if self.cleared > 0 {
                let most = self.cleared;
                let bytes = &buffer.filled()[..most];
                let count = ready!(write(cx, writer, bytes)).map_err(|_| Broken::To)?;
                buffer.consume(count);
                self.cleared -= count;
            } else if self.body.is_over() {
                return Poll::Ready(Ok(Moved::Whole));
            } else if self.most == 0 && self.body.is_within_content() {
                return Poll::Ready(Ok(Moved::Cut));
            } else if !buffer.is_empty() {
                if let Some(pace) = &mut self.pace {
                    ready!(pace.poll(cx));
                }
                if !self.clear(buffer) {
                    return Poll::Ready(Ok(Moved::Unframed));
                }
                if self.cleared == 0 {
                    return Poll::Ready(Ok(Moved::Cut));
                }
            } else {
                let read = buffer.poll_fill(cx, reader);
                if ready!(read).map_err(|_| Broken::From)? == 0 {
                    return Poll::Ready(Ok(Moved::Short));
                }
            }
        }
    }

    /// Writes the head that was changed, and leaves the rest to whoever takes over the buffer.
    pub(super) fn poll_ahead<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.written < self.ahead.len() {
            let ahead = &self.ahead[self.written..];
            self.written += ready!(write(cx, writer, ahead))?;
        }
        (self.ahead, self.written) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Looks at what of the buffer belongs to the message; false if nobody can know.
    fn clear(&mut self, buffer: &Buffer) -> bool {
        let mut bytes = &buffer.filled()[self.cleared..];
        if let Some(pace) = &self.pace {
            bytes = &bytes[..bytes.len().min(pace.allowed())];
        }
        match self.body.take(bytes, self.most) {
            Ok(taken) => {
                self.cleared += taken.bytes;
                self.most -= taken.content;
                if let Some(pace) = &mut self.pace {
                    pace.spend(taken.bytes);
                }
                true
            }
            Err(_) => false,
        }
    }
}

fn write<W: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    writer: &mut W,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(writer).poll_write(cx, bytes)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        other => Poll::Ready(other),
    }
}
