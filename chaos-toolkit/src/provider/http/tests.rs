//! Requests and their answers, beside those of the reference, and against servers that misbehave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use super::super::Stopped;
use super::run;
use crate::http::testing::{Answer, Server, says};
use crate::variables::{Environment, Variables};

/// Long enough for any machine; reached only when something is wrong.
const DEADLINE: Duration = Duration::from_secs(30);

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn with(added: &[(&str, &str)]) -> Variables {
    // What this machine has in its environment is not for these tests.
    let none = [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ];
    let none = none
        .into_iter()
        .chain(["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
        .map(|name| (name, ""));
    let added: BTreeMap<_, _> = none
        .chain(added.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Variables {
        environment: Environment::with(added),
        ..Variables::default()
    }
}

async fn outcome(provider: &Value, variables: &Variables) -> Result<Value, Stopped> {
    tokio::time::timeout(DEADLINE, run(&object(provider), variables))
        .await
        .unwrap()
}

fn written(value: &Value) -> String {
    value.to_string()
}

fn latin(text: &str) -> Vec<u8> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).unwrap())
        .collect()
}

#[tokio::test]
async fn requests_and_answers_are_those_of_the_reference() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("../../../testdata/http.json")).unwrap();
    assert!(rows.len() > 70);
    let mut wrong = Vec::new();
    for row in rows {
        wrong.extend(
            differences(&row)
                .await
                .into_iter()
                .map(|what| format!("{}: {what}", row["provider"])),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn differences(row: &Value) -> Vec<String> {
    let mut answers: Vec<Vec<u8>> = row["answers"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|answer| latin(answer.as_str().unwrap()))
        .collect();
    let server = Server::start(move |_| Answer::Says(answers.pop().unwrap_or_default())).await;
    let mut provider = row["provider"].clone();
    provider["url"] = json!(server.url(provider["url"].as_str().unwrap()));
    let outcome = outcome(&provider, &with(&[])).await;
    let same = match (&outcome, row["raises"].as_str()) {
        // As text too: 1 and 1.0 are different here.
        (Ok(output), None) => written(output) == written(&row["gives"]),
        (Err(Stopped::Failed(_)), raises) => raises == Some("ActivityFailed"),
        (Err(Stopped::Crashed(_)), raises) => {
            raises.is_some_and(|raises| raises != "ActivityFailed")
        }
        (Ok(_) | Err(Stopped::Interrupted(_) | Stopped::Exited { .. }), _) => false,
    };
    let mut wrong = Vec::new();
    if !same {
        wrong.push(format!(
            "{outcome:?}, and the reference: {} {}",
            row["gives"], row["raises"]
        ));
    }
    let (expected, seen) = (row["seen"].as_array().unwrap(), server.seen());
    if seen.len() != expected.len() {
        wrong.push(format!("asked {seen:?}, and the reference {expected:?}"));
    }
    for (seen, expected) in seen.iter().zip(expected) {
        let mut headers = expected["headers"].as_object().unwrap().iter();
        let same_headers = headers.all(|(name, value)| json!(seen.header(name)) == *value);
        if seen.line != expected["line"] || seen.body != expected["body"] || !same_headers {
            wrong.push(format!("asked {seen:?}, and the reference {expected}"));
        }
    }
    wrong
}

#[tokio::test]
async fn names_are_replaced_where_the_reference_does() {
    let server = Server::start(|_| says("200 OK", &[], "")).await;
    let configuration = json!({"path": "p", "number": 5, "all": {"a": 1}, "wait": [5, 6]});
    let mut variables = Variables::new(
        object(&configuration),
        object(&json!({"g": {"token": "hush"}})),
    );
    variables.environment = with(&[]).environment;
    let provider = json!({
        "url": server.url("/${path}?${path}=$number"), "headers": {"X-Own": "Bearer ${token}"}, "arguments": "${all}",
        "timeout": "${wait}",
    });
    outcome(&provider, &variables).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].line, "GET /p?p=5&a=1 HTTP/1.1");
    assert_eq!(seen[0].header("X-Own"), Some("Bearer hush"));
    assert!(
        seen[0]
            .header("User-Agent")
            .unwrap()
            .starts_with("chaosctl/")
    );
    assert_eq!(
        seen[0].header("Host"),
        Some(server.address.to_string().as_str())
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_the_activity() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    drop(listener);
    let stopped = outcome(&json!({"url": url, "max_retries": 2}), &with(&[]))
        .await
        .unwrap_err();
    let Stopped::Failed(failed) = stopped else {
        panic!("{stopped:?}")
    };
    assert!(
        failed
            .message
            .starts_with(&format!("failed to connect to {url}: Connection refused")),
        "{failed}"
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Server::start(|_| Answer::Hangs(Vec::new())).await;
    for timeout in [json!(0.05), json!([20, 0.05])] {
        let stopped = outcome(
            &json!({"url": server.url("/"), "timeout": timeout}),
            &with(&[]),
        )
        .await
        .unwrap_err();
        assert_eq!(
            stopped,
            Stopped::failed("activity took too long to complete")
        );
    }
    let half = Server::start(|_| {
        Answer::Hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec())
    })
    .await;
    let stopped = outcome(&json!({"url": half.url("/"), "timeout": 0.05}), &with(&[]))
        .await
        .unwrap_err();
    let Stopped::Failed(failed) = stopped else {
        panic!("{stopped:?}")
    };
    assert!(
        failed
            .message
            .ends_with("the rest of its answer did not come in time"),
        "{failed}"
    );
    for timeout in [json!(0), json!("5"), json!([1]), json!(true), json!(-1)] {
        let stopped = outcome(
            &json!({"url": server.url("/"), "timeout": timeout}),
            &with(&[]),
        )
        .await
        .unwrap_err();
        assert!(
            matches!(stopped, Stopped::Crashed(_)),
            "{timeout}: {stopped:?}"
        );
    }
}

#[tokio::test]
async fn one_that_is_given_up_leaves_the_connection() {
    let server = Server::start(|_| Answer::Hangs(Vec::new())).await;
    let (provider, variables) = (object(&json!({"url": server.url("/")})), with(&[]));
    let asked = async {
        while server.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        output = run(&provider, &variables) => panic!("{output:?}"),
        () = async { tokio::time::timeout(DEADLINE, asked).await.unwrap() } => {}
    }
}

#[tokio::test]
async fn what_broke_is_asked_again_if_that_does_no_harm() {
    for (method, retries, asked) in [
        ("GET", 2, 3),
        ("GET", 0, 1),
        ("POST", 2, 1),
        ("DELETE", 1, 2),
    ] {
        let mut left = 2;
        let server = Server::start(move |_| {
            if left == 0 {
                return says("200 OK", &[], "");
            }
            left -= 1;
            Answer::Says(Vec::new())
        })
        .await;
        let provider = json!({"url": server.url("/"), "method": method, "max_retries": retries});
        let output = outcome(&provider, &with(&[])).await;
        assert_eq!(output.is_ok(), asked == 3, "{method} {retries}: {output:?}");
        assert_eq!(server.seen().len(), asked, "{method} {retries}");
    }
}

#[tokio::test]
async fn credentials_stay_with_their_host() {
    let other = Server::start(|_| says("200 OK", &[], "")).await;
    let location = format!("Location: {}", other.url("/there"));
    let first = Server::start(move |_| says("302 Found", &[&location], "")).await;
    let provider =
        json!({"url": first.url("/"), "headers": {"Authorization": "Bearer t", "X-Own": "stays"}});
    outcome(&provider, &with(&[])).await.unwrap();
    assert_eq!(first.seen()[0].header("Authorization"), Some("Bearer t"));
    assert_eq!(other.seen()[0].header("Authorization"), None);
    assert_eq!(other.seen()[0].header("X-Own"), Some("stays"));
    assert_eq!(
        other.seen()[0].header("Host"),
        Some(other.address.to_string().as_str())
    );
}

#[tokio::test]
async fn a_name_and_a_password_in_the_address_are_sent_as_a_header() {
    let server = Server::start(|_| says("200 OK", &[], "")).await;
    let url = format!("http://me:p%40ss+@{}/x", server.address);
    outcome(&json!({"url": url}), &with(&[])).await.unwrap();
    // me:p@ss+
    assert_eq!(
        server.seen()[0].header("Authorization"),
        Some("Basic bWU6cEBzcys=")
    );
    assert_eq!(server.seen()[0].line, "GET /x HTTP/1.1");
}

#[tokio::test]
async fn proxies_of_the_environment_are_used() {
    let proxy = Server::start(|seen| {
        if seen.line.starts_with("CONNECT ") {
            says("407 Who Are You", &[], "")
        } else {
            says("200 OK", &[], "by proxy")
        }
    })
    .await;
    let server = Server::start(|_| says("200 OK", &[], "straight")).await;
    let address = format!("http://u:p@{}", proxy.address);
    let variables = with(&[
        ("http_proxy", &address),
        ("HTTPS_PROXY", &address),
        ("NO_PROXY", "127.0.0.1"),
    ]);
    let output = outcome(&json!({"url": "http://nowhere.invalid/x?y=1"}), &variables)
        .await
        .unwrap();
    assert_eq!(output["body"], "by proxy");
    assert_eq!(
        proxy.seen()[0].line,
        "GET http://nowhere.invalid/x?y=1 HTTP/1.1"
    );
    assert_eq!(
        proxy.seen()[0].header("Proxy-Authorization"),
        Some("Basic dTpw")
    );
    let output = outcome(&json!({"url": server.url("/")}), &variables)
        .await
        .unwrap();
    assert_eq!(output["body"], "straight");
    let stopped = outcome(&json!({"url": "https://nowhere.invalid/"}), &variables)
        .await
        .unwrap_err();
    assert!(
        stopped
            .to_string()
            .ends_with("its proxy refuses with status 407"),
        "{stopped}"
    );
    assert_eq!(proxy.seen()[1].line, "CONNECT nowhere.invalid:443 HTTP/1.1");
}

/// A server that vouches for itself, and its certificate.
async fn encrypted() -> (Server, String) {
    let made = rcgen::generate_simple_self_signed(["shop.test".to_owned(), "127.0.0.1".to_owned()])
        .unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let configuration = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let server = Server::start_tls(
        |_| says("200 OK", &["X-Own-Case: 1"], "safe"),
        TlsAcceptor::from(Arc::new(configuration)),
    )
    .await;
    (server, made.cert.pem())
}

#[tokio::test]
async fn behind_a_proxy_the_server_is_the_one_that_is_verified() {
    let (server, certificate) = encrypted().await;
    let beyond = server.address;
    // It says nothing after its head: the client speaks next.
    let proxy = Server::start(move |_| {
        Answer::Joins(b"HTTP/1.1 200 OK\r\nVia: 1.1 own\r\n\r\n".to_vec(), beyond)
    })
    .await;
    // The name is the proxy's to look up, and is asked of the server.
    let url = "https://shop.test:8443/x?y=1";
    let variables = with(&[("HTTPS_PROXY", &format!("http://u:p@{}", proxy.address))]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    for trust in [json!(false), json!(file)] {
        let output = outcome(&json!({"url": url, "verify_tls": trust}), &variables).await;
        assert_eq!(output.unwrap()["body"], "safe", "{trust}");
    }
    let stopped = outcome(&json!({"url": url, "verify_tls": true}), &variables)
        .await
        .unwrap_err();
    assert!(
        matches!(&stopped, Stopped::Failed(failed) if failed.message.contains("certificate")),
        "{stopped:?}"
    );
    let asked = proxy.seen();
    assert_eq!(asked.len(), 3);
    for asked in asked {
        assert_eq!(asked.line, "CONNECT shop.test:8443 HTTP/1.1");
        assert_eq!(asked.header("Proxy-Authorization"), Some("Basic dTpw"));
    }
    // What is meant for the proxy stays with it, and nothing was asked where the certificate was not believed.
    let asked = server.seen();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert_eq!(asked.line, "GET /x?y=1 HTTP/1.1");
        assert_eq!(asked.header("Host"), Some("shop.test:8443"));
        assert_eq!(asked.header("Proxy-Authorization"), None);
    }
}

#[tokio::test]
async fn certificates_are_verified_unless_told_otherwise() {
    let (server, certificate) = encrypted().await;
    let url = format!("https://{}/", server.address);
    let stopped = outcome(&json!({"url": url}), &with(&[])).await.unwrap_err();
    assert!(
        matches!(&stopped, Stopped::Failed(failed) if failed.message.contains("certificate")),
        "{stopped:?}"
    );
    let output = outcome(&json!({"url": url, "verify_tls": false}), &with(&[]))
        .await
        .unwrap();
    assert_eq!(output["body"], "safe");
    assert!(output["headers"].get("X-Own-Case").is_some());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(
        outcome(&json!({"url": url, "verify_tls": file}), &with(&[]))
            .await
            .unwrap()["body"],
        "safe"
    );
    let variables = with(&[("REQUESTS_CA_BUNDLE", file)]);
    assert_eq!(
        outcome(&json!({"url": url}), &variables).await.unwrap()["body"],
        "safe"
    );
    let stopped = outcome(
        &json!({"url": url, "verify_tls": "/nowhere/ca.pem"}),
        &with(&[]),
    )
    .await
    .unwrap_err();
    assert!(
        stopped
            .to_string()
            .contains("cannot use the certificates of /nowhere/ca.pem: "),
        "{stopped}"
    );
}

#[tokio::test]
async fn what_is_no_request_is_named() {
    for (provider, expected) in [
        (
            json!({"url": "localhost:8080"}),
            "`localhost:8080` cannot be asked: it must begin with http:// or https://",
        ),
        (
            json!({"url": "nothing"}),
            "`nothing` cannot be asked: it must begin with http:// or https://",
        ),
        (json!({}), "the provider has no `url`"),
        (
            json!({"url": "http://x/", "method": "a b"}),
            "`a b` is no method of HTTP",
        ),
        (
            json!({"url": "http://x/", "headers": {"X": 1}}),
            "the value of the header X must be a text, not a number",
        ),
        (
            json!({"url": "http://x/", "arguments": 5}),
            "the arguments of a request must be a mapping, a list of pairs, or a text",
        ),
        (
            json!({"url": "http://x/", "max_retries": "many"}),
            "`max_retries` must be a whole number, not many",
        ),
    ] {
        assert_eq!(
            outcome(&provider, &with(&[])).await,
            Err(Stopped::Crashed(expected.to_owned()))
        );
    }
}
