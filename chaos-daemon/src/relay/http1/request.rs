//! The way of a request to the application, and who watches the client while the answer comes.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Ending, Next,
    flow::{Broken, Flow, Moved},
};
use crate::relay::buffer::Buffer;

/// A request that goes to the application.
#[derive(Debug)]
pub(super) struct Sending {
    flow: Flow,
    state: State,
    unframed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not all of it has gone.
    Under,
    /// All of it has gone.
    Sent,
    /// The client sends no more, and the application knows.
    Ended,
    /// The application takes no more.
    Broken,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// On its way.
    Under,
    /// There.
    Sent,
    /// The application takes no more; it may answer yet.
    Broken,
    /// The client is gone.
    ClientGone,
}

impl Sending {
    pub(super) fn new(flow: Flow) -> Self {
        Self {
            flow,
            state: State::Under,
            unframed: false,
        }
    }

    /// Whether all of it has gone.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Sent | State::Ended)
    }

    /// Whether nobody knows where it ends, so that everything goes on.
    pub(super) fn is_unframed(&self) -> bool {
        self.unframed
    }

    /// Whether the application takes no more.
    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Moves on what can be moved, and looks whether the client is there still.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        buffer: &mut Buffer,
        ended: &mut bool,
        writer: &mut W,
    ) -> Where
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            match self.state {
                State::Under => match self.flow.poll_move(cx, reader, buffer, writer) {
                    Poll::Pending => return Where::Under,
                    Poll::Ready(Ok(Moved::Whole)) => self.state = State::Sent,
                    Poll::Ready(Ok(Moved::Unframed)) => {
                        self.flow.give_up_framing();
                        self.unframed = true;
                    }
                    Poll::Ready(Ok(Moved::Short | Moved::Cut)) => {
                        *ended = true;
                        self.state = State::Sent;
                    }
                    Poll::Ready(Err(Broken::From)) => return Where::ClientGone,
                    Poll::Ready(Err(Broken::To)) => self.state = State::Broken,
                },
                State::Sent if *ended && buffer.is_empty() => {
                    match Pin::new(&mut *writer).poll_shutdown(cx) {
                        Poll::Pending => return Where::Under,
                        Poll::Ready(_) => self.state = State::Ended,
                    }
                }
                State::Sent if *ended || buffer.is_full() => return Where::Sent,
                // What comes now is the next request, the end, or word that the client is gone.
                State::Sent => match buffer.poll_fill(cx, reader) {
                    Poll::Pending => return Where::Sent,
                    Poll::Ready(Ok(0)) => *ended = true,
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Where::ClientGone,
                },
                State::Ended => return Where::Sent,
                State::Broken => return Where::Broken,
            }
        }
    }

    /// Lets a tunnel do the rest.
    pub(super) async fn hand_over<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> Next {
        let ahead = poll_fn(|cx| self.flow.poll_ahead(cx, writer)).await;
        Next::End(ahead.map_or(Ending::Linger, |()| Ending::Tunnel))
    }
}
