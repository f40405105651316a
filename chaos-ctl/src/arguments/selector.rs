//! Selectors: where a fault applies.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{NodeSelector, Selector, ServiceSelector};
use clap::Args;

use super::choice::ChoiceArgs;
use crate::cluster::Point;
use crate::error::{CommandError, ErrorKind};
use crate::quantity::is_name;
use crate::way::Need;

/// Where.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Selector: where (exactly one, of a cluster or of one host)")]
pub struct SelectorArgs {
    /// What to point at.
    #[command(flatten)]
    pub point: PointArgs,

    /// File that lists services and their endpoints (YAML), for --svc on one host [default: the inventory of the agent]
    ///
    /// services:
    ///   - name: provider
    ///     endpoints:
    ///       - { name: provider-1, netns: provider-1 }   # or pid: 4711, or cgroup: DIR
    #[arg(long, value_name = "FILE", conflicts_with_all = ["netns", "pid", "cgroup", "node", "pod", "selector", "deployment", "statefulset", "daemonset", "node_selector"], verbatim_doc_comment)]
    pub inventory: Option<PathBuf>,

    /// Interface of the target [default: the one of its default route, or its only one; of the node, each one that has
    /// a default route]
    #[arg(long, value_name = "IF")]
    pub interface: Option<String>,

    /// Which of it.
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

/// What to point at: exactly one.
#[derive(Debug, Default, Args)]
#[group(id = "where", required = true, multiple = false)]
pub struct PointArgs {
    /// A service: in a cluster its ready endpoints, on one host those of an inventory
    ///
    /// All packets of these pods are matched, whether they go by the service or not: with --port only those of the
    /// service's port, and with other filters those that they say. What goes from a client to the service is matched at
    /// the pods, not at the client; the answers of the pods are egress, what arrives there is ingress, and --direction
    /// says which it is.
    #[arg(long, value_name = "NAME")]
    pub svc: Option<String>,

    /// Pods by their names; may be repeated
    #[arg(
        long,
        value_name = "NAME[,NAME]",
        value_delimiter = ',',
        group = "where"
    )]
    pub pod: Vec<String>,

    /// Ready pods by their labels, such as app=web or 'app in (web,api),tier!=test'
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,

    /// The ready pods of a Deployment
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,

    /// The ready pods of a StatefulSet
    #[arg(long, value_name = "NAME")]
    pub statefulset: Option<String>,

    /// The ready pods of a DaemonSet
    #[arg(long, value_name = "NAME")]
    pub daemonset: Option<String>,

    /// Nodes by their labels: whatever goes through their uplinks
    #[arg(long, value_name = "LABELS")]
    pub node_selector: Option<String>,

    /// A network namespace of this host: its name under /run/netns, or a path
    #[arg(long, value_name = "NAME_OR_PATH")]
    pub netns: Option<PathBuf>,

    /// A process of this host: its network namespace is the target, or on the host's network the sockets of its cgroup
    #[arg(long, value_name = "PID", value_parser = pid, allow_hyphen_values = true)]
    pub pid: Option<NonZeroU32>,

    /// A cgroup directory: the network namespaces of its processes are the targets, or on the host's network its
    /// sockets
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// The host that the agent runs on: whatever goes through its uplinks; with names, these nodes of a cluster
    ///
    /// Your own connection to it, too: `chaos-daemon --protect :22` spares what must not break.
    #[arg(
        long,
        value_name = "NAME[,NAME]",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_delimiter = ','
    )]
    pub node: Vec<String>,
}

/// A selector that cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// Something that only a cluster has, and one host.
    #[error(
        "{option} is for a cluster, and this goes to one host: leave it out, or give --context"
    )]
    ClusterOnly {
        /// The option.
        option: &'static str,
    },
    /// A name that nothing in a cluster can have.
    #[error(
        "{option} `{value}` is not a name: give small letters, digits, `-` and `.`, as `kubectl get` shows names"
    )]
    NotAName {
        /// The option.
        option: &'static str,
        /// As written.
        value: String,
    },
    /// Labels that are not there would be those of all.
    #[error("{option} has no labels, which would mean all of them: give some, such as app=web")]
    NoLabels {
        /// The option.
        option: &'static str,
    },
    /// A namespace beside something that is in none.
    #[error("{selector} is in no namespace of Kubernetes: leave out --namespace")]
    NoNamespace {
        /// The selector's option.
        selector: &'static str,
    },
    /// Something that nodes do not have.
    #[error("{option} is of pods, and nodes have none: leave it out")]
    NotOfNodes {
        /// The option.
        option: &'static str,
    },
    /// The inventory file cannot be read.
    #[error("cannot read the inventory {}: {source}", path.display())]
    Inventory {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The inventory file has no content.
    #[error("the inventory {} is empty: list at least one service", path.display())]
    EmptyInventory {
        /// The file.
        path: PathBuf,
    },
    /// A path that is not text.
    #[error("the path {} cannot be sent: it is not UTF-8", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// A path that cannot be made absolute.
    #[error("cannot make the path {} absolute: {source}", path.display())]
    NotAbsolute {
        /// The path as written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl From<SelectorError> for CommandError {
    fn from(error: SelectorError) -> Self {
        Self::new(ErrorKind::Usage, error)
    }
}

/// A process id that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("process id `{value}` {}: give a whole number above 0, such as 4711", if value.starts_with('-') { "is negative" } else { "is not one" })]
struct InvalidPid {
    value: String,
}

fn pid(text: &str) -> Result<NonZeroU32, InvalidPid> {
    text.parse().map_err(|_| InvalidPid {
        value: text.to_owned(),
    })
}

impl SelectorArgs {
    /// Where it can be looked up.
    pub fn need(&self) -> Need {
        match self.host_only() {
            Some(selector) => Need::Host(selector),
            None if self.point.svc.is_some() => Need::Any,
            None => Need::Cluster,
        }
    }

    /// What only one host has.
    fn host_only(&self) -> Option<&'static str> {
        let all = [
            (self.point.netns.is_some(), "--netns"),
            (self.point.pid.is_some(), "--pid"),
            (self.point.cgroup.is_some(), "--cgroup"),
            (self.is_this_host(), "--node without a name"),
            (self.inventory.is_some(), "--inventory"),
        ];
        all.into_iter()
            .find_map(|(given, name)| given.then_some(name))
    }

    fn is_this_host(&self) -> bool {
        !self.point.node.is_empty() && self.point.node.iter().all(String::is_empty)
    }

    /// What to look up in a cluster.
    pub fn in_cluster(&self) -> Result<Point, SelectorError> {
        let of = &self.point;
        let point = if !of.pod.is_empty() {
            Point::Pods(of.pod.clone())
        } else if let Some(labels) = &of.selector {
            Point::Labels(labels.clone())
        } else if let Some(name) = &of.deployment {
            Point::Deployment(name.clone())
        } else if let Some(name) = &of.statefulset {
            Point::StatefulSet(name.clone())
        } else if let Some(name) = &of.daemonset {
            Point::DaemonSet(name.clone())
        } else if let Some(labels) = &of.node_selector {
            Point::NodeLabels(labels.clone())
        } else if !self.point.node.is_empty() {
            Point::Nodes(self.point.node.clone())
        } else {
            Point::Service(self.point.svc.clone().unwrap_or_default())
        };
        let of_pods = [
            (self.choice.container.is_some(), "--container"),
            (self.choice.include_probes, "--include-probes"),
        ];
        let of_pods = of_pods.into_iter().find(|(given, _)| *given);
        if let (Point::Nodes(_) | Point::NodeLabels(_), Some((_, option))) = (&point, of_pods) {
            return Err(SelectorError::NotOfNodes { option });
        }
        check(&point)?;
        if let Some(container) = &self.choice.container {
            name("--container", container)?;
        }
        Ok(point)
    }

    /// As the wire of one host's agent has it: paths absolute, the inventory as text.
    pub fn to_wire(&self, namespace: Option<&str>) -> Result<Selector, SelectorError> {
        if let Some(option) = self.choice.given() {
            return Err(SelectorError::ClusterOnly { option });
        }
        if let (None, Some(selector), Some(_)) = (&self.point.svc, self.host_only(), namespace) {
            return Err(SelectorError::NoNamespace { selector });
        }
        let point = &self.point;
        let r#where = if let Some(netns) = &point.netns {
            Where::Netns(match text(netns)? {
                name if !name.contains('/') => name.to_owned(),
                _ => absolute(netns)?,
            })
        } else if let Some(pid) = point.pid {
            Where::Pid(pid.get())
        } else if let Some(cgroup) = &point.cgroup {
            Where::Cgroup(absolute(cgroup)?)
        } else if self.is_this_host() {
            Where::Node(NodeSelector {})
        } else {
            Where::Service(ServiceSelector {
                name: point.svc.clone().unwrap_or_default(),
                namespace: namespace.unwrap_or_default().to_owned(),
                inventory: self
                    .inventory
                    .as_deref()
                    .map_or(Ok(String::new()), inventory)?,
                inventory_file: self
                    .inventory
                    .as_deref()
                    .map_or_else(String::new, |path| path.display().to_string()),
            })
        };
        Ok(Selector {
            interface: self.interface.clone().unwrap_or_default(),
            r#where: Some(r#where),
        })
    }
}

/// What is no name would be looked up at another address of the API server.
fn check(point: &Point) -> Result<(), SelectorError> {
    let labels = |option, text: &str| match text.trim() {
        "" => Err(SelectorError::NoLabels { option }),
        _ => Ok(()),
    };
    match point {
        Point::Service(text) => name("--svc", text),
        Point::Deployment(text) => name("--deployment", text),
        Point::StatefulSet(text) => name("--statefulset", text),
        Point::DaemonSet(text) => name("--daemonset", text),
        Point::Pods(names) => names.iter().try_for_each(|text| name("--pod", text)),
        Point::Nodes(names) => names.iter().try_for_each(|text| name("--node", text)),
        Point::Labels(text) => labels("--selector", text),
        Point::NodeLabels(text) => labels("--node-selector", text),
    }
}

fn name(option: &'static str, text: &str) -> Result<(), SelectorError> {
    if is_name(text) {
        return Ok(());
    }
    Err(SelectorError::NotAName {
        option,
        value: text.to_owned(),
    })
}

/// An empty text would mean the agent's own inventory on the wire, which is not what the user pointed at.
fn inventory(path: &Path) -> Result<String, SelectorError> {
    let text = std::fs::read_to_string(path).map_err(|source| SelectorError::Inventory {
        path: path.to_owned(),
        source,
    })?;
    if text.trim().is_empty() {
        return Err(SelectorError::EmptyInventory {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

fn absolute(path: &Path) -> Result<String, SelectorError> {
    let absolute = std::path::absolute(path).map_err(|source| SelectorError::NotAbsolute {
        path: path.to_owned(),
        source,
    })?;
    text(&absolute).map(str::to_owned)
}

fn text(path: &Path) -> Result<&str, SelectorError> {
    path.to_str().ok_or_else(|| SelectorError::NotText {
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointed(point: PointArgs) -> Result<Point, String> {
        let selector = SelectorArgs {
            point,
            ..SelectorArgs::default()
        };
        selector.in_cluster().map_err(|error| error.to_string())
    }

    fn service(name: &str) -> PointArgs {
        PointArgs {
            svc: Some(name.to_owned()),
            ..PointArgs::default()
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused_before_anything_is_asked() {
        for name in [
            "", "a b", "a/log", "..", "Web", "a?b", "-a", "svc/web", "a%2fb",
        ] {
            let error = pointed(service(name)).unwrap_err();
            let wanted = format!("--svc `{name}` is not a name: ");
            assert!(error.starts_with(&wanted), "{error}");
            let pod = PointArgs {
                pod: vec!["web-1".to_owned(), name.to_owned()],
                ..PointArgs::default()
            };
            assert!(pointed(pod).unwrap_err().starts_with("--pod `"));
        }
        let found = pointed(service("web.v2-1"));
        assert_eq!(found, Ok(Point::Service("web.v2-1".to_owned())));
    }

    #[test]
    fn no_labels_are_not_the_labels_of_all() {
        for text in ["", "  "] {
            let pods = PointArgs {
                selector: Some(text.to_owned()),
                ..PointArgs::default()
            };
            assert!(
                pointed(pods)
                    .unwrap_err()
                    .starts_with("--selector has no labels")
            );
        }
    }
}
