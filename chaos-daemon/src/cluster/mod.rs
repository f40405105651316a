//! What the agent asks of the Kubernetes API: who somebody is and what they may, which pods are on this node, how many
//! endpoints a service has; and what it tells it: events. The only module that names kube.
//!
//! Every question has a bound in time. An answer of the API server about somebody else's rights is passed on; one about
//! the agent's own is an error, like silence.

mod events;
mod pods;
mod reviews;
mod services;

use std::{path::PathBuf, time::Duration};

use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};

pub use events::{Kind, Notice, Object};
pub use pods::{PodError, PodFacts};
pub use services::Endpoints;

use crate::sentence::sentence;

/// How long the API server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// Namespace of the agents, where nothing says another.
const AGENT_NAMESPACE: &str = "chaos-system";

/// Why the API server did not answer a question.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is nothing that says where it is.
    #[error(
        "cannot find the API server: {0}; run in a pod with a service account, or give --kubeconfig FILE"
    )]
    Config(
        /// What was tried, and what came of it.
        String,
    ),
    /// It said nothing in time.
    #[error("the API server did not answer within {} s when asked {what}", PATIENCE.as_secs())]
    Silent {
        /// The question.
        what: &'static str,
    },
    /// It could not be asked.
    #[error("cannot ask the API server {what}: {reason}")]
    Unreachable {
        /// The question.
        what: &'static str,
        /// What happened.
        reason: String,
    },
    /// The agent's own rights.
    #[error(
        "the API server does not let the agent ask {what}: {message}; the ClusterRole chaos-daemon of deploy/ has what it needs: apply it, and bind it to the agent's account"
    )]
    Refused {
        /// The question.
        what: &'static str,
        /// Its word.
        message: String,
    },
    /// The agent's own token.
    #[error(
        "the API server does not know who the agent is when it asks {what}: {message}; the token of the agent's own service account is not good any more (or that of --kubeconfig is not): see that the account is there, and restart the agent"
    )]
    Stranger {
        /// The question.
        what: &'static str,
        /// Its word.
        message: String,
    },
}

/// Where the API server is, and who we are.
#[derive(Debug, Default)]
pub struct Place {
    /// Instead of what a pod finds in itself.
    pub kubeconfig: Option<PathBuf>,
    /// Name of this node.
    pub node: String,
    /// Namespace of the agents, where it is given.
    pub namespace: Option<String>,
    /// What tokens must be for.
    pub audiences: Vec<String>,
}

/// The API server, seen from one node.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    node: String,
    namespace: String,
    audiences: Vec<String>,
    /// Where the API server is asked.
    host: (String, u16),
}

impl Cluster {
    /// Finds out where the API server is. Asks it nothing yet.
    pub async fn find(place: Place) -> Result<Self, ClusterError> {
        let config = |error: &dyn std::error::Error| ClusterError::Config(error.to_string());
        let (mut found, namespace) = if let Some(path) = &place.kubeconfig {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| config(&error))?;
            let options = KubeConfigOptions::default();
            let found = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            (found.map_err(|error| config(&error))?, None)
        } else {
            let found = Config::incluster().map_err(|error| config(&error))?;
            let namespace = found.default_namespace.clone();
            (found, Some(namespace))
        };
        found.connect_timeout = Some(CONNECT_PATIENCE);
        // Who asks us waits; it is for them to ask again.
        found.default_retry = false;
        let url = &found.cluster_url;
        let is_plain = url.scheme_str() == Some("http");
        let host = (
            // Without the brackets of IPv6.
            url.host()
                .unwrap_or_default()
                .trim_matches(['[', ']'])
                .to_owned(),
            url.port_u16().unwrap_or(if is_plain { 80 } else { 443 }),
        );
        let client = Client::try_from(found).map_err(|error| config(&error))?;
        Ok(Self {
            client,
            node: place.node,
            namespace: place
                .namespace
                .or(namespace)
                .unwrap_or_else(|| AGENT_NAMESPACE.to_owned()),
            audiences: place.audiences,
            host,
        })
    }

    /// Namespace of the agents.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Name of this node.
    pub fn node(&self) -> &str {
        &self.node
    }
}

/// Waits for an answer, not for too long; `what` completes "when asked …". Nothing: there is no such object.
async fn ask<T>(
    what: &'static str,
    question: impl Future<Output = kube::Result<T>>,
) -> Result<Option<T>, ClusterError> {
    match tokio::time::timeout(PATIENCE, question).await {
        Err(_) => Err(ClusterError::Silent { what }),
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(None),
        Ok(Err(kube::Error::Api(status))) if status.code == 401 => Err(ClusterError::Stranger {
            what,
            message: status.message.clone(),
        }),
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Err(ClusterError::Refused {
            what,
            message: status.message.clone(),
        }),
        Ok(Err(kube::Error::Api(status))) => Err(ClusterError::Unreachable {
            what,
            reason: format!("it answered {}: {}", status.code, status.message),
        }),
        Ok(Err(error)) => Err(ClusterError::Unreachable {
            what,
            reason: sentence(&error),
        }),
    }
}

/// The same, where there always is one.
async fn ask_all<T>(
    what: &'static str,
    question: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    ask(what, question)
        .await?
        .ok_or_else(|| ClusterError::Unreachable {
            what,
            reason: "it answered 404: there is no such kind of object, or no such namespace"
                .to_owned(),
        })
}
