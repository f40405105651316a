//! The command line: verbs and the options that all of them share. Help texts here are the reference documentation.
//!
//! Parses syntax only; whether a value makes sense on a node is for the agent to say.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use tonic::transport::Uri;

use crate::commands::{
    apply::ApplyArgs, corrupt::CorruptArgs, delay::DelayArgs, dns::DnsArgs, doctor::DoctorArgs,
    duplicate::DuplicateArgs, list::ListArgs, loss::LossArgs, partition::PartitionArgs,
    rate::RateArgs, reorder::ReorderArgs, reset::ResetArgs, rewrite::RewriteArgs,
    status::StatusArgs, stop::StopArgs, update::UpdateArgs,
};

/// Delays, drops, duplicates, reorders, corrupts, rewrites or slows down chosen packets of a service, its pods or nodes
/// in a Kubernetes cluster, or of a process, a network namespace or a whole host, resets its connections, answers its
/// DNS questions or cuts it off, for a limited time.
///
/// Every fault ends by itself: after its duration, when this command is interrupted, when the client that started it
/// is gone, and when the agent dies or hangs. Traffic that a filter does not match is not touched; ARP and IPv6
/// neighbour discovery never are.
///
/// The work is done by an agent, `chaos-daemon`, which must run on the host of the target; `chaosctl doctor` tells
/// whether it does and what it can do there. In a cluster it is reached through the API server, with your kubeconfig
/// and what you may do there; on this host through a socket that is root's, so that chaosctl needs root too.
#[derive(Debug, Parser)]
#[command(
    name = "chaosctl",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = EXAMPLES,
    after_long_help = EXAMPLES_AND_EXIT_CODES
)]
pub struct Cli {
    /// Options that stand before or after the verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

macro_rules! examples {
    () => {
        "\
Examples:
  chaosctl delay --svc provider-chaos-service 100ms --duration 30s
  chaosctl loss 30% --netns web --proto udp --port 53 --dry-run
  chaosctl rate 10mbit --netns web --pulse 2s/8s
  chaosctl partition --netns web --peer 10.0.0.0/8
  chaosctl apply -f experiment.yaml
  chaosctl update delay-3f9a1c delay 200ms
  chaosctl list
  chaosctl stop --all"
    };
}

const EXAMPLES: &str = examples!();

const EXAMPLES_AND_EXIT_CODES: &str = concat!(
    examples!(),
    "

Exit codes:
  0  done
  1  refused by the agent, ended before its time, or delayed nothing although packets matched; in a cluster also:
     the API server or the agent of a node does not answer
  2  the command line, or a file that it names, is wrong; nothing was asked of the agent
  3  the experiment ran, but no packet matched
  4  the only agent, of this host or at --server, does not answer, or it died during the experiment"
);

/// Options that stand before or after the verb.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Unix socket of the agent on this host [env: CHAOS_SOCKET] [default: /run/chaos/chaos.sock]
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "server")]
    pub socket: Option<PathBuf>,

    /// Address of an agent that listens on TCP, such as `http://127.0.0.1:7411` [env: CHAOS_SERVER]
    ///
    /// An option wins over a variable of the environment, and CHAOS_SERVER over CHAOS_SOCKET.
    #[arg(long, global = true, value_name = "URL", value_parser = server)]
    pub server: Option<Uri>,

    /// Certificate of whoever signed that of the agent at an https address (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// Your certificate for an agent at an https address (PEM); with --tls-key
    #[arg(long, global = true, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The key of your certificate (PEM); with --tls-cert
    #[arg(long, global = true, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Context of the kubeconfig, which is the cluster to go to [default: its current one]
    ///
    /// With it or --kubeconfig, or a selector that only a cluster has, chaosctl goes to the agents of a cluster through
    /// its API server. Otherwise it goes to the agent of this host if its socket is there, and to a cluster if it is
    /// not and there is a kubeconfig, or this is a pod.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// File that says where the cluster is and who you are there [default: those of KUBECONFIG, ~/.kube/config, or in a
    /// pod its service account]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Namespace of the service, pods or workload [default: the context's; without a cluster `default`]
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// Namespace of the agents in the cluster
    #[arg(
        long,
        global = true,
        value_name = "NAMESPACE",
        default_value = "chaos-system"
    )]
    pub agent_namespace: String,

    /// Bearer token for the agents [env: CHAOS_TOKEN] [default: asked for at the API server]
    #[arg(long, global = true, value_name = "TOKEN")]
    pub token: Option<String>,

    /// Service account to ask a token of, where the kubeconfig's user is none [default: chaos-system/chaosctl]
    #[arg(long, global = true, value_name = "NAMESPACE/NAME")]
    pub service_account: Option<String>,

    /// Form of the result on standard output; the schema of json is in docs/json.md
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,

    /// Only the result, warnings and errors: no progress, no notes
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Also the id, the engine and the rules as prepared; causes of errors
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// Form of the result on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for a person.
    Table,
    /// One JSON object.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "the help of a verb is the documentation of its arguments, and would be overridden here"
)]
pub enum Command {
    Delay(DelayArgs),
    Loss(LossArgs),
    Duplicate(DuplicateArgs),
    Reorder(ReorderArgs),
    Corrupt(CorruptArgs),
    Rate(RateArgs),
    Partition(PartitionArgs),
    Reset(ResetArgs),
    Rewrite(RewriteArgs),
    Dns(DnsArgs),
    Apply(ApplyArgs),
    Update(UpdateArgs),
    List(ListArgs),
    Status(StatusArgs),
    Stop(StopArgs),
    Doctor(DoctorArgs),
}

/// An address that cannot be used, as one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("server address `{value}` {problem}: give one such as http://127.0.0.1:7411")]
pub struct InvalidServer {
    /// What was written.
    pub value: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Reads the address of an agent.
pub fn server(text: &str) -> Result<Uri, InvalidServer> {
    let invalid = |problem| InvalidServer {
        value: text.to_owned(),
        problem,
    };
    let uri: Uri = text.parse().map_err(|_| invalid("is not a URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) | None => return Err(invalid("does not start with http:// or https://")),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(invalid("names no host"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(invalid("has a path, and agents have none"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn addresses_that_cannot_work_are_refused() {
        for text in ["", "10.0.0.7:1", "ftp://x", "http://x/path", "http://"] {
            assert!(server(text).is_err(), "{text}");
        }
        assert!(server("http://[::1]:7411").is_ok());
        assert!(server("http://node-1:7411/").is_ok());
    }
}
