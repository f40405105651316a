//! The tutorial's consumer: `GET /consuming` calls the provider and says how that went. It knows nothing of the lab.
//!
//! Where the tutorial's program ends itself when the provider cannot be reached, this one answers 500, as its text says.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri},
    routing::{get, post},
};
use clap::Parser;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, time::timeout};

/// Calls the provider: `GET /consuming` answers 200 when the provider did, otherwise 500.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, env = "LISTEN", default_value = "[::]:3000")]
    listen: SocketAddr,
    /// The provider's host, with or without `http://`. Several, separated by commas, are called in turn: the stand-in
    /// for a Kubernetes service.
    #[arg(long, env = "PROVIDER_URL", value_delimiter = ',', required = true)]
    provider_url: Vec<String>,
    /// The provider's port.
    #[arg(long, env = "PROVIDER_PORT", default_value_t = 3000)]
    provider_port: u16,
    /// How often a provider is asked again, the next one, after it did not answer 200.
    #[arg(long, env = "RETRIES", default_value_t = 0)]
    retries: u32,
    /// Answers by itself when no provider has answered within a second, and after three such failures in a row without
    /// asking, until `POST /breaker/close`.
    #[arg(long, env = "BREAKER")]
    breaker: bool,
}

/// How long a consumer with a breaker waits for its providers.
const TIMEOUT: Duration = Duration::from_secs(1);
/// So many failures in a row open the breaker.
const FAILURES: u32 = 3;

/// The providers, and a client that keeps connections alive like Go's `http.Get`.
struct Providers {
    client: Client<HttpConnector, Empty<&'static [u8]>>,
    uris: Vec<Uri>,
    calls: AtomicUsize,
    retries: u32,
    /// How many failures in a row there were, where there is a breaker.
    breaker: Option<AtomicU32>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let uris = arguments
        .provider_url
        .iter()
        .map(|url| uri(url, arguments.provider_port))
        .collect::<Result<_>>()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let providers = Arc::new(Providers {
        client,
        uris,
        calls: AtomicUsize::new(0),
        retries: arguments.retries,
        breaker: arguments.breaker.then(AtomicU32::default),
    });
    let router = Router::new()
        .route("/consuming", get(consuming))
        .route("/breaker/close", post(close))
        .with_state(providers);
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen on {listen}"))?;
    axum::serve(listener, router).await.context("serve")
}

/// `http://HOST:PORT/`, from a host name, an IPv4 or an IPv6 address, with or without `http://`.
fn uri(url: &str, port: u16) -> Result<Uri> {
    let host = url
        .trim()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    ensure!(!host.is_empty(), "PROVIDER_URL has an empty entry");
    let brackets = host.contains(':') && !host.starts_with('[');
    let host = if brackets {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    format!("http://{host}:{port}/")
        .parse()
        .with_context(|| format!("PROVIDER_URL: {url}"))
}

async fn consuming(State(providers): State<Arc<Providers>>) -> (StatusCode, &'static str) {
    const WELL: (StatusCode, &str) = (StatusCode::OK, "Successfully consuming message");
    let Some(failures) = &providers.breaker else {
        return if providers.ask().await {
            WELL
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
        };
    };
    let is_open = failures.load(Ordering::Relaxed) >= FAILURES;
    if !is_open && timeout(TIMEOUT, providers.ask()).await == Ok(true) {
        failures.store(0, Ordering::Relaxed);
        return WELL;
    }
    failures.fetch_add(1, Ordering::Relaxed);
    (StatusCode::OK, "no time to tell just now")
}

async fn close(State(providers): State<Arc<Providers>>) -> StatusCode {
    let Some(failures) = &providers.breaker else {
        return StatusCode::NOT_FOUND;
    };
    failures.store(0, Ordering::Relaxed);
    StatusCode::OK
}

impl Providers {
    /// Whether one of them answers 200, asked as often as it may be.
    async fn ask(&self) -> bool {
        for _ in 0..=self.retries {
            if self
                .call()
                .await
                .is_ok_and(|status| status == StatusCode::OK)
            {
                return true;
            }
        }
        false
    }

    /// Calls the provider whose turn it is, and reads its answer to the end.
    async fn call(&self) -> Result<StatusCode> {
        let turn = self.calls.fetch_add(1, Ordering::Relaxed) % self.uris.len();
        let response = self.client.get(self.uris[turn].clone()).await?;
        let status = response.status();
        response.into_body().collect().await?;
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn a_provider_is_a_name_or_an_address() {
        for (url, expected) in [
            (
                "provider-chaos-service",
                "http://provider-chaos-service:3000/",
            ),
            ("http://10.77.0.2", "http://10.77.0.2:3000/"),
            ("fd77::2", "http://[fd77::2]:3000/"),
            ("http://[fd77::2]/", "http://[fd77::2]:3000/"),
        ] {
            assert_eq!(uri(url, 3000).unwrap().to_string(), expected);
        }
        assert!(uri("http://", 3000).is_err());
    }
}
