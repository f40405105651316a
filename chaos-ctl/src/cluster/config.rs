//! Which cluster: from options, a kubeconfig, or the service account of the pod that this runs in.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::near::near;
use crate::error::{CommandError, ErrorKind};
use crate::quantity::is_name;

/// Where a pod finds its token.
pub const IN_CLUSTER_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// An API server that takes longer to be connected to does not help.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

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

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("url", &self.config.cluster_url)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// A cluster that nobody can find from what is configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no kubeconfig.
    #[error("there is no kubeconfig at {place}: give one by --kubeconfig or KUBECONFIG")]
    Missing {
        /// Where it was looked for.
        place: String,
    },
    /// It cannot be read or used.
    #[error("cannot use the kubeconfig {place}: {}", kubeconfig(source))]
    Broken {
        /// Where it is.
        place: String,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// It has no such context.
    #[error(
        "the kubeconfig {place} has no context `{context}`: {}",
        in_its_place(near, all)
    )]
    NoContext {
        /// Where it is.
        place: String,
        /// As asked for.
        context: String,
        /// Contexts whose names are like it.
        near: Vec<String>,
        /// All contexts.
        all: Vec<String>,
    },
    /// It does not say which context, and neither do the options.
    #[error("the kubeconfig {place} has no current context: give one by --context ({})", all.join(", "))]
    NoCurrentContext {
        /// Where it is.
        place: String,
        /// All contexts.
        all: Vec<String>,
    },
    /// The pod's service account cannot be used.
    #[error("cannot use this pod's service account: {source}")]
    InCluster {
        /// Why.
        source: kube::config::InClusterError,
    },
    /// A name that nothing in a cluster can have.
    #[error(
        "{option} `{value}` is not a name: give small letters, digits and `-`, as `kubectl get` shows names"
    )]
    NotAName {
        /// The option.
        option: &'static str,
        /// As written.
        value: String,
    },
    /// The connection cannot be set up.
    #[error("cannot set up the connection to the API server at {url}: {source}")]
    Client {
        /// Where it is.
        url: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::new(ErrorKind::Usage, error)
    }
}

fn in_its_place(near: &[String], all: &[String]) -> String {
    match (near, all) {
        ([], []) => "it has none".to_owned(),
        ([], all) => format!("it has {}", all.join(", ")),
        (near, _) => format!("did you mean {}?", near.join(" or ")),
    }
}

/// Parsers and systems say it in several lines; one is enough here.
fn kubeconfig(error: &KubeconfigError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

impl ClusterOptions {
    fn check(&self) -> Result<(), ConfigError> {
        let account = self.service_account.iter();
        let account = account.flat_map(|account| account.split('/'));
        let names = account
            .map(|name| ("--service-account", name))
            .chain(
                self.namespace
                    .iter()
                    .map(|name| ("--namespace", name.as_str())),
            )
            .chain([("--agent-namespace", self.agent_namespace.as_str())]);
        let mut wrong = names.filter(|(_, name)| !is_name(name));
        wrong.next().map_or(Ok(()), |(option, value)| {
            Err(ConfigError::NotAName {
                option,
                value: value.to_owned(),
            })
        })
    }
}

impl Cluster {
    /// Reads the configuration; nothing is asked of the API server yet.
    pub async fn connect(options: ClusterOptions) -> Result<Self, ConfigError> {
        options.check()?;
        let mut config = config(&options).await?;
        config.connect_timeout = Some(CONNECT_WITHIN);
        let client =
            kube::Client::try_from(config.clone()).map_err(|source| ConfigError::Client {
                url: config.cluster_url.to_string(),
                source: Box::new(source),
            })?;
        let namespace = options.namespace.clone();
        Ok(Self {
            client,
            namespace: namespace.unwrap_or_else(|| config.default_namespace.clone()),
            config,
            options,
        })
    }
}

async fn config(options: &ClusterOptions) -> Result<kube::Config, ConfigError> {
    let paths = paths(options);
    let there: Vec<_> = paths.iter().filter(|path| path.exists()).collect();
    let place = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(":");
    if there.is_empty() {
        let wants_file = options.kubeconfig.is_some() || options.context.is_some();
        if !wants_file && Path::new(IN_CLUSTER_TOKEN).exists() {
            return kube::Config::incluster().map_err(|source| ConfigError::InCluster { source });
        }
        return Err(ConfigError::Missing { place });
    }
    let broken = |source| ConfigError::Broken {
        place: place.clone(),
        source: Box::new(source),
    };
    // As kubectl does: files of the list that are not there are left out.
    let merged = there
        .into_iter()
        .try_fold(Kubeconfig::default(), |merged, path| {
            Kubeconfig::read_from(path).and_then(|next| merged.merge(next))
        });
    let merged = merged.map_err(broken)?;
    check_context(&merged, options.context.as_deref(), &place)?;
    let chosen = KubeConfigOptions {
        context: options.context.clone(),
        ..KubeConfigOptions::default()
    };
    let names_proxy = names_proxy(&merged, options.context.as_deref());
    let mut config = kube::Config::from_custom_kubeconfig(merged, &chosen)
        .await
        .map_err(broken)?;
    if !names_proxy && !takes_proxy(&config.cluster_url) {
        config.proxy_url = None;
    }
    Ok(config)
}

/// Whether the kubeconfig says which proxy to take, or leaves it to `HTTPS_PROXY`.
fn names_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> bool {
    let name = context.or(kubeconfig.current_context.as_deref());
    let mut contexts = kubeconfig.contexts.iter();
    let cluster = contexts
        .find(|context| Some(context.name.as_str()) == name)
        .and_then(|context| Some(&context.context.as_ref()?.cluster));
    let mut clusters = kubeconfig.clusters.iter();
    clusters
        .find(|named| Some(&named.name) == cluster)
        .and_then(|named| named.cluster.as_ref()?.proxy_url.as_ref())
        .is_some_and(|proxy| !proxy.is_empty())
}

/// Whether `HTTPS_PROXY` is for this address: as for kubectl, of https, and of no host that is this one.
fn takes_proxy(url: &tonic::transport::Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    url.scheme_str() == Some("https") && !is_here
}

/// The option, else the list of the variable, else the file at home.
fn paths(options: &ClusterOptions) -> Vec<PathBuf> {
    if let Some(path) = &options.kubeconfig {
        return vec![path.clone()];
    }
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> = std::env::split_paths(&listed)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if !listed.is_empty() {
        return listed;
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    vec![home.map_or_else(
        || PathBuf::from("~/.kube/config"),
        |home| PathBuf::from(home).join(".kube/config"),
    )]
}

fn check_context(
    kubeconfig: &Kubeconfig,
    asked: Option<&str>,
    place: &str,
) -> Result<(), ConfigError> {
    let all: Vec<_> = kubeconfig
        .contexts
        .iter()
        .map(|context| context.name.clone())
        .collect();
    let place = place.to_owned();
    let current = kubeconfig.current_context.as_deref();
    match asked.or(current).filter(|context| !context.is_empty()) {
        None => Err(ConfigError::NoCurrentContext { place, all }),
        Some(context) if !all.iter().any(|known| known == context) => Err(ConfigError::NoContext {
            place,
            context: context.to_owned(),
            near: near(context, all.iter().map(String::as_str)),
            all,
        }),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_of_the_environment_is_not_for_clusters_on_this_host() {
        for (url, takes) in [
            ("https://10.0.0.1:6443", true),
            ("https://api.example.com", true),
            ("https://127.0.0.1:6443", false),
            ("https://[::1]:6443", false),
            ("https://localhost:6443", false),
            ("http://10.0.0.1:8080", false),
        ] {
            assert_eq!(takes_proxy(&url.parse().unwrap()), takes, "{url}");
        }
    }

    #[test]
    fn a_proxy_of_the_kubeconfig_is_that_of_the_chosen_cluster() {
        let config: Kubeconfig = serde_json::from_value(serde_json::json!({
            "current-context": "a",
            "clusters": [
                {"name": "with", "cluster": {"proxy-url": "socks5://10.0.0.9:1080"}},
                {"name": "without", "cluster": {}},
            ],
            "contexts": [
                {"name": "a", "context": {"cluster": "with"}},
                {"name": "b", "context": {"cluster": "without"}},
            ],
        }))
        .unwrap();
        assert!(names_proxy(&config, None));
        assert!(!names_proxy(&config, Some("b")));
    }
}
