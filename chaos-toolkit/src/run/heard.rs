//! Who hears of a run.

use std::sync::Arc;

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

    /// What could not be told, each in a sentence.
    pub(crate) async fn close(&self) -> Vec<String> {
        let closed = futures::future::join_all(self.0.iter().map(|observer| observer.close()));
        closed.await.into_iter().filter_map(Result::err).collect()
    }
}
