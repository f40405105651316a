//! HTTP/1: one request after the other, each with its answer. What goes on are the bytes that came: nothing is framed
//! anew. Where the framing is in doubt nothing is framed at all, and the rest of the connection is a tunnel.

mod answer;
pub(in crate::relay) mod body;
pub(super) mod edit;
mod exchange;
mod flow;
pub(in crate::relay) mod head;
mod made;
mod request;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod tests;

use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};

use self::{
    edit::Edit,
    exchange::Exchange,
    head::{Odd, Request, Scan},
};
use super::{decide::Act, guide::Guide, side::Side};

/// For how long a connection that drains waits for a request before it is closed.
const IDLE: Duration = Duration::from_secs(1);

/// How a connection goes on when no more requests are read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Whatever comes goes both ways.
    Tunnel,
    /// Nothing is left to do.
    Close,
    /// The client has been told that nothing follows; what it still sends is dropped for a while.
    Linger,
    /// At once, without a word.
    Reset,
}

/// Whether another request may follow.
enum Next {
    Request,
    End(Ending),
}

/// What waiting for a request ended with.
enum Waited {
    /// The length of its head.
    Head(usize),
    End(Ending),
}

/// Serves requests until none can follow.
pub(super) async fn serve<CR, CW, UR, UW>(
    client: &mut Side<CR, CW>,
    upstream: &mut Side<UR, UW>,
    guide: &mut Guide,
) -> Ending
where
    CR: AsyncRead + Unpin,
    CW: AsyncWrite + Unpin,
    UR: AsyncRead + Unpin,
    UW: AsyncWrite + Unpin,
{
    let mut is_first = true;
    loop {
        let head = match wait(client, upstream, guide, is_first).await {
            Waited::Head(head) => head,
            Waited::End(ending) => return ending,
        };
        is_first = false;
        let read = Request::read(&client.buffer.filled()[..head], |request| {
            Exchange::new(&request, guide)
        });
        let Ok((framing, exchange)) = read else {
            guide.unframed();
            return Ending::Tunnel;
        };
        let next = match exchange.act() {
            Act::Pass => exchange.pass(head, framing, client, upstream, guide).await,
            Act::Error(rule) => exchange.make(rule, head, framing, client, guide).await,
            Act::Abort => exchange.abort(guide).await,
        };
        if let Next::End(ending) = next {
            return ending;
        }
    }
}

/// Waits for the head of a request.
async fn wait<CR, CW, UR, UW>(
    client: &mut Side<CR, CW>,
    upstream: &mut Side<UR, UW>,
    guide: &Guide,
    is_first: bool,
) -> Waited
where
    CR: AsyncRead + Unpin,
    CW: AsyncWrite + Unpin,
    UR: AsyncRead + Unpin,
    UW: AsyncWrite + Unpin,
{
    let mut scan = Scan::default();
    let mut idle = None;
    if !upstream.buffer.is_empty() {
        // More came than the answer.
        return Waited::End(Ending::Tunnel);
    }
    loop {
        match scan.find(client.buffer.filled()) {
            Ok(Some(head)) => return Waited::Head(head),
            Ok(None) => {}
            Err(Odd) => {
                guide.unframed();
                return Waited::End(Ending::Tunnel);
            }
        }
        if client.ended {
            return Waited::End(Ending::Tunnel);
        }
        if client.buffer.is_full() && !client.buffer.grow() {
            guide.unframed();
            return Waited::End(Ending::Tunnel);
        }
        let end = poll_fn(|cx| {
            if let Poll::Ready(read) = client.buffer.poll_fill(cx, &mut client.reader) {
                return Poll::Ready(match read {
                    Ok(0) => {
                        client.ended = true;
                        None
                    }
                    Ok(_) => None,
                    Err(_) => Some(Ending::Reset),
                });
            }
            if let Poll::Ready(read) = upstream.buffer.poll_fill(cx, &mut upstream.reader) {
                return Poll::Ready(Some(match read {
                    // Without a request: closed while idle, as applications do after a while.
                    Ok(0) => Ending::Close,
                    // It says something that nobody asked.
                    Ok(_) => Ending::Tunnel,
                    Err(_) => Ending::Reset,
                }));
            }
            if is_first || !client.buffer.is_empty() || !guide.is_draining() {
                return Poll::Pending;
            }
            // A request may be on its way already: it is answered yet, and told that it was the last.
            let idle = idle.get_or_insert_with(|| Box::pin(sleep(IDLE)));
            idle.as_mut().poll(cx).map(|()| Some(Ending::Close))
        });
        if let Some(ending) = end.await {
            return Waited::End(ending);
        }
    }
}

/// For answers that begin while the relay drains.
pub(super) fn close_connection(edit: &mut Edit<'_>) {
    edit.set("Connection", "close");
}
