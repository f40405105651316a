//! Pods of this node, as control resolved them and as the kubelet named their cgroups.

use core::net::IpAddr;

use super::error::SpecError;

/// Most pods of one experiment on one node.
const MOST_PODS: usize = 1024;
/// Longest UID, name of a container, or id of one: all are part of a directory's name.
const LONGEST: usize = 128;

/// Longest label selector.
const LONGEST_LABELS: usize = 1024;
/// Kinds of what pods are chosen from; a `Pod` is named by its labels.
const ORIGINS: [&str; 5] = [
    Origin::SERVICE,
    Origin::LABELS,
    "Deployment",
    "StatefulSet",
    "DaemonSet",
];

/// Pods, and what was said about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pods {
    /// Which.
    pub pods: Vec<Pod>,
    /// What they were chosen from; nothing where they were named one by one.
    pub origin: Option<Origin>,
    /// Only the packets of this container's sockets.
    pub container: Option<String>,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID, as in its metadata.
    pub uid: String,
    /// Where the kubelet made it of a file: its metadata is a mirror's.
    pub of_file: Option<StaticPod>,
    /// Ids of the container that was asked for, with or without the runtime's name in front (`containerd://`); empty
    /// where nobody knows them, or the whole pod is meant.
    pub container_ids: Vec<String>,
    /// Which network the API server says it is on; nothing where nobody asked.
    pub network: Option<PodNetwork>,
}

/// The network of a pod, by its specification and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodNetwork {
    /// That of its node.
    Node,
    /// One of its own, where it has these addresses.
    Own(Vec<IpAddr>),
}

/// By what the kubelet knows a pod that it made of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticPod {
    /// What stands for the UID in the name of its cgroup.
    pub hash: String,
    /// Its containers, as the kubelet says: one of them must be there.
    pub container_ids: Vec<String>,
}

/// What pods were chosen from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Kind, such as `Service`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name, or a label selector.
    pub name: String,
    /// How many of its pods are ready, on all nodes.
    pub ready: u32,
    /// How many of those the experiment has chosen, on all nodes.
    pub chosen: u32,
}

impl Pods {
    /// Checks what the types do not.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.pods.is_empty() || self.pods.len() > MOST_PODS {
            return Err(SpecError::PodCount {
                count: self.pods.len(),
                most: MOST_PODS,
            });
        }
        let container = self.container.iter().map(|name| ("container", name));
        let each: Result<(), SpecError> = container
            .map(|(what, text)| is_plain(what, text))
            .chain(self.pods.iter().map(Pod::check))
            .collect();
        each?;
        self.origin
            .iter()
            .try_for_each(|origin| origin.check(&self.pods))
    }
}

impl Origin {
    /// Kind of a service.
    pub const SERVICE: &str = "Service";
    const LABELS: &str = "Pod";

    /// Whether both were chosen from the same.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.kind, &self.namespace, &self.name) == (&other.kind, &other.namespace, &other.name)
    }

    fn check(&self, pods: &[Pod]) -> Result<(), SpecError> {
        if !ORIGINS.contains(&self.kind.as_str()) {
            return Err(SpecError::OriginKind {
                given: self.kind.clone(),
                known: ORIGINS.join(", "),
            });
        }
        if let Some(pod) = pods.iter().find(|pod| pod.namespace != self.namespace) {
            return Err(SpecError::OriginElsewhere {
                pods: pod.namespace.clone(),
                origin: self.namespace.clone(),
            });
        }
        let what = "name of what pods are chosen from";
        if self.kind != Self::LABELS {
            return is_plain(what, &self.name);
        }
        let is_of_labels = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if self.name.len() <= LONGEST_LABELS && self.name.bytes().all(is_of_labels) {
            Ok(())
        } else {
            Err(SpecError::PodName {
                what: "label selector",
                given: self.name.clone(),
            })
        }
    }
}

impl Pod {
    /// As people write it.
    pub fn words(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The UIDs by which its cgroup may be named.
    pub fn uids(&self) -> impl Iterator<Item = &str> {
        let of_file = self.of_file.iter().map(|file| file.hash.as_str());
        [self.uid.as_str()].into_iter().chain(of_file)
    }

    /// The ids alone, without the runtime's name.
    pub fn bare_container_ids(&self) -> impl Iterator<Item = &str> {
        bare(&self.container_ids)
    }

    fn check(&self) -> Result<(), SpecError> {
        is_plain("namespace of a pod", &self.namespace)?;
        is_plain("name of a pod", &self.name)?;
        self.uids().try_for_each(|uid| is_plain("UID", uid))?;
        self.bare_container_ids()
            .try_for_each(|id| is_plain("id of a container", id))
    }
}

impl StaticPod {
    /// The ids alone, without the runtime's name.
    pub fn bare_container_ids(&self) -> impl Iterator<Item = &str> {
        bare(&self.container_ids)
    }
}

fn bare(ids: &[String]) -> impl Iterator<Item = &str> {
    ids.iter()
        .map(|id| id.split_once("://").map_or(id.as_str(), |(_, bare)| bare))
}

/// What Kubernetes names are made of; also of UIDs, which become part of a path.
fn is_plain(what: &'static str, text: &str) -> Result<(), SpecError> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric();
    let longest = if what.starts_with("name") {
        253
    } else {
        LONGEST
    };
    let fits = text.len() <= longest
        && text.bytes().next().is_some_and(is_letter)
        && text
            .bytes()
            .all(|byte| is_letter(byte) || matches!(byte, b'-' | b'.' | b'_'));
    if fits {
        Ok(())
    } else {
        Err(SpecError::PodName {
            what,
            given: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(uid: &str) -> Pods {
        Pods {
            pods: vec![Pod {
                namespace: "default".into(),
                name: "provider-1".into(),
                uid: uid.into(),
                of_file: None,
                container_ids: vec!["containerd://abc".into()],
                network: None,
            }],
            origin: None,
            container: None,
        }
    }

    #[test]
    fn what_becomes_part_of_a_path_is_plain() {
        assert_eq!(pods("0d3f9c1e-6a1b-4c1e-9d2f-0a1b2c3d4e5f").check(), Ok(()));
        for uid in ["", "..", "a/b", "-", "a b", &"a".repeat(129)] {
            let error = pods(uid).check().unwrap_err();
            assert!(error.to_string().contains("UID"), "{uid}: {error}");
        }
    }

    #[test]
    fn one_to_many() {
        let mut none = pods("a");
        none.pods.clear();
        assert!(matches!(
            none.check(),
            Err(SpecError::PodCount { count: 0, .. })
        ));
        let mut many = pods("a");
        many.pods = vec![many.pods[0].clone(); MOST_PODS + 1];
        assert!(many.check().is_err());
        let mut nameless = pods("a");
        nameless.container = Some(String::new());
        assert!(nameless.check().is_err());
    }

    #[test]
    fn what_pods_are_chosen_from_is_one_of_five_and_where_they_are() {
        let of = |kind: &str, namespace: &str, name: &str| {
            let mut pods = pods("a");
            pods.origin = Some(Origin {
                kind: kind.into(),
                namespace: namespace.into(),
                name: name.into(),
                ready: 5,
                chosen: 1,
            });
            pods.check()
        };
        for (kind, name) in [
            ("Service", "provider"),
            ("DaemonSet", "provider"),
            ("Pod", "app in (a, b),!old"),
        ] {
            assert_eq!(of(kind, "default", name), Ok(()));
        }
        for (kind, namespace, name, word) in [
            ("service", "default", "provider", "\"service\""),
            ("", "default", "provider", "Service, Pod"),
            ("Service", "other", "provider", "namespace \"other\""),
            ("Service", "default", "a\nb", "chosen from"),
            ("Pod", "default", "app=a\n", "label selector"),
        ] {
            let error = of(kind, namespace, name).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn the_runtimes_name_is_no_part_of_an_id() {
        let pods = pods("a");
        assert_eq!(
            pods.pods[0].bare_container_ids().collect::<Vec<_>>(),
            ["abc"]
        );
    }
}
