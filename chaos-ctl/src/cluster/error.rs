//! Why there is no plan: what was wrong, where, and what to do.

use super::ask::ApiError;
use crate::error::{CommandError, ErrorKind};
use crate::quantity::InvalidQuantity;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// There is no such thing.
    #[error(
        "there is no {kind} `{name}`{}{}",
        in_namespace(namespace.as_deref()),
        instead(near, elsewhere, is_peer.then_some((*kind, name.as_str())))
    )]
    NotFound {
        /// `service`, `pod`, `Deployment` …
        kind: &'static str,
        /// As written.
        name: String,
        /// Where it was looked for; nothing for what is in none.
        namespace: Option<String>,
        /// Names there that are like it.
        near: Vec<String>,
        /// Namespaces that have one of this name.
        elsewhere: Vec<String>,
        /// Whether it was to be a peer.
        is_peer: bool,
    },
    /// Nothing has such labels.
    #[error(
        "no {kind}{} has the labels `{selector}`{}",
        in_namespace(namespace.as_deref()),
        instead(near, elsewhere, None)
    )]
    NoLabels {
        /// `pod` or `node`.
        kind: &'static str,
        /// As written.
        selector: String,
        /// Where it was looked for; nothing for what is in none.
        namespace: Option<String>,
        /// Labels there that are like these.
        near: Vec<String>,
        /// Namespaces that have some with these labels.
        elsewhere: Vec<String>,
    },
    /// It is there, and has nothing to hit just now.
    #[error("{what} has no {}: {detail}", if *ready { "ready pods" } else { "pods" })]
    Nothing {
        /// What was pointed at.
        what: String,
        /// Whether only ready ones are taken.
        ready: bool,
        /// How many are not, and why.
        detail: String,
    },
    /// One that cannot be hit.
    #[error("pod {name} in namespace {namespace} {why}: point at pods that run")]
    NotRunning {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// `is pending`, `is terminating` …
        why: &'static str,
    },
    /// A service that is only another name.
    #[error(
        "service {name} in namespace {namespace} is of type ExternalName: it has no pods, only the name {to}; to hit what talks to it, point at the client and give `--peer svc/{name}`"
    )]
    ExternalName {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What it stands for.
        to: String,
    },
    /// A port that the service does not have.
    #[error("service {service} has no port {port}{}: its ports are {}", protocol.map_or_else(String::new, |of| format!(" of {of}")), ports.join(", "))]
    NoSuchPort {
        /// Its name.
        service: String,
        /// As asked for.
        port: String,
        /// As asked for.
        protocol: Option<&'static str>,
        /// Those that it has.
        ports: Vec<String>,
    },
    /// Requests, and no port.
    #[error(
        "the fault of requests does not say which port they arrive at: give --port, the one that the target listens on"
    )]
    WhichPort,
    /// Requests to a service without a port of TCP.
    #[error("service {service} has no TCP port: give --target-port, a port of its pods")]
    NoTcpPort {
        /// Its name.
        service: String,
    },
    /// Requests to a service with several.
    #[error(
        "service {service} has several ports, so that it is not clear which is meant: give --port with one of {}",
        ports.join(", ")
    )]
    SeveralPorts {
        /// Its name.
        service: String,
        /// Those that it has.
        ports: Vec<String>,
    },
    /// A service without ports.
    #[error(
        "service {service} has no ports, so that --port {port} says nothing: give --target-port, a port of its pods"
    )]
    NoPorts {
        /// Its name.
        service: String,
        /// As asked for.
        port: String,
    },
    /// None of the pods has the port.
    #[error(
        "no ready pod of service {service} has its port {ports}: check the names of the containers' ports"
    )]
    PortOfNoPod {
        /// Its name.
        service: String,
        /// As asked for.
        ports: String,
    },
    /// None of the pods has a port of this name.
    #[error(
        "no pod of {what} has a container port named {ports}: {}",
        if known.is_empty() { "theirs have no names".to_owned() } else { format!("there are {}", known.join(", ")) }
    )]
    NoSuchName {
        /// What was pointed at.
        what: String,
        /// As asked for.
        ports: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Names that one rule cannot tell apart.
    #[error(
        "--port {ports} means other ports of a pod of {what} for TCP than for UDP: give --proto tcp or --proto udp"
    )]
    NamesDiffer {
        /// What was pointed at.
        what: String,
        /// As asked for.
        ports: String,
    },
    /// Ports that one rule cannot tell apart.
    #[error(
        "--port {ports} of service {service} means other ports of its pods for TCP than for UDP: give --proto tcp or --proto udp"
    )]
    Protocols {
        /// Its name.
        service: String,
        /// As asked for.
        ports: String,
    },
    /// Two options about the same.
    #[error("--port of a service is --target-port of its pods: give one of them")]
    PortTwice,
    /// Pods of one part that cannot have one rule.
    #[error(
        "the port is not the same in all pods of service {service} on {node}, and their rules cannot be told apart any more: start another experiment"
    )]
    PortsDiffer {
        /// Its name.
        service: String,
        /// Where.
        node: String,
    },
    /// Pods that are endpoints no longer.
    #[error(
        "no pod of the experiment on {node} is an endpoint of service {service} any more, so that nobody knows what its ports are there"
    )]
    NoneLeft {
        /// Its name.
        service: String,
        /// Where.
        node: String,
    },
    /// The name of a port, and no service.
    #[error(transparent)]
    PortName(#[from] InvalidQuantity),
    /// A container that none of the pods has.
    #[error("no pod of {what} has a container `{container}`: {}", if near.is_empty() { format!("there are {}", all.join(", ")) } else { format!("did you mean {}?", near.join(" or ")) })]
    NoContainer {
        /// What was pointed at.
        what: String,
        /// As written.
        container: String,
        /// Names that are like it.
        near: Vec<String>,
        /// All names.
        all: Vec<String>,
    },
    /// A label selector that is none.
    #[error("the label selector `{selector}` is not valid: {message}")]
    Labels {
        /// As written.
        selector: String,
        /// What the API server says.
        message: String,
    },
    /// A peer without an address; without peers, the rule would match all of them.
    #[error("peer `{peer}` has no address: {detail}")]
    NoAddress {
        /// As written.
        peer: String,
        /// Why.
        detail: String,
    },
    /// A peer that DNS does not know.
    #[error("peer `{peer}` cannot be looked up: {why}")]
    Dns {
        /// As written.
        peer: String,
        /// Why.
        why: String,
    },
    /// A peer of a cluster, and one host.
    #[error(
        "peer `{peer}` is of a cluster, and this goes to one host: give addresses, or --context"
    )]
    PeerOfCluster {
        /// As written.
        peer: String,
    },
}

fn in_namespace(namespace: Option<&str>) -> String {
    namespace.map_or_else(String::new, |namespace| {
        format!(" in namespace {namespace}")
    })
}

fn instead(near: &[String], elsewhere: &[String], peer: Option<(&str, &str)>) -> String {
    let near = match near {
        [] => String::new(),
        near => format!(": did you mean {}?", near.join(" or ")),
    };
    match elsewhere {
        [] => near,
        [one] if let Some((kind, name)) = peer => {
            let kind = kind.replace("service", "svc");
            format!(": it is in namespace {one}, give `{kind}/{name}.{one}`")
        }
        [one] => format!(": it is in namespace {one}, give `-n {one}`"),
        several => format!(": there is one in the namespaces {}", several.join(", ")),
    }
}

impl ResolveError {
    /// The same of a peer, whose namespace is written differently.
    pub(super) fn of_peer(mut self) -> Self {
        if let Self::NotFound { is_peer, .. } = &mut self {
            *is_peer = true;
        }
        self
    }

    /// Whether what was pointed at exists, and has nothing to hit just now.
    pub fn is_empty(&self) -> bool {
        matches!(
            self,
            Self::Nothing { .. }
                | Self::NoLabels { .. }
                | Self::PortOfNoPod { .. }
                | Self::NoSuchName { .. }
                | Self::NoAddress { .. }
        )
    }
}

impl From<ResolveError> for CommandError {
    fn from(error: ResolveError) -> Self {
        if let ResolveError::Api(error) = error {
            return error.into();
        }
        let is_usage = matches!(
            error,
            ResolveError::PortTwice
                | ResolveError::WhichPort
                | ResolveError::SeveralPorts { .. }
                | ResolveError::Protocols { .. }
                | ResolveError::NamesDiffer { .. }
                | ResolveError::PortName(_)
                | ResolveError::PeerOfCluster { .. }
                | ResolveError::Dns { .. }
        );
        if is_usage {
            Self::new(ErrorKind::Usage, error)
        } else {
            Self::new(ErrorKind::Failed, error).hint("nothing was applied")
        }
    }
}
