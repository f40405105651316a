//! Providers of `type: prometheus`, which the reference does not have: one number that Prometheus knows now.
//!
//! `url` is where Prometheus is, `query` is what it is asked, at this moment. What gives anything but one sample is a failure
//! and no guess: who means the largest of several writes `max(…)`. So is a sample that is not a number (0/0, where there were
//! no requests) or is infinite. `headers`, `timeout` (5 seconds unless it says otherwise) and `verify_tls` are as for http.

use serde_json::{Map, Value, json};

use super::{Stopped, given, http, required, text};
use crate::http::{Response, send};
use crate::variables::{Variables, substitute};

/// A guard that waits for ever guards nothing.
const TIMEOUT_SECONDS: u64 = 5;

/// Asks the query of a provider.
pub(super) async fn run(
    provider: &Map<String, Value>,
    variables: &Variables,
) -> Result<Value, Stopped> {
    let mut asked = provider.clone();
    let address = text(&substitute(
        &Value::from(required(provider, "url")?),
        variables,
    ));
    let mut url = http::address(&address)?;
    if !url.path().ends_with("/api/v1/query") {
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/api/v1/query"));
    }
    asked.insert("url".to_owned(), Value::from(url.as_str()));
    asked.insert(
        "arguments".to_owned(),
        json!({"query": required(provider, "query")?}),
    );
    if given(provider, "timeout").is_none() {
        asked.insert("timeout".to_owned(), Value::from(TIMEOUT_SECONDS));
    }
    asked.remove("method");
    let request = http::request(&asked, variables)?;
    let response = send(request, &variables.environment)
        .await
        .map_err(|error| http::stopped(&error))?;
    number(&response).map_err(|why| Stopped::failed(format!("{address} gives no number: {why}")))
}

fn number(response: &Response) -> Result<Value, String> {
    let body: Value = serde_json::from_slice(&response.body).map_err(|_| {
        format!(
            "its answer, with status {}, is no JSON; is this Prometheus?",
            response.status
        )
    })?;
    if body["status"] != "success" {
        let what = body["error"].as_str().unwrap_or("it does not say why");
        return Err(format!(
            "it answers with status {}: {what}",
            response.status
        ));
    }
    let result = &body["data"]["result"];
    let sample = match body["data"]["resultType"].as_str() {
        Some("scalar") => &result[1],
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([one]) => &one["value"][1],
            Some([]) => return Err("the query finds nothing".to_owned()),
            many => {
                let count = many.map_or(0, <[Value]>::len);
                return Err(format!(
                    "the query finds {count} samples; make one of them, with max(…) or sum(…)"
                ));
            }
        },
        other => {
            return Err(format!(
                "the query gives a {}, and no number",
                other.unwrap_or("result of no type")
            ));
        }
    };
    let sample = sample.as_str().unwrap_or_default();
    let whole = sample.parse::<i64>().ok().map(Value::from);
    let float = || {
        sample
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
    };
    whole
        .or_else(float)
        .ok_or_else(|| format!("the sample is {sample}"))
}

#[cfg(test)]
mod tests;
