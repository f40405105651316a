//! The files that clients find the server by: a kubeconfig, and the directory of a service account.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::tls::Certificate;

/// How a client shows who it is.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// By a token.
    Token(String),
    /// By a certificate.
    Certificate(Certificate),
    /// Not at all.
    None,
}

/// One context of a kubeconfig.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its name; also the name of its cluster and its user.
    pub name: String,
    /// Such as `https://127.0.0.1:6443`.
    pub server: String,
    /// The authority's certificate, if the server has one.
    pub authority: Option<String>,
    /// The namespace that it is in, if it says.
    pub namespace: Option<String>,
    /// Who the user is.
    pub credentials: Credentials,
}

/// Writes a kubeconfig; the first context is the current one. (YAML: JSON is some.)
pub fn write(path: &Path, contexts: &[Context]) -> Result<()> {
    let entries =
        |entry: &dyn Fn(&Context) -> Value| -> Vec<Value> { contexts.iter().map(entry).collect() };
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {},
        "current-context": contexts.first().map_or("", |context| context.name.as_str()),
        "clusters": entries(&|context| json!({"name": context.name, "cluster": cluster(context)})),
        "users": entries(&|context| json!({"name": context.name, "user": user(context)})),
        "contexts": entries(&|context| {
            let mut inner = json!({"cluster": context.name, "user": context.name});
            if let Some(namespace) = &context.namespace {
                inner["namespace"] = namespace.as_str().into();
            }
            json!({"name": context.name, "context": inner})
        }),
    });
    fs::write(path, format!("{config:#}\n")).with_context(|| format!("write {}", path.display()))
}

fn cluster(context: &Context) -> Value {
    let mut cluster = json!({"server": context.server});
    if let Some(authority) = &context.authority {
        cluster["certificate-authority-data"] = STANDARD.encode(authority).into();
    }
    cluster
}

fn user(context: &Context) -> Value {
    match &context.credentials {
        Credentials::Token(token) => json!({"token": token}),
        Credentials::Certificate(pair) => json!({
            "client-certificate-data": STANDARD.encode(&pair.certificate),
            "client-key-data": STANDARD.encode(&pair.key),
        }),
        Credentials::None => json!({}),
    }
}

/// Writes what a pod finds at `/var/run/secrets/kubernetes.io/serviceaccount`.
pub fn write_service_account(
    directory: &Path,
    namespace: &str,
    token: &str,
    authority: &str,
) -> Result<PathBuf> {
    fs::create_dir_all(directory).context("make the directory of a service account")?;
    for (name, text) in [
        ("token", token),
        ("namespace", namespace),
        ("ca.crt", authority),
    ] {
        fs::write(directory.join(name), text).with_context(|| format!("write {name}"))?;
    }
    Ok(directory.to_owned())
}
