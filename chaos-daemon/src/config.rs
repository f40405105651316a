//! The command line and the environment.

mod choices;

use std::{error::Error, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Arg, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, builder::Resettable,
};

use crate::{
    api::Tls,
    engine::{Protected, Spec, SpecError},
    holder, metrics,
    targets::Finder,
};

pub use choices::{AttachModeChoice, ExistingChoice, LineEngineChoice, XdpChoice};

/// The agent of one node: applies network faults to targets on this node, and ends every one of them on time.
///
/// `chaosctl` tells it what to do; alone it does nothing. It needs root, or the capabilities `CAP_BPF`, `CAP_PERFMON`,
/// `CAP_NET_ADMIN`, `CAP_SYS_ADMIN` and `CAP_SYS_PTRACE`. When it is told to stop (SIGTERM, SIGINT), it ends all
/// experiments first. When it dies, the kernel ends them: see docs/safety.md.
///
/// An option wins over its variable of the environment; an empty variable counts as unset.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Config {
    /// What to do instead of serving
    #[command(subcommand)]
    pub action: Option<Action>,

    /// Unix socket to serve at; made with mode 0600, so that only root can give orders
    #[arg(
        long,
        global = true,
        env = "CHAOS_SOCKET",
        hide_env_values = true,
        value_name = "PATH",
        default_value = "/run/chaos/chaos.sock"
    )]
    pub socket: PathBuf,

    /// Serve at this loopback address too, such as 127.0.0.1:7411; with --tls-cert, any address
    ///
    /// Who reaches it is asked who they are with --kubernetes (a bearer token) and with --tls-cert (a certificate), and else
    /// is not asked.
    #[arg(
        long,
        env = "CHAOS_LISTEN",
        hide_env_values = true,
        value_name = "ADDRESS:PORT"
    )]
    pub listen: Option<SocketAddr>,

    /// File that names services and their endpoints on this host; read at each look-up
    #[arg(
        long,
        env = "CHAOS_INVENTORY",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub inventory: Option<PathBuf>,

    /// Name of this node, as control knows it; in a cluster, that of the Node object
    #[arg(
        long,
        env = "NODE_NAME",
        hide_env_values = true,
        value_name = "NAME",
        default_value_t = host_name(),
        hide_default_value = true
    )]
    pub node_name: String,

    /// Directory below which the cgroups of pods are looked for, such as the node's /sys/fs/cgroup where it is mounted;
    /// without it, each hierarchy that is mounted
    #[arg(
        long,
        env = "CHAOS_CGROUP_ROOT",
        hide_env_values = true,
        value_name = "DIR"
    )]
    pub cgroup_root: Option<PathBuf>,

    /// What no fault may touch: CIDR, ADDRESS:PORT (of a peer) or :PORT (this node's own); several with commas, or the
    /// option again
    ///
    /// CIDR and ADDRESS:PORT hold on all targets, :PORT where the node is the target. There the port of --listen is always
    /// protected.
    #[arg(
        long,
        env = "CHAOS_PROTECT",
        hide_env_values = true,
        value_name = "LIST",
        value_delimiter = ','
    )]
    pub protect: Vec<Protected>,

    /// Ask the Kubernetes API server who calls and what they may, look up pods there, and tell it what happens in events
    ///
    /// The API server is found as in a pod, by its service account, or by --kubeconfig. Where it cannot be asked, nobody may
    /// do anything but end what they started. See docs/kubernetes.md.
    #[arg(long, env = "CHAOS_KUBERNETES", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub kubernetes: bool,

    /// Kubeconfig by which the API server is found; means --kubernetes
    #[arg(
        long,
        env = "CHAOS_KUBECONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub kubeconfig: Option<PathBuf>,

    /// Namespace of the agents, which a policy denies where it says nothing else; without it, that of the pod, or
    /// chaos-system
    #[arg(
        long,
        env = "POD_NAMESPACE",
        hide_env_values = true,
        value_name = "NAMESPACE"
    )]
    pub agent_namespace: Option<String>,

    /// Audience that a token must be for; may be repeated
    #[arg(
        long,
        env = "CHAOS_AUDIENCE",
        hide_env_values = true,
        value_name = "AUDIENCE",
        value_delimiter = ',',
        default_value = "chaos-daemon"
    )]
    pub audience: Vec<String>,

    /// File that says what nobody may: namespaces, maxDuration, maxShare, faults, nodeLevel; read at each experiment
    ///
    /// Without it and with --kubernetes: pods of all namespaces but kube-* and the agents', for at most 1h, and not the node
    /// itself. A file that cannot be read allows nothing.
    #[arg(
        long,
        env = "CHAOS_POLICY",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub policy: Option<PathBuf>,

    /// File to which one JSON line for each decision is appended; without it and with --kubernetes, --policy or --tls-cert:
    /// standard output
    #[arg(
        long,
        env = "CHAOS_AUDIT_LOG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub audit_log: Option<PathBuf>,

    /// Certificate (PEM) that the agent shows at --listen; callers then show one too
    #[arg(long, env = "CHAOS_TLS_CERT", hide_env_values = true, value_name = "FILE", requires_all = ["tls_key", "client_ca", "listen"])]
    pub tls_cert: Option<PathBuf>,

    /// Its key (PEM)
    #[arg(
        long,
        env = "CHAOS_TLS_KEY",
        hide_env_values = true,
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// Authority (PEM) that has signed the certificates of callers: they may do everything that the policy allows
    #[arg(
        long,
        env = "CHAOS_CLIENT_CA",
        hide_env_values = true,
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub client_ca: Option<PathBuf>,

    /// Serve /livez, /readyz and /metrics over HTTP at this address; who reaches it is not asked who they are
    #[arg(
        long,
        env = "CHAOS_METRICS",
        hide_env_values = true,
        value_name = "ADDRESS:PORT",
        value_parser = metrics::address
    )]
    pub metrics: Option<SocketAddr>,

    /// How long an attached experiment outlives its client, where the client says nothing else: 0s to 5m
    #[arg(long, env = "CHAOS_GRACE", hide_env_values = true, value_name = "TIME", default_value = "5s", value_parser = grace)]
    pub grace: Duration,

    /// What holds delayed packets: fq needs the kernel's `sch_fq`, tap needs /dev/net/tun; with auto, an agent on a
    /// kernel that has neither starts and refuses delays
    #[arg(
        long,
        env = "CHAOS_LINE_ENGINE",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub line_engine: LineEngineChoice,

    /// How programs are attached: tcx needs Linux 6.6
    #[arg(
        long,
        env = "CHAOS_ATTACH_MODE",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub attach_mode: AttachModeChoice,

    /// How what arrives at the node is dropped, where the node is the target: by the card's driver (native), by the
    /// kernel's generic code, or, with off, where delays are applied
    #[arg(
        long,
        env = "CHAOS_XDP",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub xdp: XdpChoice,

    /// How connections from before a fault of requests are ended, so that they come back through the agent: one by one
    /// (`SOCK_DESTROY`), or, with reset, with their next packet
    #[arg(
        long,
        env = "CHAOS_EXISTING",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub existing: ExistingChoice,

    /// What to log, to standard error: a level such as info or debug, or levels by module such as
    /// `chaos_daemon=debug,warn`
    #[arg(
        long,
        env = "CHAOS_LOG",
        hide_env_values = true,
        value_name = "FILTER",
        default_value = "info"
    )]
    pub log: String,

    /// Form of the log
    #[arg(
        long,
        env = "CHAOS_LOG_FORMAT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// What to do instead of serving.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Action {
    /// Remove what agents that are gone have left behind, and end; agents that run are left alone
    Cleanup,
    /// The agent's own helper process; not for people
    #[command(name = holder::ARGUMENT, hide = true)]
    HoldLines,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl Config {
    /// Reads the command line and the environment; says what is wrong with them, and ends the process.
    pub fn read() -> Self {
        let mut command = Self::command().mut_args(without_empty_variable);
        let found = command.get_matches_mut();
        Self::from_arg_matches(&found).unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// What no fault may touch: what the operator says, and the port that the agent itself listens on.
    pub fn protected(&self) -> Vec<Protected> {
        let mut list = self.protect.clone();
        let own = [self.listen, self.metrics].into_iter().flatten();
        let ports = own.map(|address| address.port()).filter(|port| *port != 0);
        list.extend(ports.map(Protected::OwnPort));
        list
    }

    /// Whether the API server is asked.
    pub const fn is_in_cluster(&self) -> bool {
        self.kubernetes || self.kubeconfig.is_some()
    }

    /// Files of TLS, where callers come by it.
    pub fn tls(&self) -> Option<Tls> {
        Some(Tls {
            certificate: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
            client_authority: self.client_ca.clone()?,
            // Who has a token needs none.
            may_come_without: self.is_in_cluster(),
        })
    }

    /// How targets are found.
    pub fn finder(&self) -> Finder {
        Finder {
            inventory: self.inventory.clone(),
            cgroup_root: self.cgroup_root.clone(),
            node: self.node_name.clone(),
        }
    }
}

/// An empty variable counts as unset: that is how a unit file or a container leaves one out.
fn without_empty_variable(argument: Arg) -> Arg {
    let is_empty = argument
        .get_env()
        .and_then(std::env::var_os)
        .is_some_and(|value| value.is_empty());
    if is_empty {
        argument.env(Resettable::Reset)
    } else {
        argument
    }
}

/// What this host calls itself.
fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "node".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Reads a grace period, within the bounds of an experiment's.
fn grace(text: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let grace = humantime::parse_duration(text)?;
    if grace > Spec::LONGEST_GRACE {
        return Err(SpecError::Grace(grace).into());
    }
    Ok(grace)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, path::Path};

    use serde_json::Value;

    use super::*;
    use crate::policy::Policies;

    #[test]
    fn command_line_is_consistent() {
        Config::command().debug_assert();
    }

    /// The only object of this kind in a file of the base of `deploy/`.
    fn deployed(file: &str, kind: &str) -> Value {
        let path = format!(
            "{}/../deploy/kubernetes/base/{file}",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).unwrap();
        let objects = text.split("\n---\n");
        let mut objects = objects.map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
        objects.find(|object| object["kind"] == kind).unwrap()
    }

    #[test]
    fn what_deploy_starts_is_a_command_line_of_ours() {
        let set = deployed("agent.yaml", "DaemonSet");
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        let words = container["args"].as_array().unwrap().iter();
        let words = words.map(|word| word.as_str().unwrap());
        let config = Config::try_parse_from(["chaos-daemon"].into_iter().chain(words)).unwrap();
        assert!(config.is_in_cluster());
        assert!(config.listen.unwrap().ip().is_loopback());
        assert_eq!(config.audience, ["chaos-daemon"]);
        assert_eq!(config.policy.unwrap(), Path::new("/etc/chaos/policy.yaml"));
        // Where the API server is found says the kubelet; everything else is a variable of ours.
        let command = Config::command();
        let known: Vec<&OsStr> = command.get_arguments().filter_map(Arg::get_env).collect();
        for variable in container["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            assert!(known.contains(&OsStr::new(name)), "{name}");
        }
        let unit = include_str!("../../deploy/systemd/chaos-daemon.service");
        let start = unit
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="));
        Config::try_parse_from(start.unwrap().split(' ')).unwrap();
    }

    #[test]
    fn the_policy_of_deploy_is_what_holds_without_one() {
        let map = deployed("policy.yaml", "ConfigMap");
        let text = map["data"]["policy.yaml"].as_str().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let agents = "chaos-system".to_owned();
        let path = file.path().to_owned();
        let said = Policies::File {
            path,
            agents: agents.clone(),
        };
        let default = Policies::Default { agents };
        let [said, default] = [said, default].map(|policies| policies.read().unwrap().unwrap());
        assert_eq!(said, default);
    }
}
