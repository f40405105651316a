//! Pods: from messages and back.

use std::collections::BTreeSet;

use chaos_proto::v1;

use super::wire::{RequestError, non_empty};
use crate::engine::{Origin, Pod, Pods};

/// What a selector of pods says.
pub(super) fn read(pods: v1::PodsSelector) -> Result<Pods, RequestError> {
    let origin = |origin: v1::Origin| Origin {
        kind: origin.kind,
        namespace: origin.namespace,
        name: origin.name,
        ready: origin.ready,
        chosen: origin.chosen,
    };
    let mut each = Vec::with_capacity(pods.pods.len());
    let mut seen = BTreeSet::new();
    for pod in pods.pods {
        // Named twice is named.
        if seen.insert((pod.namespace.clone(), pod.name.clone(), pod.uid.clone())) {
            each.push(read_one(pod)?);
        }
    }
    Ok(Pods {
        pods: each,
        origin: pods.origin.map(origin),
        container: non_empty(pods.container),
    })
}

fn read_one(pod: v1::Pod) -> Result<Pod, RequestError> {
    let given = |text, what| non_empty(text).ok_or(RequestError::Missing(what));
    Ok(Pod {
        namespace: given(pod.namespace, "namespace of a pod")?,
        name: given(pod.name, "name of a pod")?,
        uid: given(pod.uid, "UID of a pod")?,
        of_file: None,
        container_ids: Vec::new(),
        network: None,
    })
}

pub(super) fn write(pods: &Pods) -> v1::PodsSelector {
    let origin = |origin: &Origin| v1::Origin {
        kind: origin.kind.clone(),
        namespace: origin.namespace.clone(),
        name: origin.name.clone(),
        ready: origin.ready,
        chosen: origin.chosen,
    };
    v1::PodsSelector {
        pods: pods.pods.iter().map(write_one).collect(),
        origin: pods.origin.as_ref().map(origin),
        container: pods.container.clone().unwrap_or_default(),
    }
}

pub(super) fn write_one(pod: &Pod) -> v1::Pod {
    v1::Pod {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        let wire = v1::PodsSelector {
            pods: vec![v1::Pod {
                namespace: "default".into(),
                name: "provider-1".into(),
                uid: "0d3f9c1e".into(),
            }],
            origin: Some(v1::Origin {
                kind: "Service".into(),
                namespace: "default".into(),
                name: "provider".into(),
                ready: 5,
                chosen: 2,
            }),
            container: "app".into(),
        };
        assert_eq!(write(&read(wire.clone()).unwrap()), wire);
        let mut twice = wire.clone();
        twice.pods.extend(wire.pods.clone());
        assert_eq!(write(&read(twice).unwrap()), wire);
    }

    #[test]
    fn a_pod_without_its_uid_is_refused() {
        let pods = v1::PodsSelector {
            pods: vec![v1::Pod {
                namespace: "default".into(),
                name: "provider-1".into(),
                uid: String::new(),
            }],
            ..v1::PodsSelector::default()
        };
        assert_eq!(read(pods), Err(RequestError::Missing("UID of a pod")));
    }
}
