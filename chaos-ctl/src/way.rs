//! Where a command goes: to one agent, or to those of a cluster.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::client::{Address, DEFAULT_SOCKET, GivenToken, Tls, TokenSource};
use crate::cluster::{ClusterOptions, IN_CLUSTER_TOKEN};
use crate::error::{CommandError, ErrorKind};
use crate::experiment::Direct;
use crate::global::{Global, InvalidServer, server};

/// Where a command goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// To one agent, which looks up by itself what was pointed at.
    Agent(Address),
    /// To agents of a cluster.
    Cluster {
        /// Which.
        options: ClusterOptions,
        /// Ask this agent, and no other: everything must be on its node.
        only: Option<Address>,
    },
}

/// What a selector says about where it can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// On one host or in a cluster.
    Any,
    /// By an agent on its own host only; the option that says so.
    Host(&'static str),
    /// In a cluster only.
    Cluster,
}

/// A command that says two things about where to go.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// The address of the agent.
    #[error(transparent)]
    Server(#[from] InvalidServer),
    /// A selector of one host, and options of a cluster.
    #[error(
        "{selector} points at something of one host, which no cluster knows: leave out --context and --kubeconfig, or give --socket or --server alone"
    )]
    HostInCluster {
        /// The selector's option.
        selector: &'static str,
    },
}

impl From<WayError> for CommandError {
    fn from(error: WayError) -> Self {
        Self::new(ErrorKind::Usage, error)
    }
}

/// What the process sees of its host.
struct Surroundings<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    exists: &'a dyn Fn(&Path) -> bool,
}

impl Global {
    /// Where a command goes that needs this.
    pub fn way(&self, need: Need) -> Result<Way, WayError> {
        self.way_from(
            need,
            &Surroundings {
                variable: &|name| std::env::var_os(name),
                exists: &Path::exists,
            },
        )
    }

    fn way_from(&self, need: Need, here: &Surroundings) -> Result<Way, WayError> {
        let address = self.address(here)?;
        let is_cluster = self.context.is_some() || self.kubeconfig.is_some();
        match (need, address) {
            (Need::Host(selector), _) if is_cluster => Err(WayError::HostInCluster { selector }),
            (Need::Cluster, only) => Ok(self.cluster(only, here)),
            (_, only) if is_cluster => Ok(self.cluster(only, here)),
            (_, Some(address)) => Ok(Way::Agent(address)),
            (Need::Any, None)
                if !(here.exists)(Path::new(DEFAULT_SOCKET)) && here.has_cluster() =>
            {
                Ok(self.cluster(None, here))
            }
            (Need::Any | Need::Host(_), None) => {
                Ok(Way::Agent(Address::Socket(DEFAULT_SOCKET.into())))
            }
        }
    }

    /// How the agent at an address is talked to.
    pub fn direct(&self, address: Address) -> Direct {
        let here = Surroundings {
            variable: &|name| std::env::var_os(name),
            exists: &Path::exists,
        };
        Direct {
            address,
            tls: Tls {
                ca: self.tls_ca.clone(),
                identity: self.tls_cert.clone().zip(self.tls_key.clone()),
            },
            token: self
                .token(&here)
                .map(|token| Arc::new(GivenToken(token)) as Arc<dyn TokenSource>),
        }
    }

    fn token(&self, here: &Surroundings) -> Option<String> {
        let variable = || Some(here.set("CHAOS_TOKEN")?.to_string_lossy().into_owned());
        self.token.clone().or_else(variable)
    }

    fn cluster(&self, only: Option<Address>, here: &Surroundings) -> Way {
        let options = ClusterOptions {
            context: self.context.clone(),
            kubeconfig: self.kubeconfig.clone(),
            namespace: self.namespace.clone(),
            agent_namespace: self.agent_namespace.clone(),
            token: self.token(here),
            service_account: self.service_account.clone(),
        };
        Way::Cluster { options, only }
    }

    /// The agent's address, where one is given: options first, then the environment.
    fn address(&self, here: &Surroundings) -> Result<Option<Address>, InvalidServer> {
        if let Some(path) = &self.socket {
            return Ok(Some(Address::Socket(path.clone())));
        }
        if let Some(uri) = &self.server {
            return Ok(Some(Address::Server(uri.clone())));
        }
        if let Some(value) = here.set("CHAOS_SERVER") {
            return server(&value.to_string_lossy()).map(|uri| Some(Address::Server(uri)));
        }
        let socket = here.set("CHAOS_SOCKET");
        Ok(socket.map(|path| Address::Socket(path.into())))
    }
}

impl Surroundings<'_> {
    /// An empty variable counts as unset.
    fn set(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn has_cluster(&self) -> bool {
        let at_home = || {
            let home = self.set("HOME")?;
            Some((self.exists)(&PathBuf::from(home).join(".kube/config")))
        };
        let in_pod = || {
            self.set("KUBERNETES_SERVICE_HOST").is_some()
                && (self.exists)(Path::new(IN_CLUSTER_TOKEN))
        };
        self.set("KUBECONFIG").is_some() || at_home() == Some(true) || in_pod()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    const CONFIG: &str = "/home/u/.kube/config";

    fn way(arguments: &[&str], need: Need, files: &[&str], variables: &[(&str, &str)]) -> String {
        let cli = Cli::try_parse_from(["chaosctl", "list"].iter().chain(arguments)).unwrap();
        let here = Surroundings {
            variable: &|name| {
                let mut all = variables.iter().chain(&[("HOME", "/home/u")]);
                let found = all.find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            },
            exists: &|path| files.iter().any(|file| Path::new(file) == path),
        };
        match cli.global.way_from(need, &here) {
            Ok(Way::Agent(address)) => address.to_string(),
            Ok(Way::Cluster { only: None, .. }) => "cluster".to_owned(),
            Ok(Way::Cluster {
                only: Some(address),
                ..
            }) => format!("cluster, asking {address}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn addresses_win_and_options_win_over_the_environment() {
        let both = [
            ("CHAOS_SERVER", "http://10.0.0.7:1"),
            ("CHAOS_SOCKET", "/tmp/s"),
        ];
        let any =
            |arguments: &[&str], variables: &[_]| way(arguments, Need::Any, &[CONFIG], variables);
        assert_eq!(any(&[], &both), "http://10.0.0.7:1");
        assert_eq!(any(&["--socket", "/x"], &both), "/x");
        assert_eq!(any(&[], &both[1..]), "/tmp/s");
        assert!(any(&[], &[("CHAOS_SERVER", "x")]).contains("does not start with http"));
        assert_eq!(any(&[], &[("CHAOS_SOCKET", "")]), "cluster");
    }

    #[test]
    fn without_an_address_it_is_this_host_or_else_the_cluster() {
        let none: &[(&str, &str)] = &[];
        assert_eq!(way(&[], Need::Any, &[], none), DEFAULT_SOCKET);
        assert_eq!(way(&[], Need::Any, &[CONFIG], none), "cluster");
        assert_eq!(
            way(&[], Need::Any, &[CONFIG, DEFAULT_SOCKET], none),
            DEFAULT_SOCKET
        );
        assert_eq!(way(&[], Need::Any, &[], &[("KUBECONFIG", "/k")]), "cluster");
        let pod = [("KUBERNETES_SERVICE_HOST", "10.96.0.1")];
        assert_eq!(way(&[], Need::Any, &[], &pod), DEFAULT_SOCKET);
        assert_eq!(way(&[], Need::Any, &[IN_CLUSTER_TOKEN], &pod), "cluster");
    }

    #[test]
    fn what_only_a_host_or_only_a_cluster_has_decides() {
        let host = Need::Host("--netns");
        let files = [CONFIG, DEFAULT_SOCKET];
        assert_eq!(way(&[], host, &[CONFIG], &[]), DEFAULT_SOCKET);
        assert_eq!(way(&[], Need::Cluster, &files, &[]), "cluster");
        assert_eq!(way(&["--context", "c"], Need::Any, &files, &[]), "cluster");
        assert!(way(&["--context", "c"], host, &files, &[]).starts_with("--netns points at"));
        let server = ["--server", "http://h:1"];
        assert_eq!(
            way(&server, Need::Cluster, &files, &[]),
            "cluster, asking http://h:1"
        );
        assert_eq!(way(&server, Need::Any, &files, &[]), "http://h:1");
        let both = ["--server", "http://h:1", "--kubeconfig", "k"];
        assert_eq!(
            way(&both, Need::Any, &[], &[]),
            "cluster, asking http://h:1"
        );
    }
}
