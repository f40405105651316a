//! What can go wrong between here and the agent, and the exit code and hints of each.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::{Code, Status, transport};

use super::{Address, DEFAULT_SOCKET};
use crate::error::{CommandError, ErrorKind};
use crate::quantity::time_in_words;

/// A call that brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no file at the socket's path.
    #[error("cannot reach the agent at {}: no such socket", path.display())]
    NoSocket {
        /// The socket.
        path: PathBuf,
    },
    /// The socket exists, and this user may not write to it.
    #[error("cannot reach the agent at {}: permission denied", path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// The socket was left by an agent that is gone.
    #[error("cannot reach the agent at {}: nothing listens on this socket", path.display())]
    NobodyListens {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be opened for another reason.
    #[error("cannot reach the agent at {}: {source}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// No connection to a server address.
    #[error("cannot reach the agent at {address}: {}", innermost(source))]
    Unreachable {
        /// The agent.
        address: Address,
        /// What the transport says.
        source: transport::Error,
    },
    /// Connected, but no answer in time.
    #[error("the agent at {address} did not answer within {}", time_in_words(*after))]
    Silent {
        /// The agent.
        address: Address,
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke during a call.
    #[error("the connection to the agent at {address} broke")]
    Broken {
        /// The agent.
        address: Address,
        /// What the transport says.
        source: Box<Status>,
    },
    /// The agent answered no, in one sentence.
    #[error("{}", sentence(status))]
    Refused {
        /// The agent's own words.
        status: Box<Status>,
    },
    /// The agent does not know the call.
    #[error("the agent at {address} does not know this command")]
    Unknown {
        /// The agent.
        address: Address,
    },
    /// The answer lacks what it must carry.
    #[error("the agent's answer lacks the experiment")]
    Incomplete,
}

impl ClientError {
    pub(super) fn from_socket(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            Self::NoSocket { path }
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            Self::Denied { path }
        } else if source.kind() == io::ErrorKind::ConnectionRefused {
            Self::NobodyListens { path }
        } else {
            Self::Socket { path, source }
        }
    }

    /// Tells what the agent said from what the transport made up: only the latter has a source.
    pub(crate) fn from_status(address: &Address, status: Status) -> Self {
        let address = address.clone();
        if status.source().is_some() {
            Self::Broken {
                address,
                source: Box::new(status),
            }
        } else if status.code() == Code::Unimplemented {
            Self::Unknown { address }
        } else {
            Self::Refused {
                status: Box::new(status),
            }
        }
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::NoSocket { .. }
            | ClientError::Denied { .. }
            | ClientError::NobodyListens { .. }
            | ClientError::Socket { .. }
            | ClientError::Unreachable { .. }
            | ClientError::Silent { .. }
            | ClientError::Broken { .. } => ErrorKind::Unreachable,
            ClientError::Refused { .. } | ClientError::Unknown { .. } | ClientError::Incomplete => {
                ErrorKind::Failed
            }
        };
        let hint = match &error {
            ClientError::NoSocket { .. } => {
                Some("start it with `sudo chaos-daemon`, or point --socket to where it listens")
            }
            ClientError::Denied { .. } => Some(
                "the socket belongs to the agent's user: run chaosctl as root (`sudo chaosctl …`)",
            ),
            ClientError::NobodyListens { .. } => Some(
                "the agent that made it is gone: start it with `sudo chaos-daemon`; what it left acts no longer",
            ),
            ClientError::Socket { .. } => Some("check the path given by --socket"),
            ClientError::Unreachable { .. } => {
                Some("check the address, and that the agent was started with a TCP listener")
            }
            ClientError::Silent { .. } => {
                Some("it may hang: a fault whose agent hangs is ended by the kernel within seconds")
            }
            ClientError::Broken { .. } => Some("see the agent's log for why it ended"),
            ClientError::Unknown { .. } => {
                Some("agent and chaosctl are of different versions: compare with `chaosctl doctor`")
            }
            ClientError::Refused { .. } | ClientError::Incomplete => None,
        };
        let is_default =
            matches!(&error, ClientError::NoSocket { path } if path == Path::new(DEFAULT_SOCKET));
        let mut error = Self::new(kind, error);
        if is_default {
            error = error.hint(
                "for agents of a cluster there must be a kubeconfig: give one by --kubeconfig",
            );
        }
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The status' message is the agent's sentence; the code's own words stand in where it has none.
fn sentence(status: &Status) -> String {
    match status.message() {
        "" => format!("the agent refused: {}", status.code().description()),
        message => message.to_owned(),
    }
}

/// The cause closest to the kernel says most: "Connection refused" and not "transport error".
fn innermost(error: &transport::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
