//! One request after another to one address, over as few connections as that takes.
//!
//! HTTP/1.1. A connection that its server closed while nothing was under way is not the service's failure: the request
//! goes over another one. Anything else that goes wrong is.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::Service as _;

use super::sample::{Failure, Timings};
use super::wire::{Meter, Metered};

/// No answer that is looked at is larger.
const MOST_BODY: usize = 16 << 20;

/// What is sent, again and again.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Where to; `http` or `https`, with a host.
    pub uri: Uri,
    /// How.
    pub method: Method,
    /// With what.
    pub headers: HeaderMap,
    /// And what else.
    pub body: Bytes,
    /// When to give up, from when a request is sent.
    pub timeout: Duration,
    /// Each request over a connection of its own.
    pub new_connections: bool,
    /// Whether somebody looks at the body of the answer.
    pub keeps_body: bool,
}

/// What came.
#[derive(Debug)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Its body, where somebody looks at it.
    pub body: Vec<u8>,
}

/// A request that is over.
#[derive(Debug)]
pub struct Done {
    /// What came of it.
    pub answer: Result<Answered, Failure>,
    /// What its time went into.
    pub timings: Timings,
    /// Bytes on its connection.
    pub sent: u64,
    /// Bytes on its connection.
    pub received: u64,
}

/// Sends requests.
pub struct Client {
    asked: Asked,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// The address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate of `{0}` could not be checked: it is no name of a host")]
pub struct NoName(String);

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    meter: Arc<Meter>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What is known of a request while it is under way.
struct Progress {
    due: Instant,
    timings: Timings,
    connected: Option<Instant>,
    meter: Option<(Arc<Meter>, u64, u64)>,
}

impl Client {
    /// Without any connection yet.
    pub fn new(asked: Asked, tls: Option<TlsConnector>) -> Result<Self, NoName> {
        let host = asked.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = || ServerName::try_from(host.to_owned()).map_err(|_| NoName(host.to_owned()));
        let tls = match tls {
            Some(connector) => Some((connector, name()?)),
            None => None,
        };
        Ok(Self {
            asked,
            tls,
            idle: Arc::default(),
        })
    }

    /// Sends one request that was due at that time, and waits for the end of its answer.
    pub async fn send(&self, due: Instant) -> Done {
        let mut progress = Progress {
            due,
            timings: Timings::default(),
            connected: None,
            meter: None,
        };
        let sending = self.answer(&mut progress);
        let answer = match tokio::time::timeout(self.asked.timeout, sending).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::TimedOut),
        };
        progress.done(answer)
    }

    async fn answer(&self, progress: &mut Progress) -> Result<Answered, Failure> {
        let mut request = self.request();
        loop {
            let (mut connection, is_new) = match self.idle() {
                Some(connection) => (connection, false),
                None => (self.connect(progress).await?, true),
            };
            progress.begins(&connection.meter);
            let error = match connection.sender.try_send_request(request).await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let body = self.body(answer.into_body()).await?;
                    self.keep(connection);
                    return Ok(Answered { status, body });
                }
                Err(error) => error,
            };
            let mut error = error;
            match error.take_message() {
                // It was closed before the request went out: nothing was asked yet.
                Some(unsent) if !is_new => request = unsent,
                Some(_) | None => return Err(of_hyper(error.error())),
            }
        }
    }

    async fn body(&self, mut body: hyper::body::Incoming) -> Result<Vec<u8>, Failure> {
        let mut kept = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| of_hyper(&error))?;
            if let Some(data) = frame.data_ref().filter(|_| self.asked.keeps_body) {
                let room = MOST_BODY.saturating_sub(kept.len());
                kept.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
        Ok(kept)
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.asked.body.clone()));
        *request.method_mut() = self.asked.method.clone();
        let path = self.asked.uri.path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        *request.headers_mut() = self.asked.headers.clone();
        if let Some(authority) = self.asked.uri.authority()
            && !self.asked.headers.contains_key(HOST)
            && let Ok(host) = authority.as_str().parse()
        {
            request.headers_mut().insert(HOST, host);
        }
        request
    }

    fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.sender.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        if self.asked.new_connections {
            return;
        }
        let (idle, mut connection) = (Arc::clone(&self.idle), connection);
        // The answer is complete before its connection is ready for another request.
        tokio::spawn(async move {
            if connection.sender.ready().await.is_ok() {
                let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.push(connection);
            }
        });
    }

    async fn connect(&self, progress: &mut Progress) -> Result<Connection, Failure> {
        let begin = Instant::now();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(self.asked.timeout));
        let stream = connector.call(self.asked.uri.clone()).await;
        let stream = stream.map_err(|error| of_connecting(&error))?;
        progress.timings.connecting += begin.elapsed();
        let meter = Meter::new();
        let stream = Metered::new(stream.into_inner(), Arc::clone(&meter));
        progress.meter = Some((Arc::clone(&meter), 0, 0));
        let stream: Pin<Box<dyn Stream>> = match &self.tls {
            None => Box::pin(stream),
            Some((connector, name)) => {
                let begin = Instant::now();
                let secured = connector.connect(name.clone(), stream).await;
                progress.timings.tls += begin.elapsed();
                Box::pin(secured.map_err(|error| of_tls(&error))?)
            }
        };
        let made = http1::handshake(TokioIo::new(stream)).await;
        let (sender, driver) = made.map_err(|error| of_hyper(&error))?;
        // It ends with its sender; how is told to whoever waits for an answer.
        tokio::spawn(async move {
            let _ = driver.await;
        });
        Ok(Connection { sender, meter })
    }
}

impl Progress {
    fn begins(&mut self, meter: &Arc<Meter>) {
        let now = Instant::now();
        self.connected = Some(now);
        self.timings.blocked = now.saturating_duration_since(self.due);
        // A connection that was just made has bytes of its own, of TLS, and they are this request's.
        let is_known = matches!(&self.meter, Some((known, ..)) if Arc::ptr_eq(known, meter));
        if !is_known {
            let reading = meter.read();
            self.meter = Some((Arc::clone(meter), reading.sent, reading.received));
        }
        meter.mark();
    }

    fn done(mut self, answer: Result<Answered, Failure>) -> Done {
        let end = Instant::now();
        let (mut sent, mut received) = (0, 0);
        if let Some((meter, sent_before, received_before)) = &self.meter {
            let reading = meter.read();
            sent = reading.sent - sent_before;
            received = reading.received - received_before;
            if let Some(connected) = self.connected {
                let written = reading.last_write.unwrap_or(connected).max(connected);
                let first = reading.first_read.unwrap_or(end).max(written);
                self.timings.sending = written - connected;
                self.timings.waiting = first - written;
                self.timings.receiving = end.saturating_duration_since(first);
            }
        }
        if self.connected.is_none() {
            self.timings.blocked = end.saturating_duration_since(self.due);
        }
        Done {
            answer,
            timings: self.timings,
            sent,
            received,
        }
    }
}

/// The system's error beneath others.
fn of_system<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    let mut found = None;
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            found = Some(io);
        }
        cause = error.source();
    }
    found
}

fn of_connecting(error: &(dyn Error + 'static)) -> Failure {
    if error.to_string().contains("dns error") {
        return Failure::Unresolved;
    }
    match of_system(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => Failure::Refused,
        Some(io::ErrorKind::TimedOut) => Failure::TimedOut,
        Some(io::ErrorKind::ConnectionReset) => Failure::Reset,
        Some(_) | None => Failure::Unconnected,
    }
}

fn of_tls(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::ConnectionReset {
        Failure::Reset
    } else if error.kind() == io::ErrorKind::UnexpectedEof {
        Failure::Closed
    } else {
        Failure::Tls
    }
}

fn of_hyper(error: &hyper::Error) -> Failure {
    if error.is_parse() {
        return Failure::Malformed;
    }
    match of_system(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => Failure::Reset,
        Some(_) | None => Failure::Closed,
    }
}

#[cfg(test)]
mod tests;
