//! What can go wrong between here and the agent, and the exit code and hints of each.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::{Code, Status, transport};

use super::{Address, DEFAULT_SOCKET};
use crate::error::{CommandError, ErrorKind, innermost};
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
    #[error("the connection to the agent at {address} broke{}", because(said.as_ref()))]
    Broken {
        /// The agent.
        address: Address,
        /// What the way to it said, if it said anything.
        said: Option<String>,
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
    /// No token for the agents.
    #[error("no token for the agents: {source}")]
    NoToken {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A token that no header can carry.
    #[error("the token has characters that no token has: check --token, and CHAOS_TOKEN")]
    OddToken,
    /// A token that anybody on the way could read.
    #[error(
        "a token is not sent to {address}, because anybody on the way could read it: give an https address, or let the cluster forward (leave out --server)"
    )]
    TokenInTheClear {
        /// The agent.
        address: Address,
    },
    /// A file for TLS cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not asked, because the user does not want it any more.
    #[error("interrupted")]
    Interrupted,
    /// No way to the agent of a node.
    #[error("cannot reach the agent at {address}: {source}")]
    Forward {
        /// The agent.
        address: Address,
        /// What the API server says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No agent is there that could be asked.
    #[error("{sentence}")]
    NoAgent {
        /// Which node, and what is missing there.
        sentence: String,
        /// What to check.
        hint: String,
    },
    /// An agent of a cluster, without the cluster.
    #[error("cannot reach the agent at {address} without its cluster")]
    NoWay {
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

    /// Whether an agent answered, and said no.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether an agent answered that it has no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status } if status.code() == Code::NotFound)
    }

    /// Whether the same may be granted a little later: a pod whose container is about to run, an agent that is about to
    /// come back.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status } => {
                matches!(status.code(), Code::NotFound | Code::Unavailable)
            }
            Self::Unknown { .. }
            | Self::OddToken
            | Self::Pem { .. }
            | Self::TokenInTheClear { .. }
            | Self::NoWay { .. }
            | Self::Interrupted
            | Self::Incomplete => false,
            Self::NoSocket { .. }
            | Self::Denied { .. }
            | Self::NobodyListens { .. }
            | Self::Socket { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Broken { .. }
            | Self::Forward { .. }
            | Self::NoAgent { .. }
            | Self::NoToken { .. } => true,
        }
    }

    /// Tells what the agent said from what the transport made up: only the latter has a source.
    pub(crate) fn from_status(address: &Address, status: Status, said: Option<&str>) -> Self {
        let address = address.clone();
        if status.source().is_some() {
            Self::Broken {
                address,
                said: said.map(str::to_owned),
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
            | ClientError::Forward { .. }
            | ClientError::NoAgent { .. }
            | ClientError::NoWay { .. }
            | ClientError::Broken { .. } => ErrorKind::Unreachable,
            ClientError::Pem { .. } | ClientError::TokenInTheClear { .. } => ErrorKind::Usage,
            ClientError::Refused { .. }
            | ClientError::Unknown { .. }
            | ClientError::NoToken { .. }
            | ClientError::OddToken
            | ClientError::Interrupted
            | ClientError::Incomplete => ErrorKind::Failed,
        };
        let hint = match &error {
            ClientError::NoAgent { hint, .. } => Some(hint.as_str()),
            ClientError::Forward { .. } => Some(
                "check that you may `create` `pods/portforward` in the agents' namespace, and that the node is up",
            ),
            ClientError::NoToken { .. } => {
                Some("or give a token yourself: --token, or CHAOS_TOKEN")
            }
            ClientError::Broken { said: Some(_), .. } => Some(
                "the API server could not keep the way to the agent's pod open: is it running there, with --listen 127.0.0.1:7411?",
            ),
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
            ClientError::Refused { .. }
            | ClientError::Incomplete
            | ClientError::OddToken
            | ClientError::Interrupted
            | ClientError::Pem { .. }
            | ClientError::TokenInTheClear { .. }
            | ClientError::NoWay { .. } => None,
        };
        let mut hints: Vec<_> = hint.map(str::to_owned).into_iter().collect();
        if matches!(&error, ClientError::NoSocket { path } if path == Path::new(DEFAULT_SOCKET)) {
            hints.insert(
                0,
                "for agents of a cluster there must be a kubeconfig: give one by --kubeconfig"
                    .to_owned(),
            );
        }
        Self {
            hints,
            ..Self::new(kind, error)
        }
    }
}

/// The end of a sentence about something that broke.
fn because(said: Option<&String>) -> String {
    said.map_or(String::new(), |said| {
        format!(": {}", said.trim().trim_end_matches('.'))
    })
}

/// The status' message is the agent's sentence; the code's own words stand in where it has none.
fn sentence(status: &Status) -> String {
    match status.message() {
        "" => format!("the agent refused: {}", status.code().description()),
        message => message.to_owned(),
    }
}
