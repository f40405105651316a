//! What may have been meant instead of what is not there, as far as this user may see it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use super::ask::Object;
use super::near::near;
use super::{Cluster, ResolveError};

impl Cluster {
    /// There is no object of this name.
    pub(super) async fn not_found<K: Object>(
        &self,
        kind: &'static str,
        api: &Api<K>,
        name: &str,
    ) -> ResolveError {
        let everywhere: Api<K> = Api::all(self.client.clone());
        let same = ListParams::default().fields(&format!("metadata.name={name}"));
        let (names, elsewhere) = tokio::join!(self.names(api), async {
            match api.namespace() {
                Some(_) => self.list(&everywhere, same).await.unwrap_or_default(),
                None => Vec::new(),
            }
        });
        if let (Some(namespace), true) = (api.namespace(), names.is_empty())
            && let Some(error) = self.no_namespace(namespace).await
        {
            return error;
        }
        let elsewhere = elsewhere.iter().filter(|object| object.name_any() == name);
        ResolveError::NotFound {
            kind,
            name: name.to_owned(),
            namespace: api.namespace().map(str::to_owned),
            near: near(name, names.iter().map(String::as_str)),
            elsewhere: namespaces(elsewhere),
            is_peer: false,
        }
    }

    /// No object of a kind in a namespace, or of none, has such labels.
    pub(super) async fn no_labels<K: Object>(
        &self,
        kind: &'static str,
        api: &Api<K>,
        selector: &str,
    ) -> ResolveError {
        let everywhere: Api<K> = Api::all(self.client.clone());
        let same = ListParams::default().labels(selector);
        let (all, elsewhere) = tokio::join!(self.list(api, ListParams::default()), async {
            match api.namespace() {
                Some(_) => self.list(&everywhere, same).await.unwrap_or_default(),
                None => Vec::new(),
            }
        });
        let all = all.unwrap_or_default();
        if let (Some(namespace), true) = (api.namespace(), all.is_empty())
            && let Some(error) = self.no_namespace(namespace).await
        {
            return error;
        }
        let labels: BTreeSet<_> = all.iter().flat_map(ResourceExt::labels).collect();
        ResolveError::NoLabels {
            kind,
            selector: selector.to_owned(),
            namespace: api.namespace().map(str::to_owned),
            near: near_labels(selector, &labels),
            elsewhere: namespaces(&elsewhere),
        }
    }

    /// Nothing where there is such a namespace, or this user may not see it.
    async fn no_namespace(&self, name: &str) -> Option<ResolveError> {
        let all: Api<Namespace> = Api::all(self.client.clone());
        let Ok(None) = self.get(&all, name).await else {
            return None;
        };
        let names = self.names(&all).await;
        Some(ResolveError::NotFound {
            kind: "namespace",
            name: name.to_owned(),
            namespace: None,
            near: near(name, names.iter().map(String::as_str)),
            elsewhere: Vec::new(),
            is_peer: false,
        })
    }
}

fn namespaces<'a, K: Object + 'a>(objects: impl IntoIterator<Item = &'a K>) -> Vec<String> {
    let found: BTreeSet<_> = objects.into_iter().filter_map(K::namespace).collect();
    found.into_iter().collect()
}

/// Labels like one of the requirements; values of its key; else keys like its key.
fn near_labels(selector: &str, labels: &BTreeSet<(&String, &String)>) -> Vec<String> {
    let known: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    for asked in selector.split(',').map(|one| one.trim().replace("==", "=")) {
        let key = asked.split(['=', '!', ' ']).next().unwrap_or_default();
        let has = known.contains(&asked);
        let of_key = labels.iter().filter(|(known, _)| *known == key);
        let of_key: Vec<_> = of_key
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let found = match near(&asked, known.iter().map(String::as_str)) {
            _ if has => continue,
            found if !found.is_empty() => found,
            _ if !of_key.is_empty() => of_key.into_iter().take(3).collect(),
            _ => near(key, labels.iter().map(|(key, _)| key.as_str())),
        };
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_near_by_their_whole_their_key_or_the_like_of_it() {
        let labels = [("app", "provider"), ("app", "consumer"), ("tier", "web")];
        let labels: Vec<_> = labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let labels = labels.iter().map(|(key, value)| (key, value)).collect();
        for (selector, wanted) in [
            ("app=provder", vec!["app=provider"]),
            ("app=x", vec!["app=consumer", "app=provider"]),
            ("app==x", vec!["app=consumer", "app=provider"]),
            ("apps=x", vec!["app"]),
            ("tier=web,app=x", vec!["app=consumer", "app=provider"]),
            ("tier in (db)", vec!["tier=web"]),
            ("zone=a", vec![]),
        ] {
            assert_eq!(near_labels(selector, &labels), wanted, "{selector}");
        }
    }
}
