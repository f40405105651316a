//! Answers as Prometheus' HTTP API documents them, and what becomes of each.

use serde_json::{Map, Value, json};

use super::super::Stopped;
use super::run;
use crate::http::testing::{Answer, Server, says};
use crate::variables::{Environment, Variables};

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn variables() -> Variables {
    let none = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .map(|name| (name.to_owned(), String::new()));
    let mut variables = Variables::new(
        object(&json!({"job": "web"})),
        object(&json!({"g": {"token": "hush"}})),
    );
    variables.environment = Environment::with(none.into());
    variables
}

async fn asked(status: &'static str, body: Value) -> Result<Value, String> {
    let server = Server::start(move |_| {
        says(
            status,
            &["Content-Type: application/json"],
            &body.to_string(),
        )
    })
    .await;
    let provider = json!({"url": server.url(""), "query": "up"});
    run(&object(&provider), &variables())
        .await
        .map_err(|stopped| {
            let Stopped::Failed(failed) = stopped else {
                panic!("{stopped:?}")
            };
            failed
                .message
                .strip_prefix(&format!("{} gives no number: ", server.url("")))
                .unwrap()
                .to_owned()
        })
}

fn vector(values: &[&str]) -> Value {
    let result: Vec<Value> = values
        .iter()
        .map(|value| json!({"metric": {"__name__": "up"}, "value": [1_435_781_451.781, value]}))
        .collect();
    json!({"status": "success", "data": {"resultType": "vector", "result": result}})
}

#[tokio::test]
async fn one_sample_is_a_number() {
    assert_eq!(asked("200 OK", vector(&["1"])).await, Ok(json!(1)));
    assert_eq!(asked("200 OK", vector(&["0.25"])).await, Ok(json!(0.25)));
    assert_eq!(asked("200 OK", vector(&["-1e-9"])).await, Ok(json!(-1e-9)));
    let scalar = json!({"status": "success", "data": {"resultType": "scalar", "result": [1_435_781_451.781, "3"]}});
    assert_eq!(asked("200 OK", scalar).await, Ok(json!(3)));
}

#[tokio::test]
async fn anything_else_is_a_failure() {
    let text = json!({"status": "success", "data": {"resultType": "string", "result": [1, "x"]}});
    let refused = json!({"status": "error", "errorType": "bad_data", "error": "parse error"});
    for (status, body, expected) in [
        ("200 OK", vector(&[]), "the query finds nothing"),
        (
            "200 OK",
            vector(&["1", "2"]),
            "the query finds 2 samples; make one of them, with max(…) or sum(…)",
        ),
        ("200 OK", vector(&["NaN"]), "the sample is NaN"),
        ("200 OK", vector(&["+Inf"]), "the sample is +Inf"),
        ("200 OK", text, "the query gives a string, and no number"),
        (
            "400 Bad Request",
            refused,
            "it answers with status 400: parse error",
        ),
        (
            "200 OK",
            json!({}),
            "it answers with status 200: it does not say why",
        ),
    ] {
        assert_eq!(asked(status, body).await, Err(expected.to_owned()));
    }
    let server = Server::start(|_| Answer::Says(b"HTTP/1.1 200 OK\r\n\r\n<html>".to_vec())).await;
    let stopped = run(
        &object(&json!({"url": server.url("/"), "query": "up"})),
        &variables(),
    )
    .await
    .unwrap_err();
    assert!(
        stopped
            .to_string()
            .ends_with("is no JSON; is this Prometheus?"),
        "{stopped}"
    );
}

#[tokio::test]
async fn the_query_is_asked_where_prometheus_answers() {
    let server = Server::start(|_| says("200 OK", &[], &vector(&["1"]).to_string())).await;
    for path in ["", "/", "/prefix/", "/prefix/api/v1/query"] {
        let provider = json!({
            "url": server.url(path), "query": "rate(x{job=\"${job}\"}[1m]) > 0", "headers": {"Authorization": "Bearer ${token}"},
        });
        assert_eq!(run(&object(&provider), &variables()).await, Ok(json!(1)));
    }
    let seen = server.seen();
    let query = "?query=rate%28x%7Bjob%3D%22web%22%7D%5B1m%5D%29+%3E+0 HTTP/1.1";
    let lines: Vec<&str> = seen.iter().map(|seen| seen.line.as_str()).collect();
    let plain = format!("GET /api/v1/query{query}");
    let prefixed = format!("GET /prefix/api/v1/query{query}");
    assert_eq!(lines, [&plain, &plain, &prefixed, &prefixed]);
    assert!(
        seen.iter()
            .all(|seen| seen.header("Authorization") == Some("Bearer hush"))
    );
}

#[tokio::test]
async fn one_that_is_silent_takes_its_time_limit() {
    let server = Server::start(|_| Answer::Hangs(Vec::new())).await;
    let provider = json!({"url": server.url(""), "query": "up", "timeout": 0.05});
    let stopped = run(&object(&provider), &variables()).await.unwrap_err();
    assert_eq!(
        stopped,
        Stopped::failed("activity took too long to complete")
    );
}
