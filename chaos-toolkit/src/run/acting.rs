//! Faults that act: they are told to stop before anything else is, and what they hit is added to their runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::heard::Heard;
use crate::faults::{Acting, FaultFailed, Faults};
use crate::journal::{Entry, Record, lock};
use crate::observe::Event;

/// How long the end of faults is waited for: a little longer than whoever ends them tells agents again and again that do not
/// answer. Agents end them by themselves if they hear no more of this process.
const END_WITHIN: Duration = Duration::from_secs(20);

/// The faults of one run.
pub(crate) struct ActingFaults {
    provider: Option<Arc<dyn Faults>>,
    record: Arc<Record>,
    heard: Arc<Heard>,
    /// Nothing may act any more.
    stop: watch::Sender<bool>,
    /// How many act and were not told to stop.
    untold: watch::Sender<usize>,
    watched: Mutex<JoinSet<()>>,
}

impl ActingFaults {
    pub(crate) fn new(
        provider: Option<Arc<dyn Faults>>,
        record: Arc<Record>,
        heard: Arc<Heard>,
    ) -> Self {
        Self {
            provider,
            record,
            heard,
            stop: watch::Sender::new(false),
            untold: watch::Sender::new(0),
            watched: Mutex::default(),
        }
    }

    /// Starts one, and looks after it from when it acts.
    pub(crate) async fn start(
        &self,
        name: &str,
        provider: &Map<String, Value>,
        entry: &Entry,
    ) -> Result<Value, FaultFailed> {
        let Some(faults) = &self.provider else {
            let why = "nobody here can do what a provider of type `chaos` says".to_owned();
            return Err(FaultFailed(why));
        };
        let mut stop = self.stop.subscribe();
        let acting = tokio::select! {
            biased;
            // Dropped before it acts, nothing is left of it.
            _ = stop.wait_for(|stop| *stop) => {
                return Err(FaultFailed("not started: all faults were told to stop".to_owned()));
            }
            acting = faults.start(name, provider) => acting?,
        };
        let output = acting.output();
        self.untold.send_modify(|count| *count += 1);
        let watch = Watch {
            name: name.to_owned(),
            entry: entry.clone(),
            record: self.record.clone(),
            heard: self.heard.clone(),
            untold: self.untold.clone(),
        };
        lock(&self.watched).spawn(watch.until_end(acting, stop));
        Ok(output)
    }

    /// Tells all to stop, and any that was about to act not to; done when all are told.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        // It cannot fail: the sender is here.
        let _ = self.untold.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Waits until all have ended, but not for ever.
    pub(crate) async fn ended(&self, within: Option<Duration>) -> bool {
        let mut watched = std::mem::take(&mut *lock(&self.watched));
        let all = async { while watched.join_next().await.is_some() {} };
        tokio::time::timeout(within.unwrap_or(END_WITHIN), all)
            .await
            .is_ok()
    }

    /// Lets go of all: what is dropped ends.
    pub(crate) fn abandon(&self) {
        self.stop.send_replace(true);
        lock(&self.watched).abort_all();
    }
}

/// Who looks after one of them.
struct Watch {
    name: String,
    entry: Entry,
    record: Arc<Record>,
    heard: Arc<Heard>,
    untold: watch::Sender<usize>,
}

impl Watch {
    async fn until_end(self, mut acting: Box<dyn Acting>, mut stop: watch::Receiver<bool>) {
        let told = Told(&self.untold);
        let by_itself = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => None,
            ended = acting.ended() => Some(ended),
        };
        if by_itself.is_none() {
            acting.stop();
        }
        drop(told);
        let ended = match by_itself {
            Some(ended) => ended,
            None => acting.ended().await,
        };
        lock(&self.entry).insert("chaos".to_owned(), ended);
        self.record.changed(&self.entry);
        // What others hear has no secrets, as the journal has none.
        let run = self.record.clean(&self.entry);
        let activity = run.get("activity").unwrap_or(&Value::Null);
        self.heard.hear(Event::FaultEnded {
            name: activity["name"].as_str().unwrap_or(&self.name),
            ended: run.get("chaos").unwrap_or(&Value::Null),
        });
    }
}

/// Counts one less when it is dropped, whatever happened.
struct Told<'a>(&'a watch::Sender<usize>);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
