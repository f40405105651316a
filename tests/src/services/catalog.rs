//! The catalog of the pizza story: `GET /api/WHAT` lists ingredients. It knows nothing of the lab.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::{Router, extract::Path, http::StatusCode, routing::get};
use clap::Parser;
use tokio::net::TcpListener;

/// Lists what a pizza can be made of: `GET /api/doughs` and the like.
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
    axum::serve(listener, Router::new().route("/api/{what}", get(list)))
        .await
        .context("serve")
}

async fn list(Path(what): Path<String>) -> (StatusCode, &'static str) {
    let found = match what.as_str() {
        "doughs" => r#"["thin","thick"]"#,
        "oils" => r#"["olive","chili"]"#,
        "sauces" => r#"["tomato","pesto"]"#,
        "cheeses" => r#"["mozzarella","gorgonzola"]"#,
        "toppings" => r#"["basil","onion","pepperoni"]"#,
        _ => return (StatusCode::NOT_FOUND, "[]"),
    };
    (StatusCode::OK, found)
}
