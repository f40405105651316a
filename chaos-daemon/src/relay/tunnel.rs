//! Bytes both ways, as they come, each way until its own end. Knows nothing of what they mean.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};

use super::{buffer::Buffer, side::Side};

/// How long a client may be silent when the application has closed: as long as the kernel keeps such a connection.
const PATIENCE: Duration = Duration::from_mins(1);

/// Brings what comes, and has come, from each side to the other, until both have ended.
pub(super) async fn tunnel<CR, CW, UR, UW>(
    client: &mut Side<CR, CW>,
    upstream: &mut Side<UR, UW>,
) -> io::Result<()>
where
    CR: AsyncRead + Unpin,
    CW: AsyncWrite + Unpin,
    UR: AsyncRead + Unpin,
    UW: AsyncWrite + Unpin,
{
    let (mut there, mut back) = (false, false);
    let mut patience: Option<Pin<Box<tokio::time::Sleep>>> = None;
    poll_fn(|cx| {
        let mut heard = false;
        if !there {
            let (buffer, ended) = (&mut client.buffer, &mut client.ended);
            let moved = poll_way(
                cx,
                &mut client.reader,
                buffer,
                ended,
                &mut upstream.writer,
                &mut heard,
            );
            there = moved?.is_ready();
        }
        if !back {
            let (buffer, ended) = (&mut upstream.buffer, &mut upstream.ended);
            let mut ignored = false;
            let moved = poll_way(
                cx,
                &mut upstream.reader,
                buffer,
                ended,
                &mut client.writer,
                &mut ignored,
            );
            back = moved?.is_ready();
        }
        if there && back {
            return Poll::Ready(Ok(()));
        }
        if back {
            if heard {
                patience = None;
            }
            let patience = patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
            ready!(patience.as_mut().poll(cx));
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    })
    .await
}

/// One way; ready when it has ended and the other side knows.
fn poll_way<R, W>(
    cx: &mut Context<'_>,
    reader: &mut R,
    buffer: &mut Buffer,
    ended: &mut bool,
    writer: &mut W,
    heard: &mut bool,
) -> Poll<io::Result<()>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    loop {
        if !buffer.is_empty() {
            let count = ready!(Pin::new(&mut *writer).poll_write(cx, buffer.filled()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            buffer.consume(count);
        } else if *ended {
            return Pin::new(writer).poll_shutdown(cx);
        } else {
            match ready!(buffer.poll_fill(cx, reader))? {
                0 => *ended = true,
                _ => *heard = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

    #[tokio::test]
    async fn each_way_ends_by_itself() {
        let (mut client, near) = duplex(64);
        let (far, mut application) = duplex(64);
        let relay = tokio::spawn(async move {
            let (mut client, mut upstream) = (Side::new(split(near)), Side::new(split(far)));
            tunnel(&mut client, &mut upstream).await
        });
        let question = vec![b'q'; 100_000];
        let sent = question.clone();
        let asks = tokio::spawn(async move {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        });
        let mut heard = Vec::new();
        application.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, question);
        application.write_all(b"after the end").await.unwrap();
        drop(application);
        assert_eq!(asks.await.unwrap(), b"after the end");
        relay.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_ignores_the_end_is_left_after_a_while() {
        let (client, near) = duplex(64);
        let (far, application) = duplex(64);
        drop(application);
        let (mut near, mut far) = (Side::new(split(near)), Side::new(split(far)));
        let before = tokio::time::Instant::now();
        tunnel(&mut near, &mut far).await.unwrap();
        assert_eq!(before.elapsed().as_secs(), PATIENCE.as_secs());
        drop(client);
    }
}
