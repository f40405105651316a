//! The stand-in answers each recorded request as the real server did: status, headers and body. Only what differs from
//! server to server may differ: versions, times, ids, tokens.

mod file;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use chaos_tests::apiserver::{ApiServer, access::Rule};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, header};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

use self::file::{Recorded, body, recorded};

/// What a body may have another value for.
const VOLATILE: &[&str] = &[
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "time",
    "expirationTimestamp",
    "token",
    "continue",
    "manager",
    "authentication.kubernetes.io/credential-id",
];

/// Who asks, and what else no `.http` file says.
const TOLD: &[(&str, &str, &str, &str)] = &[
    ("error_401_bad_token", "bad", "", ""),
    ("error_403_anonymous", "", "", ""),
    ("error_403_list_cluster", "nobody", "", ""),
    ("error_403_no_rbac", "nobody", "", ""),
    ("error_406_accept", "agent", "text/html", ""),
    ("error_415_media_type", "agent", "", "text/plain"),
    (
        "pods_list_metadata_only",
        "agent",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "",
    ),
];

/// What the stand-in does not claim: resources that nothing here asks for.
const PARTIAL: &[&str] = &["api_groups", "api_v1_resources", "discovery_v1_resources"];

/// The recorded scene, and those who asked.
fn scene() -> Result<(ApiServer, BTreeMap<&'static str, String>)> {
    let server = ApiServer::start()?;
    for namespace in ["demo", "real"] {
        server.add_namespace(namespace);
    }
    for name in ["agent", "nobody"] {
        server.add_service_account("demo", name);
    }
    server.allow(
        "system:serviceaccount:demo:agent",
        Rule::cluster("get,list,watch,create,update,patch,impersonate", "*", "*"),
    );
    let mut tokens = BTreeMap::from([("", String::new()), ("bad", "bad".to_owned())]);
    for name in ["agent", "nobody"] {
        let token = server.token("demo", name, &[], Duration::from_hours(1))?;
        tokens.insert(name, token);
    }
    for (kind, list) in [
        ("Service", "services_list"),
        ("Pod", "pods_list_by_label"),
        ("EndpointSlice", "endpointslices_list"),
        ("Node", "nodes_list"),
        ("Pod", "real_pods_list_by_node"),
        ("EndpointSlice", "real_endpointslices_list"),
    ] {
        let list = body(list)?;
        for object in list["items"].as_array().context("a list")? {
            server.put(kind, object.clone());
        }
    }
    server.put("Service", body("real_service_get")?);
    Ok((server, tokens))
}

async fn ask(
    server: &ApiServer,
    tokens: &BTreeMap<&str, String>,
    recorded: &Recorded,
    uri: &str,
) -> Result<Response<Incoming>> {
    let told = TOLD.iter().find(|told| told.0 == recorded.name);
    let (_, user, accept, media) = told.copied().unwrap_or(("", "agent", "", ""));
    let mut request = Request::builder()
        .method(&recorded.method)
        .uri(format!("{}{uri}", server.url()));
    if !tokens[user].is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", tokens[user]));
    }
    if !accept.is_empty() {
        request = request.header(header::ACCEPT, accept);
    }
    if !recorded.body.is_empty() {
        let media = if media.is_empty() {
            "application/json"
        } else {
            media
        };
        request = request.header(header::CONTENT_TYPE, media);
    }
    let body = recorded.body.replace("REDACTED-TOKEN", &tokens["agent"]);
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    Ok(client.request(request.body(Full::from(body))?).await?)
}

/// Checks status and headers.
fn compare_head(recorded: &Recorded, answer: &Response<Incoming>) -> Result<()> {
    ensure!(
        answer.status().as_u16() == recorded.status,
        "status {}, recorded {}",
        answer.status(),
        recorded.status
    );
    let length = |name: &str| ["content-length", "transfer-encoding"].contains(&name);
    let ours: Vec<&str> = answer
        .headers()
        .keys()
        .map(header::HeaderName::as_str)
        .filter(|name| !length(name))
        .collect();
    for name in &ours {
        ensure!(
            recorded.headers.contains_key(*name),
            "header {name} is not recorded"
        );
    }
    for (name, value) in recorded.headers.iter().filter(|(name, _)| !length(name)) {
        let own = answer.headers().get(name.as_str());
        let own = own.with_context(|| format!("no header {name}"))?.to_str()?;
        let free =
            ["audit-id", "date"].contains(&name.as_str()) || name.starts_with("x-kubernetes-pf");
        ensure!(
            free || own == value,
            "header {name}: {own}, recorded {value}"
        );
    }
    Ok(())
}

/// Finds the first difference between a value and the recorded one.
fn compare(path: &str, own: &Value, recorded: &Value) -> Result<()> {
    let field = path.rsplit('.').next().unwrap_or_default();
    match (own, recorded) {
        (Value::Object(own), Value::Object(recorded)) => {
            for name in own.keys() {
                ensure!(recorded.contains_key(name), "{path}.{name} is not recorded");
            }
            for (name, value) in recorded {
                let own = own.get(name).with_context(|| format!("no {path}.{name}"))?;
                let volatile = VOLATILE.contains(&name.as_str());
                ensure!(
                    !volatile || own.is_null() == value.is_null(),
                    "{path}.{name}: {own}, recorded {value}"
                );
                if !volatile {
                    compare(&format!("{path}.{name}"), own, value)?;
                }
            }
            Ok(())
        }
        (Value::Array(own), Value::Array(recorded)) => {
            ensure!(
                own.len() == recorded.len(),
                "{path} has {} entries, recorded {}",
                own.len(),
                recorded.len()
            );
            own.iter()
                .zip(recorded)
                .enumerate()
                .try_for_each(|(index, (own, recorded))| {
                    compare(&format!("{path}[{index}]"), own, recorded)
                })
        }
        // The versions in it are the server's own.
        (Value::String(own), Value::String(recorded))
            if field == "message" && recorded.starts_with("too old resource version") =>
        {
            ensure!(
                own.starts_with("too old resource version: "),
                "{path}: {own}"
            );
            Ok(())
        }
        (own, recorded) => {
            ensure!(own == recorded, "{path}: {own}, recorded {recorded}");
            Ok(())
        }
    }
}

/// Entries of our list are among those of the recorded one, with the same fields but for hashes and fewer verbs.
fn compare_partly(own: &Value, recorded: &Value) -> Result<()> {
    for (name, value) in own.as_object().context("an object")? {
        let Some(list) = value.as_array() else {
            compare(name, value, &recorded[name])?;
            continue;
        };
        let all = recorded[name].as_array().context("a list")?;
        for entry in list {
            let same = all.iter().find(|other| other["name"] == entry["name"]);
            let mut same = same
                .with_context(|| format!("{} is not recorded", entry["name"]))?
                .clone();
            for field in ["storageVersionHash", "verbs", "categories"] {
                if entry[field].is_null()
                    && let Some(same) = same.as_object_mut()
                {
                    same.remove(field);
                }
            }
            if entry["verbs"].is_array() {
                same["verbs"] = entry["verbs"].clone();
            }
            compare(name, entry, &same)?;
        }
    }
    Ok(())
}

async fn check(recorded: &Recorded) -> Result<()> {
    let (server, tokens) = scene()?;
    if recorded.name.starts_with("real") {
        server.put("Node", body("real_node_get")?);
    }
    let mut uri = recorded.uri.clone();
    match recorded.name.as_str() {
        "error_410_list_exact_rv" => {
            let version = server.put("Node", body("real_node_get")?);
            let version = version["metadata"]["resourceVersion"].as_str();
            uri = uri.replace("290", version.context("a version")?);
            server.forget_history();
        }
        "error_410_expired_continue" => {
            let first = uri.split('&').next().context("a limit")?.to_owned();
            let page = ask(&server, &tokens, recorded, &first).await?;
            let page: Value =
                serde_json::from_slice(&page.into_body().collect().await?.to_bytes())?;
            let token = page["metadata"]["continue"].as_str().context("a token")?;
            uri = uri.replace("REDACTED-TOKEN", token);
            server.forget_history();
        }
        _ => {}
    }
    let answer = ask(&server, &tokens, recorded, &uri).await?;
    compare_head(recorded, &answer)?;
    let bytes = answer.into_body().collect().await?.to_bytes();
    let Ok(expected) = serde_json::from_slice::<Value>(&recorded.answer) else {
        ensure!(bytes == recorded.answer, "{bytes:?}");
        return Ok(());
    };
    let own: Value = serde_json::from_slice(&bytes)?;
    if PARTIAL.contains(&recorded.name.as_str()) {
        return compare_partly(&own, &expected);
    }
    compare("", &own, &expected)
}

/// Lets happen what was recorded, and compares what a watcher sees of it.
async fn check_watch(recorded: &Recorded) -> Result<()> {
    let (server, tokens) = scene()?;
    let mut uri = recorded.uri.clone();
    if !recorded.name.contains("410") {
        let nodes = server.put("Node", body("real_node_get")?);
        let now = nodes["metadata"]["resourceVersion"].as_str();
        for recorded in ["290", "471"] {
            let told = format!("resourceVersion={recorded}");
            uri = uri.replace(
                &told,
                &format!("resourceVersion={}", now.context("a version")?),
            );
        }
    }
    let answer = ask(&server, &tokens, recorded, &uri).await?;
    compare_head(recorded, &answer)?;
    let mut frames = answer.into_body();
    let mut buffer: Vec<u8> = Vec::new();
    for (index, event) in recorded.events()?.iter().enumerate() {
        let initial = recorded.name.starts_with("watchlist") && index < 2;
        let object = &event["object"];
        let kind = object["kind"].as_str().context("a kind")?;
        match event["type"].as_str().context("a type")? {
            "ADDED" | "MODIFIED" if !initial => {
                server.put(kind, object.clone());
            }
            "DELETED" => {
                let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                server.remove(kind, text("namespace"), text("name"));
            }
            "BOOKMARK" if !initial => server.send_bookmarks(),
            _ => {}
        }
        let line = loop {
            if let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
                break buffer.drain(..=end).collect::<Vec<u8>>();
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), frames.frame()).await?;
            let frame = frame.context("the watch goes on")??;
            buffer.extend(frame.into_data().unwrap_or_default());
        };
        let own: Value = serde_json::from_slice(&line)?;
        compare("", &own, event).with_context(|| format!("event {index}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_requests_get_the_recorded_answers() -> Result<()> {
    let mut wrong = Vec::new();
    let all = recorded()?;
    assert!(all.len() > 40, "{} recorded answers", all.len());
    for recorded in all {
        let checked = if recorded.is_watch() {
            check_watch(&recorded).await
        } else {
            check(&recorded).await
        };
        if let Err(error) = checked {
            wrong.push(format!("{}: {error:#}", recorded.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
