//! Who hears of a run.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::observe::{Event, Observer};

/// All who hear of it.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) Vec<Arc<dyn Observer>>);

impl Heard {
    pub(crate) fn hear(&self, event: Event<'_>) {
        for observer in &self.0 {
            observer.hear(event);
        }
    }

    /// The span that an activity is, for whoever it calls.
    pub(crate) fn traceparent(&self, number: u64) -> Option<String> {
        let mut observers = self.0.iter();
        observers.find_map(|observer| observer.traceparent(number))
    }

    /// Has all of them end, and tells all of those that could not be told.
    pub(crate) async fn close(&self, within: Duration) {
        let close =
            async |observer: &Arc<dyn Observer>| match timeout(within, observer.close()).await {
                Ok(closed) => closed,
                Err(_) => Err("somebody was not told of the end in time".to_owned()),
            };
        let closed = futures::future::join_all(self.0.iter().map(close)).await;
        for why in closed.into_iter().filter_map(Result::err) {
            self.hear(Event::Untold(&why));
        }
    }
}
