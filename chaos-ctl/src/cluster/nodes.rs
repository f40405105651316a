//! Nodes by their names and labels.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::pods::labels;
use super::{Cluster, ResolveError};

impl Cluster {
    fn all_nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// Names of nodes, all of which must be there.
    pub(super) async fn nodes_by_names(
        &self,
        names: &[String],
    ) -> Result<BTreeSet<String>, ResolveError> {
        for name in names {
            self.node(name).await?;
        }
        Ok(names.iter().cloned().collect())
    }

    /// One node.
    pub(super) async fn node(&self, name: &str) -> Result<Node, ResolveError> {
        let api = self.all_nodes();
        match self.get(&api, name).await? {
            Some(node) => Ok(node),
            None => Err(self.not_found("node", &api, name).await),
        }
    }

    /// Names of nodes by a label selector as it was written.
    pub(super) async fn nodes_by_labels(
        &self,
        selector: &str,
    ) -> Result<BTreeSet<String>, ResolveError> {
        let fits = ListParams::default().labels(selector);
        let all = self.all_nodes();
        let found = self.list(&all, fits).await;
        let found = found.map_err(|error| labels(selector, error))?;
        if found.is_empty() {
            return Err(self.no_labels("node", &all, selector).await);
        }
        Ok(found.iter().map(Node::name_any).collect())
    }
}

/// All addresses of a node.
pub(super) fn addresses(node: &Node) -> BTreeSet<String> {
    let all = node
        .status
        .iter()
        .flat_map(|status| status.addresses.iter().flatten());
    all.filter(|address| matches!(address.type_.as_str(), "InternalIP" | "ExternalIP"))
        .map(|address| address.address.clone())
        .collect()
}
