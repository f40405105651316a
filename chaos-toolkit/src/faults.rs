//! Faults as actions: what a provider of `type: chaos` asks for, and whoever can do it implements.

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use crate::problem::Flaw;

/// Does what providers of `type: chaos` say.
pub trait Faults: Send + Sync {
    /// Looks at what a provider says; touches nothing and asks nobody.
    fn check(&self, provider: &Map<String, Value>) -> Result<(), Flaw>;

    /// Starts a fault; done when it acts everywhere. Dropped before, nothing is left of it.
    fn start(
        &self,
        name: &str,
        provider: &Map<String, Value>,
    ) -> BoxFuture<'static, Result<Box<dyn Acting>, FaultFailed>>;
}

/// A fault that acts. It ends by itself after its duration, when it is dropped, and soon after this process is gone.
pub trait Acting: Send {
    /// What the activity gives: the experiment's id, its targets, how long it acts.
    fn output(&self) -> Value;

    /// Has it end now; returns at once.
    fn stop(&self);

    /// Waits until it has ended, by itself or not; tells what it hit, and why it ended.
    fn ended(&mut self) -> BoxFuture<'_, Value>;
}

/// A fault that could not be started; nothing acts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultFailed(pub String);
