//! The command line as a whole. Help texts, here and at each verb, are the reference documentation.
//!
//! Parses syntax only; whether a value makes sense on a node is for the agent to say.

use clap::Parser;

use crate::commands::Command;
use crate::global::Global;

/// Delays, drops, duplicates, reorders, corrupts, rewrites or slows down chosen packets of a service, its pods or nodes
/// in a Kubernetes cluster, or of a process, a network namespace or a whole host, resets its connections, answers its
/// DNS questions or cuts it off; delays, fails or changes the HTTP requests and gRPC calls that it gets; for a limited
/// time.
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
  chaosctl http --svc web --delay 100ms --error-rate 10% --error-code 503
  chaosctl apply -f experiment.yaml
  chaosctl drill drill.yaml --report drill.html
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
  4  the only agent, of this host or at --server, does not answer, or it died during the experiment
 99  a threshold of a drill was crossed"
);

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
