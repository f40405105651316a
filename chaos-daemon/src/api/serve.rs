//! Where the service listens: a Unix socket that only root may open, and loopback TCP where asked for.

use std::{
    fs::{self, Permissions},
    io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use chaos_proto::v1::agent_service_server::AgentServiceServer;
use futures::FutureExt;
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::{Certificate, Identity, ServerTlsConfig, server::Router};

use super::Service;

/// A client that does not answer for so long is gone.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// How long clients may take to hear how it ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why the agent cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another agent serves there.
    #[error("another agent already serves at {0}: stop it first, or choose another --socket")]
    Taken(
        /// The socket.
        PathBuf,
    ),
    /// Something that is no socket is in the way.
    #[error("{0} exists and is no socket: choose another --socket, or move it away")]
    NotASocket(
        /// What is there.
        PathBuf,
    ),
    /// The socket cannot be made.
    #[error("cannot listen at {path}: {source}")]
    Socket {
        /// Where.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The address cannot be used.
    #[error("cannot listen at {address}: {source}")]
    Address {
        /// Where.
        address: SocketAddr,
        /// What happened.
        source: io::Error,
    },
    /// A file of TLS cannot be read.
    #[error("cannot read {path} for TLS: {source}")]
    TlsFile {
        /// Which.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Everybody could reach it.
    #[error(
        "--listen {0} is not a loopback address: whoever reaches it could harm this node; use 127.0.0.1 or [::1], or have callers show certificates (--tls-cert, --tls-key, --client-ca)"
    )]
    NotLoopback(
        /// The address.
        SocketAddr,
    ),
}

/// Files by which the agent and its callers know each other.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The agent's own.
    pub certificate: PathBuf,
    /// Of that.
    pub key: PathBuf,
    /// Has signed those of callers.
    pub client_authority: PathBuf,
    /// Whether a caller may show none.
    pub may_come_without: bool,
}

impl Tls {
    fn read(&self) -> Result<ServerTlsConfig, ServeError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| ServeError::TlsFile {
                path: path.to_owned(),
                source,
            })
        };
        let (certificate, key) = (read(&self.certificate)?, read(&self.key)?);
        let authority = Certificate::from_pem(read(&self.client_authority)?);
        Ok(ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(authority)
            .client_auth_optional(self.may_come_without))
    }
}

/// Bound sockets, not yet serving.
pub struct Server {
    socket: UnixListener,
    path: PathBuf,
    inode: u64,
    tcp: Option<TcpListener>,
    tls: Option<ServerTlsConfig>,
}

impl Server {
    /// Binds. Nobody is answered yet.
    pub async fn bind(
        path: &Path,
        listen: Option<SocketAddr>,
        tls: Option<&Tls>,
    ) -> Result<Self, ServeError> {
        if let Some(address) = listen
            && !address.ip().is_loopback()
            && tls.is_none()
        {
            return Err(ServeError::NotLoopback(address));
        }
        let tls = tls.map(Tls::read).transpose()?;
        let failed = |source| ServeError::Socket {
            path: path.to_owned(),
            source,
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        let tcp = match listen {
            None => None,
            Some(address) => {
                let bound = TcpListener::bind(address).await;
                Some(bound.map_err(|source| ServeError::Address { address, source })?)
            }
        };
        // Last: who sees it may rely on the rest.
        remove_stale_socket(path)?;
        let socket = bind_private(path).map_err(failed)?;
        let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
        Ok(Self {
            socket,
            path: path.to_owned(),
            inode,
            tcp,
            tls,
        })
    }

    /// Serves until `stop` is ready; then removes the socket, and answers what is under way, if that is soon.
    pub async fn serve(
        self,
        service: Service,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), tonic::transport::Error> {
        let Self {
            socket,
            path,
            inode,
            tcp,
            tls,
        } = self;
        let stop = async move {
            stop.await;
            // Before the last answers: the path may belong to the next agent soon.
            remove_own_socket(&path, inode);
        };
        let stop = stop.boxed().shared();
        let service = std::sync::Arc::new(service);
        let router = |tls: Option<ServerTlsConfig>| -> Result<Router, tonic::transport::Error> {
            let mut server = tonic::transport::Server::builder()
                .http2_keepalive_interval(Some(KEEPALIVE))
                .http2_keepalive_timeout(Some(KEEPALIVE));
            if let Some(tls) = tls {
                server = server.tls_config(tls)?;
            }
            let service = std::sync::Arc::clone(&service);
            Ok(server.add_service(AgentServiceServer::from_arc(service)))
        };
        let unix = router(None)?
            .serve_with_incoming_shutdown(UnixListenerStream::new(socket), stop.clone());
        let with_tls = router(tls)?;
        let on_tcp = async {
            match tcp {
                Some(listener) => {
                    let incoming = TcpListenerStream::new(listener);
                    with_tls
                        .serve_with_incoming_shutdown(incoming, stop.clone())
                        .await
                }
                None => Ok(()),
            }
        };
        let patience_over = async {
            stop.clone().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            served = async { tokio::try_join!(unix, on_tcp) } => served.map(drop),
            () = patience_over => Ok(()),
        }
    }
}

/// Removes the socket of an agent that is gone. One that is in use, or no socket, is an error.
pub fn remove_stale_socket(path: &Path) -> Result<(), ServeError> {
    let failed = |source| ServeError::Socket {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ServeError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    if UnixStream::connect(path).is_ok() {
        return Err(ServeError::Taken(path.to_owned()));
    }
    fs::remove_file(path).map_err(failed)
}

/// Removes the socket with this inode; another, of the next agent, stays.
fn remove_own_socket(path: &Path, inode: u64) {
    if fs::symlink_metadata(path).is_ok_and(|found| found.ino() == inode) {
        // Gone already is gone.
        let _ = fs::remove_file(path);
    }
}

/// Binds under another name and moves the socket into place, so that it is never there with wider permissions.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let hidden = path.with_extension(format!("{}.new", std::process::id()));
    let socket = UnixListener::bind(&hidden)?;
    fs::set_permissions(&hidden, Permissions::from_mode(0o600))?;
    fs::rename(&hidden, path)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn next_agents_socket_is_not_ours_to_remove() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chaos.sock");
        let first = Server::bind(&path, None, None).await.unwrap();
        let (inode, _listens) = (first.inode, first.socket);
        remove_own_socket(&path, inode);
        assert!(!path.exists());
        let next = Server::bind(&path, None, None).await.unwrap();
        remove_own_socket(&path, inode);
        assert!(path.exists());
        remove_own_socket(&path, next.inode);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_appears_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chaos.sock");
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let refused = Server::bind(&path, Some(address), None).await;
        assert!(matches!(refused, Err(ServeError::Address { .. })));
        assert!(!path.exists());
    }
}
