//! The tutorial's provider: tells the time on `GET /`. It knows nothing of the lab.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use axum::{Router, routing::get};
use clap::Parser;
use tokio::net::TcpListener;

/// Tells the time: `GET /` answers `Current time is: <unix seconds>`.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, env = "LISTEN", default_value = "[::]:3000")]
    listen: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Arguments { listen } = Arguments::parse();
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen on {listen}"))?;
    axum::serve(listener, Router::new().route("/", get(time)))
        .await
        .context("serve")
}

async fn time() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    format!("Current time is: {now}")
}
