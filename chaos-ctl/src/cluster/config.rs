//! Which cluster: from options, a kubeconfig, or the service account of the pod that this runs in.

use std::path::PathBuf;

/// What the options say about the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterOptions {
    /// Context of the kubeconfig; its current one otherwise.
    pub context: Option<String>,
    /// File; `KUBECONFIG` or `~/.kube/config` otherwise.
    pub kubeconfig: Option<PathBuf>,
    /// Namespace of what is pointed at; the context's otherwise.
    pub namespace: Option<String>,
    /// Namespace of the agents.
    pub agent_namespace: String,
    /// Token for the agents.
    pub token: Option<String>,
    /// Service account whose token is asked for, as `NAMESPACE/NAME`.
    pub service_account: Option<String>,
}

/// A connection to an API server.
#[derive(Clone)]
pub struct Cluster {
    /// Asks the API server.
    pub client: kube::Client,
    /// Where it is and who we are there.
    pub config: kube::Config,
    /// Namespace of what is pointed at.
    pub namespace: String,
    /// What the options say.
    pub options: ClusterOptions,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("url", &self.config.cluster_url)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// A cluster that cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig: {source}")]
    Kubeconfig {
        /// Why.
        source: kube::config::KubeconfigError,
    },
    /// The connection cannot be set up.
    #[error("cannot set up the connection to the API server: {source}")]
    Client {
        /// Why.
        source: kube::Error,
    },
}

impl Cluster {
    /// Reads the configuration; nothing is asked of the API server yet.
    pub async fn connect(options: ClusterOptions) -> Result<Self, ConfigError> {
        let chosen = kube::config::KubeConfigOptions {
            context: options.context.clone(),
            ..kube::config::KubeConfigOptions::default()
        };
        let config = kube::Config::from_kubeconfig(&chosen)
            .await
            .map_err(|source| ConfigError::Kubeconfig { source })?;
        let client = kube::Client::try_from(config.clone())
            .map_err(|source| ConfigError::Client { source })?;
        let namespace = options
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        Ok(Self {
            client,
            config,
            namespace,
            options,
        })
    }
}
