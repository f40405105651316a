//! HTTP/2 without TLS, and gRPC on it: one connection of hyper's to the client, one to the application, and each request
//! on one goes on as a request on the other.
//!
//! What is framed anew here cannot be read in two ways: lengths are the frames', and what breaks the rules of their
//! fields is refused by hyper.

mod body;
mod stream;

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll},
};

use hyper::{client, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tracing::debug;

use self::body::Passing;
use super::{buffer::Buffer, guide::Guide};

/// Requests of one client at a time on one connection; for others it waits, or opens another. The application may allow
/// less, but what waits for it waits here.
const STREAMS: u32 = 1024;

/// Bytes that may be on their way on one stream before the receiver has taken them.
const STREAM_WINDOW: u32 = 256 << 10;

/// And on all streams of a connection: as many that are held leave room for the others.
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;

/// Longest list of fields: the application says no before we do.
const FIELDS: u32 = 1 << 20;

/// Serves a client; the two sides have begun with these bytes.
pub(super) async fn serve(
    client: TcpStream,
    upstream: TcpStream,
    [asked, said]: [Buffer; 2],
    guide: Guide,
) {
    let rewound = |begun, stream| TokioIo::new(Rewound { begun, stream });
    let (client, upstream) = (rewound(asked, client), rewound(said, upstream));
    let mut builder = client::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(FIELDS);
    let (sender, connection) = match builder.handshake(upstream).await {
        Ok(shaken) => shaken,
        Err(error) => {
            debug!(%error, "the application does not speak HTTP/2");
            guide.upstream_failed();
            return;
        }
    };
    let ready = sender.clone();
    let application = Application {
        sender,
        has_answered: Arc::default(),
    };
    let asks = guide.clone();
    let service =
        service_fn(move |request| stream::exchange(request, application.clone(), asks.clone()));
    let mut builder = server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(FIELDS);
    let mut server = pin!(builder.serve_connection(client, service));
    let mut connection = Some(Box::pin(connection));
    let mut is_ending = false;
    poll_fn(|cx| {
        let polled = connection
            .as_mut()
            .map(|connection| connection.as_mut().poll(cx));
        if let Some(Poll::Ready(ended)) = polled {
            // Requests that wait for it learn of its end by this.
            connection = None;
            if let Err(error) = ended {
                // Requests that wait for it count that themselves.
                debug!(%error, "the connection to the application broke");
            }
        }
        // Requests that have begun go on; the client opens a new connection for others.
        if !is_ending && (connection.is_none() || ready.is_closed() || guide.is_draining()) {
            is_ending = true;
            server.as_mut().graceful_shutdown();
        }
        server.as_mut().poll(cx).map(drop)
    })
    .await;
}

/// The connection to the application, as each request has it.
#[derive(Clone)]
struct Application {
    sender: client::conn::http2::SendRequest<Passing>,
    /// It speaks HTTP/2.
    has_answered: Arc<AtomicBool>,
}

/// A stream of which some bytes have been read already.
struct Rewound {
    begun: Buffer,
    stream: TcpStream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begun.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, room);
        }
        let count = self.begun.len().min(room.remaining());
        room.put_slice(&self.begun.filled()[..count]);
        self.begun.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
