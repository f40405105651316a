//! New rules for an experiment that runs: names and a service's ports in them are looked up as at its beginning, for
//! the pods that it has.

use std::collections::{BTreeMap, BTreeSet};

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{Experiment, PodsSelector, PrepareRequest, Rule};

use super::ports::{ServicePorts, Translated, lacks_port, without_service};
use super::scene::ruled;
use super::{Cluster, Draft, Held, Mode, Point, ResolveError, Scene, Selection};

/// Parts of an experiment, with their nodes.
pub type Parts<'a> = [(&'a str, &'a Experiment)];

/// What an experiment points at in a cluster, and in which namespace; nothing where that is something of one host.
pub fn pointed_at(parts: &Parts<'_>) -> Option<(Point, String)> {
    let pods: Vec<_> = parts.iter().filter_map(|(_, part)| pods(part)).collect();
    let Some(first) = pods.first() else {
        let is_node = |part: &Experiment| {
            let at = part
                .selector
                .as_ref()
                .and_then(|selector| selector.r#where.as_ref());
            matches!(at, Some(Where::Node(_)))
        };
        let nodes: BTreeSet<_> = parts.iter().map(|(node, _)| (*node).to_owned()).collect();
        let are_nodes = parts
            .iter()
            .all(|(node, part)| !node.is_empty() && is_node(part));
        return (are_nodes && !parts.is_empty())
            .then(|| (Point::Nodes(nodes.into_iter().collect()), String::new()));
    };
    let Some(origin) = &first.origin else {
        let all = pods.iter().flat_map(|pods| &pods.pods);
        let names: BTreeSet<_> = all.map(|pod| pod.name.clone()).collect();
        let namespace = first.pods.first().map(|pod| pod.namespace.clone());
        return Some((
            Point::Pods(names.into_iter().collect()),
            namespace.unwrap_or_default(),
        ));
    };
    let name = origin.name.clone();
    let point = match origin.kind.as_str() {
        "Service" => Point::Service(name),
        "Deployment" => Point::Deployment(name),
        "StatefulSet" => Point::StatefulSet(name),
        "DaemonSet" => Point::DaemonSet(name),
        _ => Point::Labels(name),
    };
    Some((point, origin.namespace.clone()))
}

fn pods(part: &Experiment) -> Option<&PodsSelector> {
    match part.selector.as_ref()?.r#where.as_ref()? {
        Where::Pods(pods) => Some(pods),
        Where::Service(_) | Where::Netns(_) | Where::Pid(_) | Where::Cgroup(_) | Where::Node(_) => {
            None
        }
    }
}

impl Point {
    /// Whether an experiment that points there is about this. Of what was named one by one some may have gone since.
    pub fn covers(&self, there: &Self) -> bool {
        let has_all =
            |names: &[String], there: &[String]| there.iter().all(|name| names.contains(name));
        match (self, there) {
            (Self::Pods(names), Self::Pods(there)) | (Self::Nodes(names), Self::Nodes(there)) => {
                has_all(names, there)
            }
            // Which nodes they were chosen from is not kept.
            (Self::NodeLabels(_), Self::Nodes(_)) => true,
            (one, other) => one == other,
        }
    }
}

impl Scene {
    /// What an experiment points at, with other rules.
    pub fn of_running(
        mut cluster: Cluster,
        point: Point,
        namespace: &str,
        drafts: Vec<Draft>,
    ) -> Self {
        if !namespace.is_empty() {
            namespace.clone_into(&mut cluster.namespace);
        }
        let selection = Selection {
            point,
            container: None,
            mode: Mode::default(),
            interface: String::new(),
            follow: false,
        };
        Self::new(cluster, selection, drafts, PrepareRequest::default())
    }

    /// The rules for each of these parts.
    pub async fn rules(&self, parts: &Parts<'_>) -> Result<Vec<Vec<Rule>>, ResolveError> {
        let (translated, peers) = tokio::try_join!(
            self.translated(parts),
            self.cluster.peers(&self.drafts, true)
        )?;
        let of_part = translated.iter().map(|ports| {
            let drafts = self.drafts.iter().zip(ports);
            let rules = drafts.map(|(draft, ports)| ruled(peers.apply(draft), ports.as_ref()));
            rules.collect()
        });
        Ok(of_part.collect())
    }

    /// What the service's ports are in the pods of each part.
    async fn translated(&self, parts: &Parts<'_>) -> Result<Vec<Translated>, ResolveError> {
        let untranslated = || vec![vec![None; self.drafts.len()]; parts.len()];
        let has_ports = |draft: &Draft| {
            let filter = draft.rule.filter.as_ref();
            !draft.names.ports.is_empty()
                || filter.is_some_and(|filter| !filter.ports.is_empty())
                || lacks_port(draft)
        };
        let Point::Service(name) = &self.selection.point else {
            without_service(&self.drafts)?;
            return Ok(untranslated());
        };
        if !self.drafts.iter().any(has_ports) {
            return Ok(untranslated());
        }
        let cluster = &self.cluster;
        let endpoints = cluster.endpoints(name, &cluster.namespace).await?;
        let asked = ServicePorts::new(&endpoints.service, &self.drafts)?;
        let uids = |part: &Experiment| -> BTreeSet<String> {
            let pods = pods(part).map_or(&[][..], |pods| &pods.pods);
            pods.iter().map(|pod| pod.uid.clone()).collect()
        };
        let held: Held = parts.iter().flat_map(|(_, part)| uids(part)).collect();
        let mut found = cluster.of_service(&endpoints, &held).await?;
        found.pods.retain(|pod| held.contains(&pod.uid));
        let pods = asked.in_pods(found.pods, &mut found.notes)?;
        let pods: BTreeMap<_, _> = pods
            .into_iter()
            .map(|(pod, ports)| (pod.uid, ports))
            .collect();
        let of_part = parts.iter().map(|(node, part)| {
            let known: BTreeSet<_> = uids(part).iter().filter_map(|uid| pods.get(uid)).collect();
            let mut known = known.into_iter();
            let (service, node) = (name.clone(), (*node).to_owned());
            match (known.next(), known.next()) {
                (Some(only), None) => Ok(only.clone()),
                (None, _) => Err(ResolveError::NoneLeft { service, node }),
                (Some(_), Some(_)) => Err(ResolveError::PortsDiffer { service, node }),
            }
        });
        of_part.collect()
    }
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::{NodeSelector, Origin, Pod, Selector};

    use super::*;

    fn part(at: Where) -> Experiment {
        Experiment {
            selector: Some(Selector {
                r#where: Some(at),
                ..Selector::default()
            }),
            ..Experiment::default()
        }
    }

    fn of_pod(name: &str, origin: Option<Origin>) -> Experiment {
        part(Where::Pods(PodsSelector {
            pods: vec![Pod {
                name: name.to_owned(),
                namespace: "shop".to_owned(),
                uid: name.to_owned(),
            }],
            origin,
            ..PodsSelector::default()
        }))
    }

    #[test]
    fn what_an_experiment_points_at_is_known_from_its_parts() {
        let origin = |kind: &str| {
            Some(Origin {
                kind: kind.to_owned(),
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
                ..Origin::default()
            })
        };
        let web = "web".to_owned();
        for (kind, point) in [
            ("Service", Point::Service(web.clone())),
            ("Deployment", Point::Deployment(web.clone())),
            ("Pod", Point::Labels(web)),
        ] {
            let one = of_pod("a", origin(kind));
            let known = pointed_at(&[("node", &one)]);
            assert_eq!(known, Some((point, "shop".to_owned())));
        }
        let (one, other) = (of_pod("a", None), of_pod("b", None));
        let (point, _) = pointed_at(&[("n", &one), ("m", &other)]).unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(point, Point::Pods(names(&["a", "b"])));
        assert!(Point::Pods(names(&["a", "b", "c"])).covers(&point));
        assert!(!Point::Pods(names(&["a"])).covers(&point));
        let node = part(Where::Node(NodeSelector {}));
        let (point, _) = pointed_at(&[("n", &node)]).unwrap();
        assert!(Point::NodeLabels("a=b".to_owned()).covers(&point));
        assert!(!Point::Service("n".to_owned()).covers(&point));
        assert_eq!(
            pointed_at(&[("", &part(Where::Netns("x".to_owned())))]),
            None
        );
    }
}
