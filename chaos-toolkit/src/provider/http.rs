//! Providers of `type: http`: asks an address, and gives status, headers and body.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has six kinds of values and gets no more; most of them are wrong in the same way"
)]

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use url::Url;

use super::{Stopped, arguments, given, kind, required, seconds, text};
use crate::http::{HttpError, Request, send};
use crate::python_value::{dumps, truth};
use crate::tls::Trust;
use crate::variables::{Variables, substitute};

/// What a header must be for a body to be JSON, letter by letter.
const JSON: &str = "application/json";

/// By which a server is told of the span that a request is a part of.
const SPAN: &str = "traceparent";

/// Asks the address of a provider.
pub(super) async fn run(
    provider: &Map<String, Value>,
    variables: &Variables,
) -> Result<Value, Stopped> {
    let request = request(provider, variables)?;
    let url = request.url.to_string();
    let response = send(request, &variables.environment)
        .await
        .map_err(|error| stopped(&error))?;
    let headers: Map<String, Value> = response
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let status = response.status;
    let body = if response.header("Content-Type") == Some(JSON) {
        serde_json::from_slice(&response.body).map_err(|error| {
            Stopped::crashed(format!(
                "the answer of {url} is said to be JSON, and is not: {error}"
            ))
        })?
    } else {
        Value::String(crate::http::text(response))
    };
    Ok(json!({"status": status, "headers": headers, "body": body}))
}

pub(super) fn stopped(error: &HttpError) -> Stopped {
    match error {
        HttpError::Connect { .. } => Stopped::failed(error.to_string()),
        HttpError::Timeout { .. } => Stopped::failed("activity took too long to complete"),
        HttpError::Redirects { .. } | HttpError::Answer { .. } | HttpError::Address { .. } => {
            Stopped::crashed(error.to_string())
        }
    }
}

pub(super) fn address(url: &str) -> Result<Url, Stopped> {
    let wrong = |why: &str| Stopped::crashed(format!("`{url}` cannot be asked: {why}"));
    let begins = "it must begin with http:// or https://";
    let parsed = Url::parse(url.trim_start()).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => wrong(begins),
        error => wrong(&error.to_string()),
    })?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(wrong(begins));
    }
    Ok(parsed)
}

pub(super) fn request(
    provider: &Map<String, Value>,
    variables: &Variables,
) -> Result<Request, Stopped> {
    let url = match substitute(&Value::from(required(provider, "url")?), variables) {
        Value::String(url) => address(&url)?,
        other => {
            return Err(Stopped::crashed(format!(
                "`url` must be a text, not {}",
                kind(&other)
            )));
        }
    };
    let method = match provider.get("method") {
        None => Method::GET,
        Some(Value::String(method)) => Method::from_bytes(method.to_uppercase().as_bytes())
            .map_err(|_| Stopped::crashed(format!("`{method}` is no method of HTTP")))?,
        Some(other) => {
            return Err(Stopped::crashed(format!(
                "`method` must be a text, not {}",
                kind(other)
            )));
        }
    };
    let mut request = Request::new(method, url);
    request.headers = headers(provider, variables)?;
    let has_span = |(name, _): &(String, String)| name.eq_ignore_ascii_case(SPAN);
    if let Some(span) = variables.environment.span()
        && !request.headers.iter().any(has_span)
    {
        request.headers.push((SPAN.to_owned(), span.to_owned()));
    }
    (request.connect_timeout, request.read_timeout) = timeouts(provider, variables)?;
    request.trust = Trust::said(provider.get("verify_tls"));
    request.retries = match given(provider, "max_retries") {
        None => 0,
        Some(retries) => retries.as_u64().ok_or_else(|| {
            Stopped::crashed(format!(
                "`max_retries` must be a whole number, not {}",
                text(retries)
            ))
        })?,
    };
    let arguments = arguments(provider, variables);
    if request.method == Method::GET {
        if let Some(arguments) = arguments.filter(truth) {
            add_query(&mut request.url, &arguments)?;
        }
    } else if request
        .headers
        .iter()
        .any(|(name, value)| name == "Content-Type" && value == JSON)
    {
        // What is empty is sent too, unless it is nothing.
        request.body = arguments.map(|value| Bytes::from(dumps(&value)));
    } else if let Some(arguments) = arguments.filter(truth) {
        add_form(&mut request, &arguments)?;
    }
    Ok(request)
}

fn headers(
    provider: &Map<String, Value>,
    variables: &Variables,
) -> Result<Vec<(String, String)>, Stopped> {
    let entries = match given(provider, "headers").map(|headers| substitute(headers, variables)) {
        None => return Ok(Vec::new()),
        Some(Value::Object(entries)) => entries,
        Some(other) if !truth(&other) => return Ok(Vec::new()),
        Some(other) => {
            return Err(Stopped::crashed(format!(
                "`headers` must be a mapping of names to values, not {}",
                kind(&other)
            )));
        }
    };
    let mut headers = Vec::new();
    for (name, value) in entries {
        match value {
            Value::String(value) => headers.push((name, value)),
            Value::Null => {}
            other => {
                let kind = kind(&other);
                return Err(Stopped::crashed(format!(
                    "the value of the header {name} must be a text, not {kind}"
                )));
            }
        }
    }
    Ok(headers)
}

/// To be connected, and between two things that are heard: one number for both, or a list of two.
fn timeouts(
    provider: &Map<String, Value>,
    variables: &Variables,
) -> Result<(Option<Duration>, Option<Duration>), Stopped> {
    let Some(timeout) = provider
        .get("timeout")
        .map(|timeout| substitute(timeout, variables))
    else {
        return Ok((None, None));
    };
    let one = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::Number(number) if number.as_f64().is_some_and(|number| number > 0.0) => {
            seconds(value).map(Some)
        }
        other => Err(Stopped::crashed(format!(
            "a timeout must be a number of seconds above 0, not {}",
            text(other)
        ))),
    };
    match &timeout {
        Value::Array(both) => match both.as_slice() {
            [connect, read] => Ok((one(connect)?, one(read)?)),
            _ => Err(Stopped::crashed(
                "a list of timeouts is of two: to connect, and to read",
            )),
        },
        single => one(single).map(|timeout| (timeout, timeout)),
    }
}

fn add_query(url: &mut Url, arguments: &Value) -> Result<(), Stopped> {
    let added = match arguments {
        Value::String(text) => text.clone(),
        other => form(other)?,
    };
    let query = match url.query().filter(|query| !query.is_empty()) {
        Some(query) => format!("{query}&{added}"),
        None => added,
    };
    url.set_query(
        Some(&query)
            .filter(|query| !query.is_empty())
            .map(String::as_str),
    );
    Ok(())
}

fn add_form(request: &mut Request, arguments: &Value) -> Result<(), Stopped> {
    if let Value::String(text) = arguments {
        request.body = Some(Bytes::from(text.clone()));
        return Ok(());
    }
    request.body = Some(Bytes::from(form(arguments)?));
    if !request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("Content-Type"))
    {
        request.headers.push((
            "Content-Type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        ));
    }
    Ok(())
}

/// Names and values as a form has them. A list has its name with each item, and nothing is left out.
fn form(arguments: &Value) -> Result<String, Stopped> {
    let pairs: Vec<(String, &Value)> = match arguments {
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        Value::Array(items) => items.iter().filter_map(pair).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let expected = match arguments {
        Value::Object(entries) => entries.len(),
        Value::Array(items) => items.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => usize::MAX,
    };
    if pairs.len() != expected {
        return Err(Stopped::crashed(
            "the arguments of a request must be a mapping, a list of pairs, or a text",
        ));
    }
    let mut form = String::new();
    let mut add = |name: &str, value: &Value| {
        if !value.is_null() {
            form.extend([
                if form.is_empty() { "" } else { "&" },
                &quoted(name),
                "=",
                &quoted(&text(value)),
            ]);
        }
    };
    for (name, value) in pairs {
        match value {
            Value::Array(items) => items.iter().for_each(|item| add(&name, item)),
            Value::Object(entries) => entries
                .keys()
                .for_each(|key| add(&name, &Value::from(key.as_str()))),
            single => add(&name, single),
        }
    }
    Ok(form)
}

fn pair(item: &Value) -> Option<(String, &Value)> {
    match item.as_array()?.as_slice() {
        [name, value] => Some((text(name), value)),
        _ => None,
    }
}

/// As Python's `quote_plus`.
fn quoted(text: &str) -> String {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => out.extend([
                '%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]),
        }
    }
    out
}

#[cfg(test)]
mod tests;
