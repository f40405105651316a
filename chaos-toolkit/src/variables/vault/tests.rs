//! Secrets from a server that answers as Vault documents it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{Environment, Given, VariableError, Variables, load_declared};
use crate::http::testing::{Answer, Seen, Server, says};

/// Answers as the documentation of Vault's HTTP API shows: KV 1 at `kv`, KV 2 at `secret`, logins by `AppRole` and Kubernetes.
fn vault(seen: &Seen) -> Answer {
    let json = |status: &str, body: &Value| {
        says(
            status,
            &["Content-Type: application/json"],
            &body.to_string(),
        )
    };
    let mut words = seen.line.split(' ');
    let place = (words.next().unwrap(), words.next().unwrap());
    let body: Value = serde_json::from_str(&seen.body).unwrap_or_default();
    let token = |token: &str| json!({"request_id": "1", "auth": {"client_token": token, "accessor": "a", "lease_duration": 1}});
    match place {
        ("POST", "/v1/auth/approle/login")
            if body == json!({"role_id": "me", "secret_id": "role-secret"}) =>
        {
            return json("200 OK", &token("by-role"));
        }
        ("POST", "/v1/auth/approle/login") => {
            return json(
                "400 Bad Request",
                &json!({"errors": ["invalid role or secret ID"]}),
            );
        }
        ("POST", "/v1/auth/cluster/login") if body == json!({"role": "web", "jwt": "j.w.t"}) => {
            return json("200 OK", &token("by-cluster"));
        }
        _ => {}
    }
    if seen.header("X-Vault-Request") != Some("true")
        || !matches!(
            seen.header("X-Vault-Token"),
            Some("root" | "by-role" | "by-cluster" | "own")
        )
    {
        return json(
            "403 Forbidden",
            &json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]}),
        );
    }
    match place {
        ("GET", "/v1/secret/data/app/db") => json(
            "200 OK",
            &json!({"request_id": "2", "lease_id": "", "renewable": false, "lease_duration": 0, "data": {
                "data": {"user": "jane", "password": "s3cret"},
                "metadata": {"created_time": "2018-03-22T02:24:06.945319214Z", "deletion_time": "", "destroyed": false, "version": 2},
            }, "wrap_info": null, "warnings": null, "auth": null}),
        ),
        ("GET", "/v1/kv/app/db") => json(
            "200 OK",
            &json!({"auth": null, "data": {"user": "joe", "ttl": "1h"}, "lease_duration": 3600, "lease_id": "", "renewable": false}),
        ),
        _ => json("404 Not Found", &json!({"errors": []})),
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn loaded(
    configuration: Value,
    secrets: Value,
    environment: &[(&str, &str)],
) -> Result<Variables, VariableError> {
    let nothing = [
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "HOME",
        "VAULT_TOKEN",
    ]
    .map(|name| (name, ""));
    let added: BTreeMap<_, _> = nothing
        .iter()
        .chain(environment)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let given = Given {
        environment: Environment::with(added),
        ..Given::default()
    };
    load_declared(
        &object(&json!({"configuration": configuration, "secrets": secrets})),
        given,
    )
    .await
}

#[tokio::test]
async fn secrets_come_from_both_versions_of_the_engine() {
    let server = Server::start(vault).await;
    let secrets = json!({
        "group": {"all": {"type": "vault", "path": "app/db"}, "one": {"type": "vault", "path": "app/db", "key": "password"}},
        "nothing": {"type": "vault"},
    });
    let configuration = json!({"vault_addr": server.url(""), "vault_token": "root"});
    let variables = loaded(configuration, secrets, &[]).await.unwrap();
    assert_eq!(
        Value::Object(variables.secrets.clone()),
        json!({"group": {"all": {"user": "jane", "password": "s3cret"}, "one": "s3cret"}, "nothing": {}})
    );
    assert_eq!(
        variables.notices,
        ["secret `nothing` is empty: it is of type vault and has no `path`"]
    );
    assert_eq!(variables.redact("jane root s3cret"), "*** *** ***");
    let configuration = json!({
        "vault_addr": server.url("/"), "vault_token": "root", "vault_kv_version": 1, "vault_secrets_mount_point": "kv",
    });
    let variables = loaded(
        configuration,
        json!({"one": {"type": "vault", "path": "app/db", "key": "user"}}),
        &[],
    )
    .await;
    assert_eq!(variables.unwrap().secrets["one"], "joe");
}

#[tokio::test]
async fn one_asks_with_an_approle_a_service_account_or_ones_own_token() {
    let directory = tempfile::tempdir().unwrap();
    let jwt = directory.path().join("jwt");
    std::fs::write(&jwt, "j.w.t\n").unwrap();
    std::fs::write(directory.path().join(".vault-token"), "own\n").unwrap();
    let home = directory.path().to_str().unwrap();
    for (more, environment, token) in [
        (
            json!({"vault_role_id": "me", "vault_role_secret": "role-secret"}),
            vec![],
            "by-role",
        ),
        (
            json!({"vault_sa_role": "web", "vault_sa_token_path": jwt, "vault_k8s_mount_point": "cluster"}),
            vec![],
            "by-cluster",
        ),
        (
            json!({}),
            vec![("VAULT_TOKEN", "root"), ("VAULT_NAMESPACE", "team")],
            "root",
        ),
        (json!({}), vec![("HOME", home)], "own"),
    ] {
        let server = Server::start(vault).await;
        let address = server.url("");
        let mut environment = environment;
        environment.push(("VAULT_ADDR", &address));
        let secrets = json!({"a": {"type": "vault", "path": "app/db", "key": "user"}, "b": {"type": "vault", "path": "app/db"}});
        let variables = loaded(more, secrets, &environment).await.unwrap();
        assert_eq!(variables.secrets["a"], "jane");
        let seen = server.seen();
        // One login for all secrets.
        assert_eq!(
            seen.iter()
                .filter(|seen| seen.line.starts_with("POST"))
                .count(),
            usize::from(token.starts_with("by-"))
        );
        let last = seen.last().unwrap();
        assert_eq!(last.header("X-Vault-Token"), Some(token));
        assert_eq!(
            last.header("X-Vault-Namespace"),
            (token == "root").then_some("team")
        );
    }
}

#[tokio::test]
async fn what_vault_does_not_give_is_said() {
    let server = Server::start(vault).await;
    let address = server.url("");
    let one = |path: &str| json!({"s": {"type": "vault", "path": path, "key": "nope"}});
    for (more, path, expected) in [
        (
            json!({"vault_token": "wrong"}),
            "app/db",
            "it answers secret/data/app/db with status 403: 1 error occurred:\n\t* permission denied",
        ),
        (
            json!({"vault_token": "root"}),
            "app/none",
            "it answers secret/data/app/none with status 404: there is nothing",
        ),
        (
            json!({"vault_token": "root"}),
            "app/db",
            "there is no key \"nope\" at app/db",
        ),
        (
            json!({"vault_token": "root", "vault_kv_version": "3"}),
            "app/db",
            "`vault_kv_version` must be 1 or 2, not 3",
        ),
        (
            json!({"vault_role_id": "me", "vault_role_secret": "x"}),
            "app/db",
            "it answers auth/approle/login with status 400: invalid role or secret ID",
        ),
    ] {
        let mut configuration = more;
        configuration["vault_addr"] = json!(address);
        let error = loaded(configuration, one(path), &[]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("secret `s` cannot be had from Vault at {address}: {expected}")
        );
    }
    let configuration = json!({"vault_addr": address, "vault_sa_role": "web", "vault_sa_token_path": "/nowhere/token"});
    let error = loaded(configuration, one("app/db"), &[]).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the token of the service account, /nowhere/token, cannot be read"),
        "{error}"
    );
    drop(server);
    let error = loaded(
        json!({"vault_addr": "http://127.0.0.1:1"}),
        one("app/db"),
        &[],
    )
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("failed to connect to http://127.0.0.1:1/v1/secret/data/app/db"),
        "{error}"
    );
}
