//! A gRPC service with methods of all four kinds, and its client, each on its host. Messages are single words.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::{Ready, ready},
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use chaos_tests::lab::{Family, Host};
use futures::{Stream, StreamExt as _, stream};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, runtime::Runtime, sync::mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
    transport::{Channel, Endpoint, Uri},
};
use tonic_prost::ProstCodec;

use crate::scenario::PATIENCE;

/// Port of the service.
pub(super) const PORT: u16 = 50051;

type Codec = ProstCodec<String, String>;

/// What the service knows of its callers.
#[derive(Default)]
pub(super) struct Seen {
    calls: Mutex<BTreeMap<String, Vec<Instant>>>,
    chats: AtomicUsize,
}

impl Seen {
    /// When a method, by its path, was called.
    pub(super) fn calls(&self, path: &str) -> Vec<Instant> {
        self.calls
            .lock()
            .unwrap()
            .get(path)
            .cloned()
            .unwrap_or_default()
    }

    /// How many chats are open.
    pub(super) fn chats(&self) -> usize {
        self.chats.load(Ordering::Relaxed)
    }
}

/// Starts the service on a host.
pub(super) fn serve(host: &Host, runtime: &Runtime) -> Arc<Seen> {
    let bind = || TcpListener::bind(("::", PORT));
    let listener = host.run(bind).unwrap().unwrap();
    listener.set_nonblocking(true).unwrap();
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            let answers = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), answers));
        }
    });
    seen
}

async fn answer(
    request: hyper::Request<Incoming>,
    seen: Arc<Seen>,
) -> Result<hyper::Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    seen.calls
        .lock()
        .unwrap()
        .entry(path.clone())
        .or_default()
        .push(Instant::now());
    let mut grpc = tonic::server::Grpc::new(Codec::default());
    Ok(match path.rsplit('/').next() {
        Some("Say") => grpc.unary(tower::service_fn(say), request).await,
        Some("Fail") => grpc.unary(tower::service_fn(fail), request).await,
        Some("Join") => {
            grpc.client_streaming(tower::service_fn(join), request)
                .await
        }
        Some("Count") => {
            grpc.server_streaming(tower::service_fn(count), request)
                .await
        }
        Some("Chat") => {
            let chat = tower::service_fn(move |request| chat(request, Arc::clone(&seen)));
            grpc.streaming(chat, request).await
        }
        _ => Status::unimplemented("no such method").into_http(),
    })
}

/// Metadata as applications send it: text, and bytes.
fn metadata(text: &'static str) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert("x-said", MetadataValue::from_static(text));
    metadata.insert_bin("x-bytes-bin", MetadataValue::from_bytes(b"\0\xff"));
    metadata
}

/// A status with all that one can have.
fn failure(message: &str) -> Status {
    let details = Bytes::from_static(b"\x08\x01");
    Status::with_details_and_metadata(Code::DataLoss, message, details, metadata("last"))
}

/// Says what it is told, and what it was told besides.
fn say(request: Request<String>) -> Ready<Result<Response<String>, Status>> {
    let mut answer = metadata("first");
    if let Some(told) = request.metadata().get("x-told") {
        answer.insert("x-told", told.clone());
    }
    let mut response = Response::new(request.into_inner());
    *response.metadata_mut() = answer;
    ready(Ok(response))
}

fn fail(request: Request<String>) -> Ready<Result<Response<String>, Status>> {
    let message = request.into_inner();
    ready(Err(failure(&message)))
}

async fn join(request: Request<Streaming<String>>) -> Result<Response<String>, Status> {
    let mut words = request.into_inner();
    let mut all = String::new();
    while let Some(word) = words.message().await? {
        all += &word;
    }
    Ok(Response::new(all))
}

type Words = stream::BoxStream<'static, Result<String, Status>>;

/// Counts to a number, or fails half way to it.
fn count(request: Request<String>) -> Ready<Result<Response<Words>, Status>> {
    let asked = request.into_inner();
    let (to, fails) = match asked.strip_suffix('!') {
        Some(to) => (to, true),
        None => (asked.as_str(), false),
    };
    let Ok(to) = to.parse::<usize>() else {
        return ready(Err(Status::invalid_argument("no number")));
    };
    let numbers = stream::iter((1..=to).map(|number| Ok(number.to_string())));
    let end = stream::iter(fails.then(|| Err(failure("half way"))));
    ready(Ok(Response::new(numbers.chain(end).boxed())))
}

/// Gives each word back at once, in capitals.
fn chat(
    request: Request<Streaming<String>>,
    seen: Arc<Seen>,
) -> Ready<Result<Response<Words>, Status>> {
    struct Open(Arc<Seen>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.chats.fetch_sub(1, Ordering::Relaxed);
        }
    }
    seen.chats.fetch_add(1, Ordering::Relaxed);
    let open = Open(seen);
    let words = request.into_inner().map(move |word| {
        let _open = &open;
        word.map(|word| word.to_uppercase())
    });
    ready(Ok(Response::new(words.boxed())))
}

/// A client with one connection, which it opens again when that has ended.
#[derive(Clone)]
pub(super) struct Client(Channel);

impl Client {
    pub(super) fn new(from: &Host, to: &Host, runtime: &Runtime) -> Self {
        let (from, to) = (from.clone(), to.socket_address(Family::V4, PORT));
        let connect = tower::service_fn(move |_: Uri| {
            let from = from.clone();
            async move { Ok::<_, io::Error>(TokioIo::new(connect(&from, to)?)) }
        });
        let _context = runtime.enter();
        let endpoint = Endpoint::from_static("http://words").timeout(PATIENCE);
        Self(endpoint.connect_with_connector_lazy(connect))
    }

    async fn grpc(&self) -> Result<tonic::client::Grpc<Channel>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.0.clone());
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unknown(format!("not ready: {error}")))?;
        Ok(grpc)
    }

    /// One word there, one back.
    pub(super) async fn say(
        &self,
        path: &'static str,
        request: Request<String>,
    ) -> Result<Response<String>, Status> {
        let path = http_path(path);
        self.grpc()
            .await?
            .unary(request, path, Codec::default())
            .await
    }

    /// Many there, one back.
    pub(super) async fn join(
        &self,
        request: Request<impl Stream<Item = String> + Send + 'static>,
    ) -> Result<Response<String>, Status> {
        let path = http_path("/chaos.test.Words/Join");
        let mut grpc = self.grpc().await?;
        grpc.client_streaming(request, path, Codec::default()).await
    }

    /// One there, many back: those that came, the status, and what came after them.
    pub(super) async fn count(&self, request: Request<String>) -> (Vec<String>, Status) {
        let path = http_path("/chaos.test.Words/Count");
        let all = async {
            let mut grpc = self.grpc().await?;
            grpc.server_streaming(request, path, Codec::default()).await
        };
        match all.await {
            Ok(response) => all_of(response.into_inner()).await,
            Err(status) => (Vec::new(), status),
        }
    }

    /// Many both ways.
    pub(super) async fn chat(&self, request: Request<()>) -> Result<Chat, Status> {
        let path = http_path("/chaos.test.Words/Chat");
        let (says, words) = mpsc::unbounded_channel();
        let request = request.map(|()| UnboundedReceiverStream::new(words));
        let mut grpc = self.grpc().await?;
        let response = grpc.streaming(request, path, Codec::default()).await?;
        Ok(Chat {
            says,
            hears: response.into_inner(),
        })
    }
}

/// A call whose both ways are open.
pub(super) struct Chat {
    says: mpsc::UnboundedSender<String>,
    hears: Streaming<String>,
}

impl Chat {
    /// Says a word; gives what comes back.
    pub(super) async fn say(&mut self, word: &str) -> Result<Option<String>, Status> {
        let _ended = self.says.send(word.to_owned());
        self.hears.message().await
    }

    /// Says no more; gives what still comes.
    pub(super) async fn end(self) -> (Vec<String>, Status) {
        drop(self.says);
        all_of(self.hears).await
    }
}

async fn all_of(mut words: Streaming<String>) -> (Vec<String>, Status) {
    let mut all = Vec::new();
    loop {
        match words.message().await {
            Ok(Some(word)) => all.push(word),
            Ok(None) => break,
            Err(status) => return (all, status),
        }
    }
    let trailers = words.trailers().await.unwrap().unwrap_or_default();
    (all, Status::with_metadata(Code::Ok, "", trailers))
}

fn http_path(path: &'static str) -> hyper::http::uri::PathAndQuery {
    hyper::http::uri::PathAndQuery::from_static(path)
}

/// Connects from a host; the network is this machine's, so that it takes no time to speak of.
pub(super) fn connect(from: &Host, to: SocketAddr) -> io::Result<TcpStream> {
    let connect = || std::net::TcpStream::connect_timeout(&to, PATIENCE);
    let stream = from.run(connect).map_err(io::Error::other)??;
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}
