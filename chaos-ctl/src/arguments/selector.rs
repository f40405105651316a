//! Selectors: where a fault applies.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{NodeSelector, Selector, ServiceSelector};
use clap::Args;

use crate::error::{CommandError, ErrorKind};

/// Where.
#[derive(Debug, Default, Args)]
#[command(
    next_help_heading = "Selector: where (exactly one of --svc, --netns, --pid, --cgroup, --node)"
)]
pub struct SelectorArgs {
    /// What to point at.
    #[command(flatten)]
    pub point: PointArgs,

    /// Namespace of the service [default: default]
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with_all = ["netns", "pid", "cgroup", "node"])]
    pub namespace: Option<String>,

    /// File that lists services and their endpoints (YAML) [default: the inventory of the agent]
    ///
    /// services:
    ///   - name: provider
    ///     endpoints:
    ///       - { name: provider-1, netns: provider-1 }   # or pid: 4711, or cgroup: DIR
    #[arg(long, value_name = "FILE", conflicts_with_all = ["netns", "pid", "cgroup", "node"], verbatim_doc_comment)]
    pub inventory: Option<PathBuf>,

    /// Interface of the target [default: the one of its default route, or its only one; of the node, each one that has a
    /// default route]
    #[arg(long, value_name = "IF")]
    pub interface: Option<String>,
}

/// What to point at: exactly one.
#[derive(Debug, Default, Args)]
#[group(id = "where", required = true, multiple = false)]
pub struct PointArgs {
    /// A service: all its endpoints are targets
    #[arg(long, value_name = "NAME")]
    pub svc: Option<String>,

    /// A network namespace: its name under /run/netns, or a path
    #[arg(long, value_name = "NAME_OR_PATH")]
    pub netns: Option<PathBuf>,

    /// A process of this host: its network namespace is the target, or on the host's network the sockets of its cgroup
    #[arg(long, value_name = "PID", value_parser = pid, allow_hyphen_values = true)]
    pub pid: Option<NonZeroU32>,

    /// A cgroup directory: the network namespaces of its processes are the targets, or on the host's network its sockets
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// The host that the agent runs on: whatever goes through its uplinks
    ///
    /// Your own connection to it, too: `chaos-daemon --protect :22` spares what must not break.
    #[arg(long)]
    pub node: bool,
}

/// A selector that cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
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
    /// As the wire has it: paths absolute, the inventory as text.
    pub fn to_wire(&self) -> Result<Selector, SelectorError> {
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
        } else if point.node {
            Where::Node(NodeSelector {})
        } else {
            Where::Service(ServiceSelector {
                name: point.svc.clone().unwrap_or_default(),
                namespace: self.namespace.clone().unwrap_or_default(),
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
