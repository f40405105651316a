//! Addresses of agents, and how a channel to one is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::ClientError;

/// Where an agent listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/chaos/chaos.sock";

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Where an agent listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket on this host.
    Socket(PathBuf),
    /// An HTTP/2 address, such as `http://10.0.0.7:7411`.
    Server(Uri),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Server(uri) => write!(f, "{}", uri.to_string().trim_end_matches('/')),
        }
    }
}

impl Address {
    pub(super) async fn connect(&self) -> Result<Channel, ClientError> {
        match self {
            Self::Socket(path) => over_socket(path).await,
            Self::Server(uri) => Endpoint::from(uri.clone())
                .connect_timeout(CONNECT_WITHIN)
                .connect()
                .await
                .map_err(|source| ClientError::Unreachable {
                    address: self.clone(),
                    source,
                }),
        }
    }
}

/// Opens the socket before tonic does, because only then is the reason of a refusal known exactly. One command is
/// one connection: a second attempt of the channel finds nothing, and the call fails as it should.
async fn over_socket(path: &Path) -> Result<Channel, ClientError> {
    let stream = UnixStream::connect(path)
        .await
        .map_err(|source| ClientError::from_socket(path, source))?;
    let once = Mutex::new(Some(stream));
    Endpoint::from_static("http://chaos-agent")
        .connect_with_connector(service_fn(move |_: Uri| {
            let stream = once.lock().ok().and_then(|mut stream| stream.take());
            async move {
                stream
                    .map(TokioIo::new)
                    .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::ConnectionReset))
            }
        }))
        .await
        .map_err(|source| ClientError::Unreachable {
            address: Address::Socket(path.to_owned()),
            source,
        })
}
