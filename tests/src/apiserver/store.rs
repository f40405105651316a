//! The objects, each change of them with its version, and who waits for the next one. Knows nothing of HTTP.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use tokio::sync::watch;

use super::{resource::Resource, status::Failure};

/// Which object: resource, namespace (empty where it has none), name.
pub(super) type Key = (&'static str, String, String);

/// What happened to an object.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// Version of the whole store after it.
    pub(super) version: u64,
    /// Which object.
    pub(super) key: Key,
    /// What it was; none if it is new.
    pub(super) before: Option<Value>,
    /// What it is; none if it was deleted.
    pub(super) after: Option<Value>,
    /// What a watcher of a deletion gets: the last state, with the version of the deletion.
    pub(super) last: Value,
}

/// All objects and their history.
#[derive(Debug)]
pub(super) struct Store {
    version: u64,
    /// Changes up to this version are forgotten.
    forgotten: u64,
    objects: BTreeMap<Key, Value>,
    history: VecDeque<Change>,
    changed: watch::Sender<u64>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            // No cluster starts at 0: its own objects come first. Nobody may watch from before that.
            version: 200,
            forgotten: 199,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            changed: watch::Sender::new(200),
        }
    }
}

impl Store {
    /// Version of the newest change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Notifies of each change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// One object.
    pub(super) fn object(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Option<&Value> {
        self.objects
            .get(&(stored(resource), namespace.to_owned(), name.to_owned()))
    }

    /// All of a resource, by namespace and name; of one namespace if it is not empty.
    pub(super) fn objects<'store>(
        &'store self,
        resource: &Resource,
        namespace: &'store str,
    ) -> impl Iterator<Item = &'store Value> {
        let plural = stored(resource);
        self.objects
            .range((plural, namespace.to_owned(), String::new())..)
            .take_while(move |((of, within, _), _)| {
                *of == plural && (namespace.is_empty() || within == namespace)
            })
            .map(|(_, object)| object)
    }

    /// All of a resource as they were at `version`; none if that is forgotten.
    pub(super) fn objects_at(
        &self,
        resource: &Resource,
        namespace: &str,
        version: u64,
    ) -> Option<Vec<Value>> {
        if version < self.forgotten {
            return None;
        }
        let plural = stored(resource);
        let within = |key: &Key| key.0 == plural && (namespace.is_empty() || key.1 == namespace);
        let mut then: BTreeMap<&Key, &Value> =
            self.objects.iter().filter(|(key, _)| within(key)).collect();
        let later = self
            .history
            .iter()
            .rev()
            .take_while(|change| change.version > version);
        for change in later.filter(|change| within(&change.key)) {
            match &change.before {
                Some(before) => then.insert(&change.key, before),
                None => then.remove(&change.key),
            };
        }
        Some(then.into_values().cloned().collect())
    }

    /// Changes of a resource after `version`; an error as watchers get it if that is forgotten.
    pub(super) fn since(
        &self,
        resource: &Resource,
        namespace: &str,
        version: u64,
    ) -> Result<Vec<Change>, Failure> {
        if version < self.forgotten {
            return Err(Failure::expired(&format!(
                "too old resource version: {version} ({})",
                self.forgotten + 1
            )));
        }
        let plural = stored(resource);
        let from = self
            .history
            .partition_point(|change| change.version <= version);
        Ok(self
            .history
            .range(from..)
            .filter(|change| {
                change.key.0 == plural && (namespace.is_empty() || change.key.1 == namespace)
            })
            .cloned()
            .collect())
    }

    /// Forgets all changes until now: who watches from an older version is told that it is gone.
    pub(super) fn forget(&mut self) {
        // A version in between, so that even who has seen the newest change has to list again.
        self.version += 1;
        self.forgotten = self.version;
        self.history.clear();
        self.changed.send_replace(self.version);
    }

    /// Adds or replaces an object, and gives it its version. Returns it as stored.
    pub(super) fn put(&mut self, resource: &Resource, mut object: Value) -> Value {
        let key = key(resource, &object);
        let before = self.objects.get(&key).cloned();
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key.clone(), object.clone());
        self.record(key, before, Some(object.clone()), object.clone());
        object
    }

    /// Removes an object, and returns it with the version of its removal.
    pub(super) fn remove(
        &mut self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Option<Value> {
        let key = (stored(resource), namespace.to_owned(), name.to_owned());
        let before = self.objects.remove(&key)?;
        self.version += 1;
        let mut last = before.clone();
        last["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.record(key, Some(before), None, last.clone());
        Some(last)
    }

    fn record(&mut self, key: Key, before: Option<Value>, after: Option<Value>, last: Value) {
        self.history.push_back(Change {
            version: self.version,
            key,
            before,
            after,
            last,
        });
        self.changed.send_replace(self.version);
    }
}

/// Events of both groups are the same objects.
fn stored(resource: &Resource) -> &'static str {
    resource.plural
}

/// Which object it is.
fn key(resource: &Resource, object: &Value) -> Key {
    let text = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (stored(resource), text("namespace"), text("name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::resource;

    fn pod(name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "demo"}})
    }

    #[test]
    fn an_older_state_is_known_until_it_is_forgotten() {
        let pods = resource::of_kind("Pod").unwrap();
        let mut store = Store::default();
        store.put(pods, pod("a"));
        let then = store.version();
        store.put(pods, pod("b"));
        store.remove(pods, "demo", "a");
        let names = |objects: Vec<Value>| -> Vec<String> {
            objects
                .iter()
                .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(store.objects_at(pods, "", then).unwrap()), ["a"]);
        assert_eq!(
            names(store.objects_at(pods, "demo", store.version()).unwrap()),
            ["b"]
        );
        assert_eq!(store.since(pods, "", then).unwrap().len(), 2);
        assert!(store.objects_at(pods, "other", then).unwrap().is_empty());
        store.forget();
        assert!(store.objects_at(pods, "", then).is_none());
        let failure = store.since(pods, "", then).unwrap_err();
        assert_eq!(failure.status()["reason"], "Expired");
        assert!(store.since(pods, "", store.version()).unwrap().is_empty());
    }
}
