//! Why somebody may not: one sentence each, with what would help.

use super::{CLUSTER_WIDE, Verb};
use crate::cluster::ClusterError;

/// Why somebody may not.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// It is not known who it is.
    #[error(
        "the call has no bearer token, and this agent asks who calls: chaosctl takes one from the kubeconfig, or by --token TOKEN"
    )]
    NoToken,
    /// The token is not good.
    #[error(
        "the API server does not accept the token of this call{}: it must not have expired, and be for audience {audience}",
        in_brackets(.why)
    )]
    UnknownToken {
        /// Its word.
        why: String,
        /// What the token should be for.
        audience: String,
    },
    /// No permission.
    #[error(
        "{user} may not {} faults.chaos.dev {}{}: a Role or ClusterRole with verb {} on resource faults of group chaos.dev allows it",
        .verb.as_str(), of_namespace(.namespace), in_brackets(.why), .verb.as_str()
    )]
    Denied {
        /// Who.
        user: String,
        /// What they want.
        verb: Verb,
        /// Where.
        namespace: String,
        /// The API server's word.
        why: String,
    },
    /// Nobody says yes.
    #[error("cannot find out who may do this, so nobody may: {0}")]
    Unreachable(#[from] ClusterError),
}

impl AccessError {
    /// One word for the audit log and the metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::UnknownToken { .. } => "unknown_token",
            Self::Denied { .. } => "denied",
            Self::Unreachable(_) => "api_server",
        }
    }
}

fn in_brackets(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(" ({words})")
    }
}

fn of_namespace(namespace: &str) -> String {
    if namespace == CLUSTER_WIDE {
        "cluster-wide, which is what targets that are no pods need".to_owned()
    } else {
        format!("in namespace {namespace}")
    }
}
