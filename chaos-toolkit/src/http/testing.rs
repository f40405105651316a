//! A server for tests that answers each connection as it is told, byte for byte, and tells what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What it does with a request.
pub(crate) enum Answer {
    /// Says this, and closes.
    Says(Vec<u8>),
    /// Says this, and then nothing more.
    Hangs(Vec<u8>),
    /// Says this, and then passes on what comes from either side, as a proxy does.
    Joins(Vec<u8>, SocketAddr),
}

/// An answer with a length.
pub(crate) fn says(status: &str, headers: &[&str], body: &str) -> Answer {
    let lines: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
    let length = body.len();
    Answer::Says(
        format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n{body}").into_bytes(),
    )
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _connections: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(answer: impl FnMut(&Seen) -> Answer + Send + 'static) -> Self {
        Self::serve(answer, None).await
    }

    pub(crate) async fn start_tls(
        answer: impl FnMut(&Seen) -> Answer + Send + 'static,
        acceptor: TlsAcceptor,
    ) -> Self {
        Self::serve(answer, Some(acceptor)).await
    }

    async fn serve(
        mut answer: impl FnMut(&Seen) -> Answer + Send + 'static,
        acceptor: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = seen.clone();
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut hanging = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                if let Some(acceptor) = &acceptor {
                    // A client that does not believe the certificate goes away.
                    if let Ok(tls) = acceptor.accept(tcp).await {
                        converse(tls, &told, &mut answer, &mut hanging).await;
                    }
                } else {
                    converse(tcp, &told, &mut answer, &mut hanging).await;
                }
            }
        });
        Self {
            address,
            seen,
            _connections: connections,
        }
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    told: &Mutex<Vec<Seen>>,
    answer: &mut impl FnMut(&Seen) -> Answer,
    hanging: &mut JoinSet<()>,
) {
    let Some(request) = request(&mut stream).await else {
        return;
    };
    told.lock().unwrap().push(request.clone());
    // A client that has gone is no matter.
    match answer(&request) {
        Answer::Says(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Answer::Hangs(bytes) => {
            let _ = stream.write_all(&bytes).await;
            hanging.spawn(async move {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
        Answer::Joins(bytes, server) => {
            let _ = stream.write_all(&bytes).await;
            hanging.spawn(async move {
                let mut beyond = TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut beyond).await;
            });
        }
    }
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let (line, rest) = head.split_once("\r\n").unwrap();
    let headers: Vec<_> = rest
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut seen = Seen {
        line: line.to_owned(),
        headers,
        body: String::new(),
    };
    let length = seen
        .header("Content-Length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    seen.body = String::from_utf8(body).unwrap();
    Some(seen)
}
