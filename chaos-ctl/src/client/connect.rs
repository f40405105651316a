//! Addresses of agents, and how a channel to one is opened.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Uri};
use tower::service_fn;

use super::ClientError;

/// Where an agent listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/chaos/chaos.sock";

pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A node that is gone says nothing, not even that it is: an agent that answers no ping for so long is gone.
const PING_EVERY: Duration = Duration::from_secs(2);
const PONG_WITHIN: Duration = Duration::from_secs(4);

/// Where an agent listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket on this host.
    Socket(PathBuf),
    /// An HTTP/2 address, such as `http://10.0.0.7:7411`.
    Server(Uri),
    /// A pod of a cluster, reached through its API server.
    Pod {
        /// The node that it is responsible for.
        node: String,
        /// Name of the pod.
        pod: String,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Server(uri) => write!(f, "{}", uri.to_string().trim_end_matches('/')),
            Self::Pod { node, pod } => write!(f, "{node} (pod {pod})"),
        }
    }
}

/// Files with which an agent and its client prove who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of whoever signed the agent's (PEM).
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    fn config(&self) -> Result<ClientTlsConfig, ClientError> {
        use tonic::transport::{Certificate, Identity};
        let mut config = ClientTlsConfig::new();
        if let Some(ca) = &self.ca {
            config = config.ca_certificate(Certificate::from_pem(pem(ca)?));
        }
        if let Some((certificate, key)) = &self.identity {
            config = config.identity(Identity::from_pem(pem(certificate)?, pem(key)?));
        }
        Ok(config)
    }
}

fn pem(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::Pem {
        path: path.to_owned(),
        source,
    })
}

/// Whether everybody between here and there can read what is sent.
pub(super) fn is_in_the_clear(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback());
    uri.scheme_str() != Some("https") && !is_here
}

/// Opens a channel to an agent that listens on TCP.
pub(super) async fn over_tcp(uri: &Uri, tls: &Tls) -> Result<Channel, ClientError> {
    let unreachable = |source| ClientError::Unreachable {
        address: Address::Server(uri.clone()),
        source,
    };
    let mut endpoint = watched(Endpoint::from(uri.clone()));
    if uri.scheme_str() == Some("https") {
        endpoint = endpoint.tls_config(tls.config()?).map_err(unreachable)?;
    }
    endpoint.connect().await.map_err(unreachable)
}

/// Opens the socket before tonic does, because only then is the reason of a refusal known exactly.
pub(super) async fn over_socket(path: &Path) -> Result<Channel, ClientError> {
    let stream = UnixStream::connect(path)
        .await
        .map_err(|source| ClientError::from_socket(path, source))?;
    let address = Address::Socket(path.to_owned());
    // A hung agent is waited for: its experiment may go on.
    let endpoint = Endpoint::from_static("http://chaos-agent");
    over_stream(&address, endpoint, stream).await
}

/// A channel over what reaches an agent already.
pub(super) async fn over_forwarded(
    address: &Address,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Channel, ClientError> {
    let endpoint = watched(Endpoint::from_static("http://chaos-agent"));
    over_stream(address, endpoint, stream).await
}

fn watched(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .keep_alive_while_idle(true)
}

/// The stream is there once: a second attempt of the channel finds nothing, and the call fails as it should. Whoever
/// wants to go on connects anew.
async fn over_stream(
    address: &Address,
    endpoint: Endpoint,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Channel, ClientError> {
    let once = Mutex::new(Some(stream));
    endpoint
        .connect_with_connector(service_fn(move |_: Uri| {
            let stream = once.lock().ok().and_then(|mut stream| stream.take());
            async move {
                stream
                    .map(TokioIo::new)
                    .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset))
            }
        }))
        .await
        .map_err(|source| ClientError::Unreachable {
            address: address.clone(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_https_keep_a_token_secret() {
        for (uri, is_in_the_clear) in [
            ("http://127.0.0.1:7411", false),
            ("http://[::1]:7411", false),
            ("http://localhost:7411", false),
            ("https://10.0.0.7:7411", false),
            ("http://10.0.0.7:7411", true),
            ("http://node-1:7411", true),
            ("http://localhost.example.com", true),
        ] {
            let parsed = Uri::from_static(uri);
            assert_eq!(super::is_in_the_clear(&parsed), is_in_the_clear, "{uri}");
        }
    }
}
