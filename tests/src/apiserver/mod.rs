//! A stand-in for the Kubernetes API server: real HTTP on loopback, in the words of recorded answers of a real one, and
//! as strict. Tests change its objects by Rust calls, cut its tunnels, stop and pause it. It knows nothing of the product.

pub mod access;
mod answers;
pub mod clock;
mod create;
mod discovery;
mod forward;
pub mod kubeconfig;
mod list;
mod pod;
mod request;
pub mod requests;
pub mod resource;
mod reviews;
pub mod scene;
mod selector;
mod serve;
mod server;
mod slices;
mod status;
mod store;
mod tls;
mod users;
mod watch;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::{sync::watch as signal, task::AbortHandle};
use tokio_rustls::rustls::pki_types::CertificateDer;

use self::{
    access::{Access, Identity},
    clock::Clock,
    requests::Seen,
    status::Failure,
    store::Store,
    tls::Authority,
};
pub use self::{forward::Door, server::ApiServer, tls::Certificate};

/// What all connections share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    paused: signal::Sender<bool>,
    /// Each change of it is a bookmark to all watchers.
    bookmarks: signal::Sender<u64>,
    authority: Option<Mutex<Authority>>,
    /// Ids of the queue that all requests go through.
    flow: (String, String),
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    access: Access,
    clock: Clock,
    delay: Duration,
    /// How long watches take at most.
    watches_last: Option<Duration>,
    /// Where ports of pods are: namespace, name, port.
    doors: BTreeMap<(String, String, u16), Door>,
    /// Open tunnels, with the node that each goes to.
    forwards: Vec<(String, AbortHandle)>,
    /// Nodes that the server cannot connect to, and what it says then.
    nodes_gone: BTreeMap<String, String>,
    /// Requests that fail although nothing is wrong with them.
    failures: Vec<Planned>,
    seen: Vec<Seen>,
}

/// A failure that a test asked for.
#[derive(Debug)]
struct Planned {
    method: String,
    path: String,
    left: usize,
    failure: Failure,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the server is paused.
    async fn running(&self) {
        let mut paused = self.paused.subscribe();
        let _ = paused.wait_for(|&paused| !paused).await;
    }

    fn certified(&self, certificate: &CertificateDer<'_>) -> Option<Identity> {
        let authority = self.authority.as_ref()?;
        let authority = authority.lock().unwrap_or_else(PoisonError::into_inner);
        authority.user(certificate)
    }
}

impl State {
    /// The failure that a test asked for, for a request like this.
    fn next_failure(&mut self, seen: &Seen) -> Option<Failure> {
        let planned = self.failures.iter_mut().find(|planned| {
            planned.left > 0 && planned.method == seen.method && seen.path.contains(&planned.path)
        })?;
        planned.left -= 1;
        Some(planned.failure.clone())
    }
}

/// The names of the fields of an object, as `managedFields` lists them.
fn managed(object: &Value) -> Value {
    let mut fields = Map::new();
    for (field, value) in object.as_object().into_iter().flatten() {
        let inner = match value {
            Value::Object(_) => {
                let mut inner = managed(value);
                inner["."] = json!({});
                inner
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                json!({})
            }
        };
        fields.insert(format!("f:{field}"), inner);
    }
    Value::Object(fields)
}

/// Bytes that nobody can guess.
fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Nothing here depends on it being hard to guess, should the kernel have none.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// A new UID.
pub fn random_uid() -> String {
    let mut bytes: [u8; 16] = random_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Five letters, as at the end of generated names.
fn random_word() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    random_bytes::<5>()
        .iter()
        .map(|&byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]))
        .collect()
}
