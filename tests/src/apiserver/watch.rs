//! Watches: changes from a version on, one JSON object a line, with bookmarks.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    Shared,
    answers::{Asked, is_metadata},
    list::{invalid_options, shown, version},
    request::{Place, Shape},
    resource::Resource,
    selector::Selector,
    status::Failure,
    store::{Change, Store},
};

/// Between two bookmarks.
const BOOKMARKS: Duration = Duration::from_mins(1);
/// The last bookmark comes so long before the end.
const BEFORE_END: Duration = Duration::from_secs(2);
/// How long a watch takes that does not say.
const USUAL: Duration = Duration::from_mins(30);

/// A watch that was let in.
#[derive(Debug)]
pub(super) struct Watch {
    resource: &'static Resource,
    namespace: String,
    selector: Selector,
    shape: Shape,
    bookmarks: bool,
    from: From,
    lasts: Duration,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// With all objects that there are.
    Now,
    /// The same, and a bookmark says where they end.
    Initial,
    /// After this version.
    Version(u64),
}

impl Watch {
    pub(super) fn new(
        shared: &Shared,
        place: &Place,
        resource: &'static Resource,
        asked: &Asked,
        shape: Shape,
    ) -> Result<Self, Failure> {
        let parameters = &asked.parameters;
        let selector = Selector::parse(
            resource,
            parameters.text("labelSelector"),
            parameters.text("fieldSelector"),
        )?;
        let initial = parameters.flag("sendInitialEvents");
        let rule = parameters.text("resourceVersionMatch");
        let said = !parameters.text("sendInitialEvents").is_empty();
        if said && rule != "NotOlderThan" {
            let message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(invalid_options("resourceVersionMatch", message.to_owned()));
        }
        if !said && !rule.is_empty() {
            let message = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(invalid_options("resourceVersionMatch", message.to_owned()));
        }
        let from = match parameters.text("resourceVersion") {
            _ if initial => From::Initial,
            "" | "0" => From::Now,
            text => From::Version(version(text)?),
        };
        let lasts = match parameters.text("timeoutSeconds") {
            "" | "0" => USUAL,
            seconds => Duration::from_secs(seconds.parse().map_err(|_| {
                Failure::bad_request(&format!(
                    "strconv.ParseInt: parsing {seconds:?}: invalid syntax"
                ))
            })?),
        };
        let at_most = shared.state().watches_last.unwrap_or(lasts);
        Ok(Self {
            resource,
            namespace: place.namespace.clone(),
            selector,
            shape,
            bookmarks: parameters.flag("allowWatchBookmarks"),
            from,
            lasts: lasts.min(at_most),
        })
    }

    /// Sends lines until the time is over, the watcher is gone or the version is.
    pub(super) async fn run(self, shared: &Shared, lines: mpsc::Sender<Bytes>) {
        let end = Instant::now() + self.lasts;
        let mut bookmark = self.next_bookmark(end);
        let mut bookmarks = shared.bookmarks.subscribe();
        // Both under one lock: no change falls between the objects that are there and those that come.
        let (mut changes, mut seen, mut batch) = {
            let state = shared.state();
            let seen = match self.from {
                From::Now | From::Initial => state.store.version(),
                From::Version(version) => version,
            };
            (state.store.changes(), seen, self.beginning(&state.store))
        };
        loop {
            match self.changes(shared, &mut seen) {
                Ok(lines) => batch.extend(lines),
                Err(failure) => {
                    let error = line("ERROR", &failure.status());
                    shared.running().await;
                    let _ = lines.send(error).await;
                    return;
                }
            }
            shared.running().await;
            for line in batch.drain(..) {
                if lines.send(line).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = bookmarks.changed(), if self.bookmarks => batch.push(self.bookmark(seen, false)),
                () = sleep_until(bookmark), if self.bookmarks => {
                    batch.push(self.bookmark(seen, false));
                    bookmark = self.next_bookmark(end);
                }
                () = sleep_until(end) => return,
                () = lines.closed() => return,
            }
        }
    }

    fn next_bookmark(&self, end: Instant) -> Instant {
        let now = Instant::now();
        let last = end.checked_sub(BEFORE_END).unwrap_or(now);
        let next = now + BOOKMARKS.min(self.lasts);
        if next > last && last > now {
            last
        } else {
            next
        }
    }

    /// The objects that are there at the beginning, if the watch asks for them.
    fn beginning(&self, store: &Store) -> Vec<Bytes> {
        if matches!(self.from, From::Version(_)) {
            return Vec::new();
        }
        let mut lines: Vec<Bytes> = store
            .objects(self.resource, &self.namespace)
            .filter(|object| self.selector.matches(object))
            .map(|object| line("ADDED", &shown(self.resource, object, self.shape, true)))
            .collect();
        if self.from == From::Initial && self.bookmarks {
            lines.push(self.bookmark(store.version(), true));
        }
        lines
    }

    fn changes(&self, shared: &Shared, seen: &mut u64) -> Result<Vec<Bytes>, Failure> {
        let state = shared.state();
        let changes = state.store.since(self.resource, &self.namespace, *seen)?;
        *seen = (*seen).max(state.store.version());
        Ok(changes
            .iter()
            .filter_map(|change| self.event(change))
            .collect())
    }

    /// The event of a change: an object that begins to match is added, one that no longer does is deleted.
    fn event(&self, change: &Change) -> Option<Bytes> {
        let matched = |object: &Option<Value>| {
            object
                .as_ref()
                .is_some_and(|object| self.selector.matches(object))
        };
        let kind = match (matched(&change.before), matched(&change.after)) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        let mut object = change.last.clone();
        if let (true, false, Some(before)) = (
            matched(&change.before),
            matched(&change.after),
            &change.before,
        ) {
            // The last state that matched, with the version of the change.
            object = before.clone();
            object["metadata"]["resourceVersion"] = change.version.to_string().into();
        }
        Some(line(kind, &shown(self.resource, &object, self.shape, true)))
    }

    /// An empty object with a version.
    fn bookmark(&self, version: u64, ends_initial: bool) -> Bytes {
        let mut object = if is_metadata(self.shape) {
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"})
        } else {
            let mut object = match self.resource.kind {
                "EndpointSlice" => json!({"addressType": "", "endpoints": null, "ports": null}),
                "Pod" => json!({"spec": {"containers": null}, "status": {}}),
                "Service" => json!({"spec": {}, "status": {"loadBalancer": {}}}),
                _ => json!({"spec": {}, "status": {}}),
            };
            object["kind"] = self.resource.kind.into();
            object["apiVersion"] = self.resource.api_version().into();
            object
        };
        object["metadata"] = json!({"resourceVersion": version.to_string()});
        if ends_initial {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        line("BOOKMARK", &object)
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": kind, "object": object})))
}
