//! `chaosctl serve`: what chaosctl does, for programs that ask by gRPC.

mod convert;
mod runs;
mod service;
mod terminate;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chaos_proto::serve::v1::chaos_service_server::ChaosServiceServer;
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Status};

use crate::error::{CommandError, ErrorKind};
use crate::global::Global;
use crate::output::Output;

use runs::Runs;
use service::Service;

/// Answer programs that ask for experiments by gRPC: load tests of k6, scripts in any language
///
/// The service is chaos.serve.v1.ChaosService (reflection tells the rest), and an experiment is written as in a file of
/// `chaosctl apply`, as an object; files of this host are not read for it, and --namespace is for those that give none. All is done with your kubeconfig and your rights, so it listens on this host only. If the
/// variable `CHAOS_SERVE_TOKEN` is set, callers must show what is in it, as `authorization: Bearer TOKEN`. Ctrl-C ends it, and
/// all that it started; a second one does not wait for agents. `chaosctl k6-module` prints a module for k6 that uses it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Where to listen: an address of this host's loopback
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7420", value_parser = listen)]
    listen: SocketAddr,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl serve
  chaosctl k6-module > chaos.js
  grpcurl -plaintext -d '{\"experiment\": {\"service\": \"provider\", \"duration\": \"10s\", \"rules\": [{\"delay\": {\"latency\": \"100ms\"}}]}}' \\
    127.0.0.1:7420 chaos.serve.v1.ChaosService/Inject";

/// How long the last answers may take to their callers.
const GOODBYE: Duration = Duration::from_secs(1);

/// What callers must show, if it is set.
const TOKEN: &str = "CHAOS_SERVE_TOKEN";

/// An address that would let others in.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error("`{0}` is no address with a port: give one such as 127.0.0.1:7420")]
    NotAnAddress(String),
    #[error(
        "{0} is not on the loopback: whoever can reach it would act with your rights; give one such as 127.0.0.1:7420"
    )]
    Reachable(SocketAddr),
    #[error("cannot listen at {address}: {source}")]
    Bind {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(
        "left without waiting for the agents: what was started ends there when its grace period is over"
    )]
    LeftAtOnce,
    #[error("cannot serve: {0}")]
    Serve(Box<dyn std::error::Error + Send + Sync>),
}

fn listen(text: &str) -> Result<SocketAddr, ListenError> {
    // A name that nobody needs to be asked for: it is always this host (RFC 6761).
    let address = match text.strip_prefix("localhost:") {
        Some(port) => &format!("127.0.0.1:{port}"),
        None => text,
    };
    let address: SocketAddr = address
        .parse()
        .map_err(|_| ListenError::NotAnAddress(text.to_owned()))?;
    if !address.ip().is_loopback() {
        return Err(ListenError::Reachable(address));
    }
    Ok(address)
}

fn failed(error: ListenError) -> CommandError {
    CommandError::new(ErrorKind::Failed, error)
}

impl ServeArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        let cannot_listen = |source| {
            failed(ListenError::Bind {
                address: self.listen,
                source,
            })
        };
        let listener = TcpListener::bind(self.listen).await;
        let listener = listener.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let broken = |error| failed(ListenError::Serve(error));
        let listen_for = |kind| signal(kind).map_err(|error| broken(error.into()));
        let mut interrupts = Interrupts {
            interrupt: listen_for(SignalKind::interrupt())?,
            terminate: listen_for(SignalKind::terminate())?,
        };
        let runs = Arc::new(Runs::default());
        let service = Service::new(global.clone(), Arc::clone(&runs));
        let service = ChaosServiceServer::with_interceptor(service, guard());
        let described = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(chaos_proto::serve::v1::DESCRIPTORS)
        };
        let reflection = described().build_v1();
        // As clients that have not moved on ask.
        let earlier = described().build_v1alpha();
        let reflection = reflection.map_err(|error| broken(error.into()))?;
        let earlier = earlier.map_err(|error| broken(error.into()))?;
        output.result(
            || address.to_string(),
            || json!({ "listening": address.to_string() }),
        )?;
        output.talk(&format!(
            "listening at {address}; Ctrl-C ends it, and what it started"
        ));
        let served = Server::builder()
            .add_service(reflection)
            .add_service(earlier)
            .add_service(service)
            .serve_with_incoming_shutdown(
                TcpListenerStream::new(listener),
                runs.closing().cancelled_owned(),
            );
        let (close, all_closed) = oneshot::channel();
        let failed = async {
            if let Err(error) = served.await {
                return error;
            }
            let _ = close.send(());
            std::future::pending().await
        };
        tokio::select! {
            error = failed => Err(broken(error.into())),
            left = end(&runs, &mut interrupts, all_closed, output) => left,
        }
    }
}

/// Ctrl-C and SIGTERM.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Waits for an interruption, and then until all has ended, or for another one.
async fn end(
    runs: &Runs,
    interrupts: &mut Interrupts,
    all_closed: oneshot::Receiver<()>,
    output: Output<'_>,
) -> Result<(), CommandError> {
    interrupts.next().await;
    output.talk("stopping …");
    runs.close();
    let ended = async {
        runs.all_ended().await;
        // Who has an answer may leave its connection open: that is not waited for.
        let _ = tokio::time::timeout(GOODBYE, all_closed).await;
    };
    tokio::select! {
        () = ended => return Ok(()),
        () = interrupts.next() => {}
    }
    // Told again, what goes on leaves its agents to themselves, and says so to whoever asked for it.
    runs.close();
    let _ = tokio::time::timeout(GOODBYE, runs.all_ended()).await;
    Err(failed(ListenError::LeftAtOnce))
}

/// Lets in who shows the token, if there is to be one.
fn guard() -> impl Fn(Request<()>) -> Result<Request<()>, Status> + Clone {
    let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    let wanted = token.map(|token| format!("Bearer {token}"));
    move |request| {
        let Some(wanted) = &wanted else {
            return Ok(request);
        };
        let shown = request.metadata().get("authorization");
        if shown.is_some_and(|shown| shown.as_bytes() == wanted.as_bytes()) {
            return Ok(request);
        }
        Err(Status::unauthenticated(format!(
            "show what {TOKEN} of chaosctl serve is set to, as `authorization: Bearer TOKEN`"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_can_ask() {
        for text in ["0.0.0.0:7420", "[::]:1", "10.0.0.7:7420"] {
            let refused = listen(text).unwrap_err().to_string();
            assert!(refused.contains("not on the loopback"), "{refused}");
        }
        for text in [
            "127.0.0.1",
            "",
            "localhost",
            "localhost:",
            "localhost:x",
            "example.org:7420",
        ] {
            assert!(
                matches!(listen(text), Err(ListenError::NotAnAddress(_))),
                "{text}"
            );
        }
        assert!(listen("[::1]:0").is_ok());
        let named = listen("localhost:7420").unwrap();
        assert_eq!(named.to_string(), "127.0.0.1:7420");
    }
}
