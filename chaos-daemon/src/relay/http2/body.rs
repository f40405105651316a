//! Bodies on their way through: frames as they come, data and trailers; slowed down, or cut. Nothing is added, such as
//! a length that the sender did not say.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::Reason;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::relay::{decide::Cut, pace::Pace, rules::Seen, slow::Slow};

/// What ends a stream.
pub(super) type Broken = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request.
pub(super) struct Passing(pub(super) Incoming);

/// The body of an answer.
pub(super) enum Reply {
    /// The application's.
    Theirs(Box<Theirs>),
    /// Ours.
    Made(Option<Bytes>),
}

/// What the application says.
pub(super) struct Theirs {
    body: Incoming,
    /// Came, and may not go yet.
    waiting: Bytes,
    trailers: Option<HeaderMap>,
    slow: Option<Box<Slow>>,
    pace: Option<Pace>,
    cut: Option<Limit>,
}

/// Where a body is cut, and where that is counted.
pub(super) struct Limit {
    left: u64,
    cut: Cut,
    seen: Seen,
    was_cut: bool,
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    // No size: hyper would write it into a head that came without.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Reply {
    pub(super) fn theirs(body: Incoming, slow: Option<Box<Slow>>, limit: Option<Limit>) -> Self {
        Self::Theirs(Box::new(Theirs {
            body,
            waiting: Bytes::new(),
            trailers: None,
            slow,
            pace: None,
            cut: limit,
        }))
    }
}

impl Limit {
    pub(super) fn new(cut: Cut, seen: Seen) -> Self {
        Self {
            left: cut.most,
            cut,
            seen,
            was_cut: false,
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        self.cut.count(&self.seen, self.was_cut);
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Theirs(theirs) => theirs.poll_frame(cx),
            Self::Made(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Theirs(theirs) => theirs.is_over(),
            Self::Made(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Theirs {
    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.trailers.is_none() && self.body.is_end_stream()
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.slow.is_none() && self.cut.is_none() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        while self.waiting.is_empty() {
            if let Some(trailers) = self.trailers.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.waiting = data,
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
            }
        }
        let mut most = self.waiting.len();
        if let Some(slow) = &mut self.slow {
            Pace::change(&mut self.pace, slow.rate(cx));
        }
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll(cx));
            most = most.min(pace.allowed());
        }
        if let Some(limit) = &mut self.cut {
            if limit.left == 0 {
                limit.was_cut = true;
                let reset = h2::Error::from(Reason::INTERNAL_ERROR);
                return Poll::Ready(Some(Err(reset.into())));
            }
            most = most.min(usize::try_from(limit.left).unwrap_or(usize::MAX));
            limit.left -= most as u64;
        }
        if let Some(pace) = &mut self.pace {
            pace.spend(most);
        }
        Poll::Ready(Some(Ok(Frame::data(self.waiting.split_to(most)))))
    }
}
