//! The recommendations of the pizza story: `POST /api/pizza` asks the catalog five times, one after the other, and
//! answers 500 if one of them is not answered in time. It knows nothing of the lab.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use axum::{Router, extract::State, http::StatusCode, http::Uri, routing::post};
use clap::Parser;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

/// What it needs to know for a pizza.
const INGREDIENTS: [&str; 5] = ["doughs", "oils", "sauces", "cheeses", "toppings"];

/// Recommends pizzas: `POST /api/pizza` answers 200 when the catalog answered all it was asked, otherwise 500.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, env = "LISTEN", default_value = "[::]:3333")]
    listen: SocketAddr,
    /// The catalog, such as `http://10.0.0.5:3000`.
    #[arg(long, env = "CATALOG_URL")]
    catalog_url: String,
    /// How long an answer of the catalog is waited for, in milliseconds.
    #[arg(long, env = "TIMEOUT_MS", default_value_t = 1000)]
    timeout_ms: u64,
    /// How often the catalog is asked again for what it did not answer in time.
    #[arg(long, env = "RETRIES", default_value_t = 0)]
    retries: u32,
    /// How long to wait before that, in milliseconds; twice as long each time.
    #[arg(long, env = "BACKOFF_MS", default_value_t = 100)]
    backoff_ms: u64,
}

struct Catalog {
    client: Client<HttpConnector, Empty<&'static [u8]>>,
    uris: Vec<Uri>,
    timeout: Duration,
    retries: u32,
    backoff: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let base = arguments.catalog_url.trim_end_matches('/');
    let uris = INGREDIENTS.map(|what| format!("{base}/api/{what}").parse());
    let uris = uris.into_iter().collect::<Result<_, _>>();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let catalog = Arc::new(Catalog {
        client: Client::builder(TokioExecutor::new()).build(connector),
        uris: uris.with_context(|| format!("CATALOG_URL: {}", arguments.catalog_url))?,
        timeout: Duration::from_millis(arguments.timeout_ms),
        retries: arguments.retries,
        backoff: Duration::from_millis(arguments.backoff_ms),
    });
    let router = Router::new()
        .route("/api/pizza", post(recommend))
        .with_state(catalog);
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen on {listen}"))?;
    axum::serve(listener, router).await.context("serve")
}

async fn recommend(State(catalog): State<Arc<Catalog>>) -> (StatusCode, &'static str) {
    for uri in &catalog.uris {
        if catalog.ask(uri).await.is_err() {
            return (StatusCode::INTERNAL_SERVER_ERROR, "no catalog");
        }
    }
    (StatusCode::OK, "a pizza with everything")
}

impl Catalog {
    /// Asks until there is an answer, or no more retries.
    async fn ask(&self, uri: &Uri) -> Result<()> {
        let mut wait = self.backoff;
        for _ in 0..self.retries {
            if self.ask_once(uri).await.is_ok() {
                return Ok(());
            }
            sleep(wait).await;
            wait *= 2;
        }
        self.ask_once(uri).await
    }

    /// Asks once. Who does not answer in time loses the connection, as of Go's client.
    async fn ask_once(&self, uri: &Uri) -> Result<()> {
        let answer = async {
            let response = self.client.get(uri.clone()).await?;
            let status = response.status();
            response.into_body().collect().await?;
            if status != StatusCode::OK {
                bail!("{uri}: {status}");
            }
            Ok(())
        };
        timeout(self.timeout, answer)
            .await
            .with_context(|| format!("{uri}: no answer in time"))?
    }
}
