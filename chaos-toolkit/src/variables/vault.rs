//! Secrets from Vault: its key-value engine, versions 1 and 2, with a token, an `AppRole`, or a service account of Kubernetes.
//! The names in the configuration are the reference's: `vault_addr`, `vault_kv_version`, `vault_token`, `vault_role_id` with
//! `vault_role_secret`, `vault_sa_role`, and others below. Without any, what the `vault` command uses is used too.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use url::Url;

use super::Environment;
use crate::http::{Request, Response, send};
use crate::python_value::{text, truth};
use crate::tls::Trust;

const ADDRESS: &str = "http://localhost:8200";
const TIMEOUT: Duration = Duration::from_secs(30);
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Who asks Vault. Nobody is asked before the first secret, and for one token.
pub(super) struct Vault<'a> {
    configuration: &'a Map<String, Value>,
    environment: &'a Environment,
    token: Option<String>,
}

impl<'a> Vault<'a> {
    pub(super) fn new(configuration: &'a Map<String, Value>, environment: &'a Environment) -> Self {
        Self {
            configuration,
            environment,
            token: None,
        }
    }

    pub(super) fn address(&self) -> String {
        let given = self
            .given("vault_addr")
            .or_else(|| self.environment.get("VAULT_ADDR"));
        given.unwrap_or_else(|| ADDRESS.to_owned())
    }

    /// All keys of a secret.
    pub(super) async fn read(&mut self, path: &str) -> Result<Value, String> {
        let mount = self
            .given("vault_secrets_mount_point")
            .unwrap_or_else(|| "secret".to_owned());
        let version = self
            .given("vault_kv_version")
            .unwrap_or_else(|| "2".to_owned());
        let (place, inside) = match version.as_str() {
            "1" => (format!("{mount}/{path}"), "/data"),
            "2" => (format!("{mount}/data/{path}"), "/data/data"),
            other => return Err(format!("`vault_kv_version` must be 1 or 2, not {other}")),
        };
        let token = self.token().await?;
        let answer = self
            .ask(Method::GET, &place, token.as_deref(), None)
            .await?;
        Ok(answer.pointer(inside).cloned().unwrap_or(Value::Null))
    }

    fn given(&self, name: &str) -> Option<String> {
        self.configuration
            .get(name)
            .filter(|value| truth(value))
            .map(text)
    }

    async fn token(&mut self) -> Result<Option<String>, String> {
        if self.token.is_none() {
            self.token = match self.given("vault_token") {
                Some(token) => Some(token),
                None => self.login().await?,
            };
        }
        Ok(self.token.clone())
    }

    async fn login(&self) -> Result<Option<String>, String> {
        let (place, asked) = if let (Some(role), Some(secret)) =
            (self.given("vault_role_id"), self.given("vault_role_secret"))
        {
            (
                "auth/approle/login".to_owned(),
                json!({"role_id": role, "secret_id": secret}),
            )
        } else if let Some(role) = self.given("vault_sa_role") {
            let file = self
                .given("vault_sa_token_path")
                .unwrap_or_else(|| SERVICE_ACCOUNT.to_owned());
            let token = std::fs::read_to_string(&file).map_err(|error| {
                format!("the token of the service account, {file}, cannot be read: {error}")
            })?;
            let mount = self
                .given("vault_k8s_mount_point")
                .unwrap_or_else(|| "kubernetes".to_owned());
            (
                format!("auth/{mount}/login"),
                json!({"role": role, "jwt": token.trim()}),
            )
        } else {
            return Ok(self.own_token());
        };
        let answer = self.ask(Method::POST, &place, None, Some(asked)).await?;
        let token = answer
            .pointer("/auth/client_token")
            .and_then(Value::as_str)
            .map(str::to_owned);
        token
            .map(Some)
            .ok_or_else(|| format!("the answer of {place} has no token"))
    }

    /// That of whoever runs this.
    fn own_token(&self) -> Option<String> {
        self.environment
            .get("VAULT_TOKEN")
            .filter(|token| !token.is_empty())
            .or_else(|| {
                let home = std::path::PathBuf::from(self.environment.get_os("HOME")?);
                std::fs::read_to_string(home.join(".vault-token"))
                    .ok()
                    .map(|token| token.trim().to_owned())
            })
    }

    async fn ask(
        &self,
        method: Method,
        place: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value, String> {
        let mut url = Url::parse(&self.address()).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("its address must begin with http:// or https://".to_owned());
        }
        url.path_segments_mut()
            .map_err(|()| "its address has no place for a path".to_owned())?
            .pop_if_empty()
            .push("v1")
            .extend(place.split('/').filter(|part| !part.is_empty()));
        let mut request = Request::new(method, url);
        (request.connect_timeout, request.read_timeout) = (Some(TIMEOUT), Some(TIMEOUT));
        if let Some(file) = ["VAULT_CACERT", "VAULT_CAPATH"]
            .iter()
            .find_map(|name| self.environment.get(name))
        {
            request.trust = Trust::File(file.into());
        }
        request
            .headers
            .push(("X-Vault-Request".to_owned(), "true".to_owned()));
        let namespace = self.environment.get("VAULT_NAMESPACE");
        for (name, value) in [
            ("X-Vault-Token", token),
            ("X-Vault-Namespace", namespace.as_deref()),
        ] {
            request
                .headers
                .extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
        if let Some(body) = body {
            request
                .headers
                .push(("Content-Type".to_owned(), "application/json".to_owned()));
            request.body = Some(Bytes::from(body.to_string()));
        }
        let response = send(request, self.environment)
            .await
            .map_err(|error| error.to_string())?;
        answer(&response)
            .map_err(|why| format!("it answers {place} with status {}{why}", response.status))
    }
}

fn answer(response: &Response) -> Result<Value, String> {
    let body: Option<Value> = serde_json::from_slice(&response.body).ok();
    match (response.status, body) {
        (200..=299, Some(body)) => Ok(body),
        (200..=299, None) => Err(", which is no JSON".to_owned()),
        (404, _) => Err(": there is nothing".to_owned()),
        (_, body) => {
            let errors = body
                .as_ref()
                .and_then(|body| body.get("errors"))
                .and_then(Value::as_array);
            let errors: Vec<String> = errors
                .into_iter()
                .flatten()
                .map(|error| text(error).trim().to_owned())
                .collect();
            Err(if errors.is_empty() {
                String::new()
            } else {
                format!(": {}", errors.join("; "))
            })
        }
    }
}

#[cfg(test)]
mod tests;
