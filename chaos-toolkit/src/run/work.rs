//! Who does the work of activities: the providers, or in tests somebody who is faster.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use crate::provider::python::Python;
use crate::provider::{self, Stopped, Thread};
use crate::tolerance;
use crate::variables::Variables;

/// Does what an activity says, and judges what comes of it.
pub(crate) trait Work: Send + Sync {
    /// Of one activity. Dropped before it is done, it is interrupted.
    fn perform<'a>(
        &'a self,
        activity: &'a Map<String, Value>,
        variables: &'a Variables,
        place: Thread,
    ) -> BoxFuture<'a, Result<Value, Stopped>>;

    /// Whether a value is right.
    fn within<'a>(
        &'a self,
        tolerance: &'a Value,
        value: &'a Value,
        variables: &'a Variables,
        place: Thread,
    ) -> BoxFuture<'a, Result<bool, Stopped>>;

    /// Has what runs in the background end by itself where it can, before it is dropped.
    fn leave_background(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// There is nothing more to do.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// The providers.
pub(crate) struct Providers(pub(crate) Arc<Python>);

impl Work for Providers {
    fn perform<'a>(
        &'a self,
        activity: &'a Map<String, Value>,
        variables: &'a Variables,
        place: Thread,
    ) -> BoxFuture<'a, Result<Value, Stopped>> {
        Box::pin(provider::perform(activity, variables, &self.0, place))
    }

    fn within<'a>(
        &'a self,
        tolerance: &'a Value,
        value: &'a Value,
        variables: &'a Variables,
        place: Thread,
    ) -> BoxFuture<'a, Result<bool, Stopped>> {
        tolerance::within(tolerance, value, variables, &self.0, place)
    }

    fn leave_background(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.leave_background())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.close())
    }
}
