//! Port-forward over WebSocket, as API server and kubelet do it: for each port a channel for data and one for errors,
//! each begins with the port's number; bytes go on to where the test said that this port of this pod is.

use std::{fmt, io, net::TcpStream, sync::Arc};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use hyper::{HeaderMap, header, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use super::{
    Shared, access::Identity, answers, answers::Asked, request::Place, resource, status::Failure,
};

/// The protocol of the frames. The kubelet has no newer one for port-forward.
pub(super) const PROTOCOL: &str = "v4.channel.k8s.io";

/// Connects to where a port of a pod is.
#[derive(Clone)]
pub struct Door(Arc<dyn Fn() -> io::Result<TcpStream> + Send + Sync>);

impl Door {
    /// By this function, which may block.
    pub fn new(connect: impl Fn() -> io::Result<TcpStream> + Send + Sync + 'static) -> Self {
        Self(Arc::new(connect))
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Door")
    }
}

/// A port-forward that was let in.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) node: String,
    /// Each with its door; none: nothing listens there.
    pub(super) ports: Vec<(u16, Option<Door>)>,
    /// Of the handshake.
    pub(super) accept: String,
}

/// Checks a request for a port-forward.
pub(super) fn ask(
    shared: &Shared,
    user: &Identity,
    place: &Place,
    asked: &Asked,
) -> Result<Forward, Failure> {
    // A tunnel that writes is more than to read: since 1.35 a WebSocket needs `create` too.
    answers::may(shared, user, place, "create")?;
    let key = handshake(&asked.headers)?;
    let pods = resource::of_kind("Pod").ok_or_else(Failure::no_page)?;
    let state = shared.state();
    let pod = state
        .store
        .object(pods, &place.namespace, &place.name)
        .ok_or_else(|| Failure::not_found("", "pods", &place.name))?;
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        return Err(Failure::bad_request(&format!(
            "pod {} does not have a host assigned",
            place.name
        )));
    }
    let mut ports = Vec::new();
    for text in asked
        .parameters
        .all("ports")
        .flat_map(|ports| ports.split(','))
    {
        let port = text.parse::<u16>().ok().filter(|&port| port > 0);
        let port = port.ok_or_else(|| {
            Failure::bad_request(&format!("query parameter \"ports\" {text:?} is no port"))
        })?;
        let door = state
            .doors
            .get(&(place.namespace.clone(), place.name.clone(), port));
        ports.push((port, door.cloned()));
    }
    if ports.is_empty() {
        return Err(Failure::bad_request(
            "query parameter \"ports\" is required",
        ));
    }
    if let Some(error) = state.nodes_gone.get(node) {
        return Err(Failure::internal(&format!(
            "error dialing backend: {error}"
        )));
    }
    if pod["status"]["phase"] != "Running" {
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        return Err(Failure::internal(&format!(
            "pod not running. Current status={phase}"
        )));
    }
    Ok(Forward {
        pod: place.name.clone(),
        uid: pod["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        node: node.to_owned(),
        ports,
        accept: derive_accept_key(key.as_bytes()),
    })
}

/// The key of a WebSocket handshake with a protocol that the kubelet has.
fn handshake(headers: &HeaderMap) -> Result<String, Failure> {
    let text = |name: header::HeaderName| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let upgrades = text(header::CONNECTION)
        .to_ascii_lowercase()
        .contains("upgrade")
        && text(header::UPGRADE).eq_ignore_ascii_case("websocket");
    let protocols = text(header::SEC_WEBSOCKET_PROTOCOL);
    let speaks = protocols
        .split(',')
        .any(|protocol| protocol.trim() == PROTOCOL);
    let key = text(header::SEC_WEBSOCKET_KEY);
    if !upgrades || text(header::SEC_WEBSOCKET_VERSION) != "13" || key.is_empty() {
        return Err(Failure::bad_request("Upgrade request required"));
    }
    if !speaks {
        return Err(Failure::bad_request(&format!(
            "unable to upgrade: no supported protocol among {protocols:?}"
        )));
    }
    Ok(key.to_owned())
}

/// Carries bytes until both ends have closed, or an end fails.
pub(super) async fn carry(shared: Arc<Shared>, forward: Forward, upgraded: Upgraded) {
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let (mut sink, mut stream) = socket.split();
    let (frames, mut outgoing) = mpsc::channel::<Bytes>(16);
    let mut writers: Vec<Option<OwnedWriteHalf>> = Vec::new();
    for (index, (port, door)) in forward.ports.iter().enumerate() {
        let data = u8::try_from(index * 2).unwrap_or(u8::MAX - 1);
        for channel in [data, data + 1] {
            let _ = frames.send(frame(channel, &port.to_le_bytes())).await;
        }
        match open(door.clone()).await {
            Ok((reader, writer)) => {
                writers.push(Some(writer));
                tokio::spawn(from_pod(Arc::clone(&shared), data, reader, frames.clone()));
            }
            Err(error) => {
                writers.push(None);
                let message = format!(
                    "error forwarding port {port} to pod {}, uid {}: failed to execute portforward in network \
                     namespace \"host\": failed to connect to localhost:{port} inside namespace \"host\", IPv4: dial \
                     tcp4 127.0.0.1:{port}: connect: {error} IPv6 dial tcp6: address localhost: no suitable address",
                    forward.pod, forward.uid
                );
                let _ = frames.send(frame(data + 1, message.as_bytes())).await;
            }
        }
    }
    drop(frames);
    let out = async {
        while let Some(bytes) = outgoing.recv().await {
            shared.running().await;
            if sink.send(Message::Binary(bytes)).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    };
    let into = async {
        while let Some(Ok(message)) = stream.next().await {
            shared.running().await;
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Close(_) => break,
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                    continue;
                }
            };
            let Some((&channel, bytes)) = bytes.split_first() else {
                continue;
            };
            let writer = writers.get_mut(usize::from(channel) / 2);
            if let Some(Some(writer)) = writer.filter(|_| channel % 2 == 0)
                && writer.write_all(bytes).await.is_err()
            {
                break;
            }
        }
    };
    // As the kubelet does: when an end is done, the connection is.
    tokio::select! {
        () = out => {}
        () = into => {}
    }
}

async fn from_pod(
    shared: Arc<Shared>,
    channel: u8,
    mut reader: OwnedReadHalf,
    frames: mpsc::Sender<Bytes>,
) {
    let mut buffer = BytesMut::with_capacity(32 * 1024);
    loop {
        buffer.clear();
        buffer.reserve(32 * 1024);
        buffer.put_u8(channel);
        let come = tokio::select! {
            come = reader.read_buf(&mut buffer) => come,
            () = frames.closed() => return,
        };
        match come {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        shared.running().await;
        if frames.send(buffer.split().freeze()).await.is_err() {
            return;
        }
    }
}

async fn open(door: Option<Door>) -> Result<(OwnedReadHalf, OwnedWriteHalf), String> {
    let door = door.ok_or("connection refused")?;
    let opened = tokio::task::spawn_blocking(move || {
        let stream = (door.0)()?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok::<_, io::Error>(stream)
    })
    .await
    .map_err(|error| error.to_string())?;
    let stream = opened
        .and_then(tokio::net::TcpStream::from_std)
        .map_err(|error| {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                "connection refused".to_owned()
            } else {
                error.to_string()
            }
        })?;
    Ok(stream.into_split())
}

fn frame(channel: u8, bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(bytes.len() + 1);
    frame.put_u8(channel);
    frame.put_slice(bytes);
    frame.freeze()
}
