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

    pub(crate) async fn close(&self) {
        futures::future::join_all(self.0.iter().map(|observer| observer.close())).await;
    }
}
