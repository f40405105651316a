//! What was asked, for tests that count.

use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// "GET", …
    pub method: String,
    /// Without parameters.
    pub path: String,
    /// Parameters, as in the address.
    pub query: String,
    /// Who asked; empty if the token was not known.
    pub user: String,
    /// What was sent.
    pub body: Bytes,
    /// What was answered.
    pub status: u16,
}

impl Seen {
    /// What was sent, read as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
