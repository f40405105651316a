//! The options that all verbs share, on the command line before or after the verb.
//!
//! Knows no verb, so that each of them may know it.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use std::path::PathBuf;

use clap::ValueEnum;
use tonic::transport::Uri;

/// Options that stand before or after the verb.
#[derive(Debug, Clone, clap::Args)]
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
    use super::*;

    #[test]
    fn addresses_that_cannot_work_are_refused() {
        for text in ["", "10.0.0.7:1", "ftp://x", "http://x/path", "http://"] {
            assert!(server(text).is_err(), "{text}");
        }
        assert!(server("http://[::1]:7411").is_ok());
        assert!(server("http://node-1:7411/").is_ok());
    }
}
