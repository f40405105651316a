//! Pods of a Deployment, `StatefulSet` or `DaemonSet`: those that its selector picks and that it really owns.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use kube::core::Selector;

use super::ask::Object;
use super::pods::is_owned;
use super::{Cluster, ResolveError};

impl Cluster {
    /// Pods of a Deployment: those of its `ReplicaSet`s.
    pub(super) async fn of_deployment(&self, name: &str) -> Result<Vec<Pod>, ResolveError> {
        let deployment: Deployment = self.workload("Deployment", name).await?;
        let selector = deployment.spec.as_ref().map(|spec| &spec.selector);
        let fits = fits(selector);
        let sets: Api<ReplicaSet> = self.here();
        let pods = self.pods(&self.namespace);
        let (sets, pods) = tokio::try_join!(
            self.list(&sets, fits.clone()),
            self.list(&pods, fits.clone())
        )?;
        let deployment = deployment.uid().into_iter().collect();
        let sets = sets
            .iter()
            .filter(|set| is_owned(set.owner_references(), &deployment))
            .filter_map(ReplicaSet::uid)
            .collect();
        Ok(owned(pods, &sets))
    }

    /// Pods of a `StatefulSet`.
    pub(super) async fn of_statefulset(&self, name: &str) -> Result<Vec<Pod>, ResolveError> {
        let set: StatefulSet = self.workload("StatefulSet", name).await?;
        let selector = set.spec.as_ref().map(|spec| &spec.selector);
        self.owned_by(&set, selector).await
    }

    /// Pods of a `DaemonSet`.
    pub(super) async fn of_daemonset(&self, name: &str) -> Result<Vec<Pod>, ResolveError> {
        let set: DaemonSet = self.workload("DaemonSet", name).await?;
        let selector = set.spec.as_ref().map(|spec| &spec.selector);
        self.owned_by(&set, selector).await
    }

    async fn owned_by<K: Object>(
        &self,
        owner: &K,
        selector: Option<&LabelSelector>,
    ) -> Result<Vec<Pod>, ResolveError> {
        let pods = self
            .list(&self.pods(&self.namespace), fits(selector))
            .await?;
        Ok(owned(pods, &owner.uid().into_iter().collect()))
    }

    async fn workload<K>(&self, kind: &'static str, name: &str) -> Result<K, ResolveError>
    where
        K: Object + kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    {
        let api = self.here();
        match self.get(&api, name).await? {
            Some(workload) => Ok(workload),
            None => Err(self.not_found(kind, &api, name).await),
        }
    }

    fn here<K>(&self) -> Api<K>
    where
        K: Object + kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn owned(pods: Vec<Pod>, owners: &BTreeSet<String>) -> Vec<Pod> {
    let mut pods = pods;
    pods.retain(|pod| is_owned(pod.owner_references(), owners));
    pods
}

/// The API server takes no workload whose selector is none; ownership decides in any case.
fn fits(selector: Option<&LabelSelector>) -> ListParams {
    let selector = selector.and_then(|selector| Selector::try_from(selector.clone()).ok());
    selector.map_or_else(ListParams::default, |selector| {
        ListParams::default().labels_from(&selector)
    })
}
