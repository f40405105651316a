//! Takes connections, and follows each from its first byte to its last.

use std::{
    fs::File,
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener as Listener},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use nix::errno::Errno;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket, TcpStream},
    task::yield_now,
    time::{sleep, timeout},
};
use tracing::debug;

use super::{
    Relay,
    buffer::Buffer,
    guide::Guide,
    http1::{self, Ending},
    http2,
    port::Port,
    side::Side,
    sniff::{Speaks, may_be_settings, sniff},
    tunnel::tunnel,
};

/// Connections under way when the door closes still come here: until there has been none for so long.
pub(super) const QUIET: Duration = Duration::from_millis(200);

/// How long to wait when the process has too many files open, and none to give up.
const FULL: Duration = Duration::from_millis(50);

/// How often another port is tried for a connection to the application.
const TRIES: u32 = 3;

/// How long a client may be silent before its host is asked whether it is there.
const ALIVE: Duration = Duration::from_mins(1);

/// How long what a client still sends is dropped, so that it gets our last answer rather than a reset.
const LINGER: Duration = Duration::from_secs(2);

/// Takes connections until the relay closes, and returns when the last one has ended.
pub(super) async fn run(listener: Listener, relay: &Arc<Relay>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut given_up = spare();
    while !relay.is_aborted() {
        let accepted = if relay.is_closing() {
            tokio::select! {
                biased;
                accepted = listener.accept() => accepted,
                () = relay.changed.notified() => continue,
                () = sleep(QUIET) => break,
            }
        } else {
            tokio::select! {
                biased;
                accepted = listener.accept() => accepted,
                () = relay.changed.notified() => continue,
            }
        };
        match accepted {
            Ok((stream, client)) => {
                take(stream, client, relay);
                // It opens its way to the application now. Else those who come at once could take all files that may be
                // open, and none would be left for that.
                yield_now().await;
            }
            Err(error) => {
                debug!(%error, "cannot take a connection");
                if lacks_files(&error) {
                    relay.crowd();
                }
                if !turn_away(&listener, &mut given_up).await {
                    sleep(FULL).await;
                }
            }
        }
    }
    drop(listener);
    let ports: Vec<Arc<Port>> = relay.ports().values().cloned().collect();
    for port in ports {
        port.emptied().await;
    }
    Ok(())
}

/// A file that can be given up for one of those who wait.
fn spare() -> Option<File> {
    File::open("/").ok()
}

/// Whether an error says that no more files can be open.
fn lacks_files(error: &io::Error) -> bool {
    let errors = [Errno::EMFILE, Errno::ENFILE];
    let code = error.raw_os_error();
    code.is_some_and(|code| errors.contains(&Errno::from_raw(code)))
}

/// Tells one of those who wait that nobody answers, so that it comes again, and then straight to the application; false if
/// even that cannot be.
async fn turn_away(listener: &TcpListener, given_up: &mut Option<File>) -> bool {
    if given_up.take().is_none() {
        *given_up = spare();
        return false;
    }
    let accepted = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await;
    let done = match accepted {
        Poll::Ready(Ok((stream, _))) => {
            reset(&stream);
            true
        }
        Poll::Ready(Err(_)) => false,
        Poll::Pending => true,
    };
    *given_up = spare();
    done
}

fn take(stream: TcpStream, client: SocketAddr, relay: &Arc<Relay>) {
    if relay.room.is_one_of_the_last(&stream) {
        relay.crowd();
    }
    let Ok(server) = stream.local_addr() else {
        return;
    };
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (client, server) = (canonical(client), canonical(server));
    let application = relay.upstream.application(server);
    // Who connected to the listener itself was not steered here, and would be sent to itself.
    let port = relay.port(server.port());
    let Some(port) = port.filter(|_| application.port() != relay.listens_on) else {
        return;
    };
    let relay = Arc::clone(relay);
    tokio::spawn(async move {
        let guide = Guide::new(Arc::clone(&port), client);
        port.run(connection(stream, client, application, &relay, guide))
            .await;
    });
}

async fn connection(
    mut client: TcpStream,
    from: SocketAddr,
    to: SocketAddr,
    relay: &Relay,
    mut guide: Guide,
) {
    guide.connected();
    let mut upstream = match connect(from, to, relay).await {
        Ok(upstream) => upstream,
        Err(error) => {
            debug!(%error, %to, "the application cannot be reached");
            if lacks_files(&error) {
                relay.crowd();
            }
            guide.upstream_failed();
            reset(&client);
            return;
        }
    };
    // Whether each piece goes at once is for the two ends to decide.
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    // The application cannot know any more whether its client is there.
    let _ = socket2::SockRef::from(&client).set_tcp_keepalive(&alive());
    let ending = {
        let mut near = Side::new(client.split());
        let mut far = Side::new(upstream.split());
        let ending = match first_bytes(&mut near, &mut far).await {
            Ok(Some(Speaks::Http1)) => http1::serve(&mut near, &mut far, &mut guide).await,
            Ok(Some(Speaks::Http2)) => {
                let begun = [&mut near.buffer, &mut far.buffer].map(std::mem::take);
                drop((near, far));
                // Large, and most connections are none.
                Box::pin(http2::serve(client, upstream, begun, guide)).await;
                return;
            }
            Ok(Some(Speaks::Tls)) => {
                guide.encrypted();
                Ending::Tunnel
            }
            Ok(Some(Speaks::Other)) => {
                guide.other();
                Ending::Tunnel
            }
            // Nothing was said: a check whether the port is open.
            Ok(None) => Ending::Tunnel,
            Err(_) => Ending::Reset,
        };
        match ending {
            Ending::Tunnel => match tunnel(&mut near, &mut far).await {
                Ok(()) => Ending::Close,
                Err(_) => Ending::Reset,
            },
            Ending::Close | Ending::Linger | Ending::Reset => ending,
        }
    };
    match ending {
        Ending::Reset => {
            reset(&client);
            reset(&upstream);
        }
        Ending::Linger => {
            drop(upstream);
            linger(client).await;
        }
        Ending::Close | Ending::Tunnel => {}
    }
}

async fn connect(from: SocketAddr, to: SocketAddr, relay: &Relay) -> io::Result<TcpStream> {
    let mut tries = 0;
    loop {
        let socket = relay.upstream.socket(from, to)?;
        socket.set_nonblocking(true)?;
        let _connecting = Connecting {
            relay,
            local: socket.local_addr()?.as_socket(),
        };
        match TcpSocket::from_std_stream(socket.into()).connect(to).await {
            // The port that it is bound to has this connection already: another socket has another port.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable && tries < TRIES => {
                tries += 1;
            }
            connected => return connected,
        }
    }
}

/// Tells when the connecting has ended, however it does.
struct Connecting<'a> {
    relay: &'a Relay,
    local: Option<SocketAddr>,
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        if let Some(local) = self.local {
            self.relay.upstream.connected(local);
        }
    }
}

/// How a client that is gone without a word is found out.
fn alive() -> socket2::TcpKeepalive {
    socket2::TcpKeepalive::new()
        .with_time(ALIVE)
        .with_interval(ALIVE / 4)
}

/// Waits until it is known what the connection speaks; nothing if the client ends before it says anything.
async fn first_bytes<CR, CW, UR, UW>(
    client: &mut Side<CR, CW>,
    upstream: &mut Side<UR, UW>,
) -> io::Result<Option<Speaks>>
where
    CR: tokio::io::AsyncRead + Unpin,
    UR: tokio::io::AsyncRead + Unpin,
{
    loop {
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = client.buffer.poll_fill(cx, &mut client.reader) {
                return Poll::Ready(read.map(|count| (count, true)));
            }
            if upstream.buffer.is_full() {
                return Poll::Pending;
            }
            let read = upstream.buffer.poll_fill(cx, &mut upstream.reader);
            read.map_ok(|count| (count, false))
        });
        match read.await? {
            (0, true) => {
                client.ended = true;
                let empty = client.buffer.is_empty();
                return Ok((!empty).then_some(Speaks::Other));
            }
            // The server has nothing more to say; if nobody has said anything, it was not asked for long enough.
            (0, false) => {
                upstream.ended = true;
                let silent = client.buffer.is_empty() && upstream.buffer.is_empty();
                return Ok((!silent).then_some(Speaks::Other));
            }
            (_, false) if !may_be_settings(upstream.buffer.filled()) => {
                return Ok(Some(Speaks::Other));
            }
            // More is to be known by more bytes.
            (_, _) => {}
        }
        if let Some(speaks) = sniff(client.buffer.filled()) {
            return Ok(Some(speaks));
        }
    }
}

/// Has the socket end without a word when it is dropped.
fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Tells the client that nothing follows, and drops what it still sends.
async fn linger(mut client: TcpStream) {
    let mut dropped = Buffer::default();
    let drain = async {
        client.shutdown().await?;
        while dropped.fill(&mut client).await? > 0 {
            dropped.clear();
        }
        io::Result::Ok(())
    };
    let _ = timeout(LINGER, drain).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::room::Room;

    #[tokio::test]
    async fn a_connection_takes_little_memory() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let room = Arc::new(Room::as_much_as_may_be());
        let relay = Relay::new(Arc::new(Nowhere), room, 0);
        let guide = Guide::new(Arc::default(), address);
        let connection = connection(stream, address, address, &relay, guide);
        let size = size_of_val(&connection);
        assert!(size <= 3 * 1024, "{size}");
    }

    struct Nowhere;

    impl crate::relay::Upstream for Nowhere {
        fn socket(&self, _: SocketAddr, _: SocketAddr) -> io::Result<socket2::Socket> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn connected(&self, _: SocketAddr) {}
    }
}
