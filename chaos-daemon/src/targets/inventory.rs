//! Services and their endpoints from a file, for hosts without Kubernetes.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{TargetError, Workload, cgroup, named, process};

/// An inventory file's content.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    services: Vec<Service>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    name: String,
    #[serde(default = "default_namespace")]
    namespace: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    name: String,
    netns: Option<String>,
    pid: Option<u32>,
    cgroup: Option<String>,
}

/// Why an inventory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The file cannot be read.
    #[error("cannot read the inventory {path}: {source}")]
    Read {
        /// Where.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// It is no inventory.
    #[error("the inventory {file} is not valid: {}", one_line(error))]
    Parse {
        /// Name of the file.
        file: String,
        /// Where and why.
        error: Box<serde_saphyr::Error>,
    },
    /// An endpoint without a place, or with several.
    #[error(
        "the inventory {file} is not valid: endpoint {endpoint} of service {service} needs exactly one of netns, pid and cgroup"
    )]
    Endpoint {
        /// Name of the file.
        file: String,
        /// Name of the service.
        service: String,
        /// Name of the endpoint.
        endpoint: String,
    },
    /// Two services that nobody could tell apart.
    #[error(
        "the inventory {file} lists service {name} of namespace {namespace} twice: list all its endpoints in one place"
    )]
    SameService {
        /// Name of the file.
        file: String,
        /// Name of both.
        name: String,
        /// Namespace of both.
        namespace: String,
    },
    /// Two endpoints that nobody could tell apart.
    #[error("the inventory {file} lists endpoint {endpoint} of service {service} twice")]
    SameEndpoint {
        /// Name of the file.
        file: String,
        /// Name of the service.
        service: String,
        /// Name of both.
        endpoint: String,
    },
}

/// The parser's error with line and column, and without the lines around it.
fn one_line(error: &serde_saphyr::Error) -> String {
    let options = serde_saphyr::render_options! { snippets: serde_saphyr::SnippetMode::Off };
    let text = error.render_with_options(options);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where Kubernetes puts what has no namespace.
const DEFAULT_NAMESPACE: &str = "default";
/// One name is suggested for another when at most one in so many characters is wrong, or one altogether.
const RIGHT_FOR_EACH_WRONG: usize = 3;

fn default_namespace() -> String {
    DEFAULT_NAMESPACE.to_owned()
}

impl Inventory {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, InventoryError> {
        let text = fs::read_to_string(path).map_err(|source| InventoryError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads text; `file` is what errors call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, InventoryError> {
        let inventory: Self =
            serde_saphyr::from_str(text).map_err(|error| InventoryError::Parse {
                file: file.to_owned(),
                error: Box::new(error),
            })?;
        let mut names = HashSet::new();
        for service in &inventory.services {
            if !names.insert((&service.name, &service.namespace)) {
                return Err(InventoryError::SameService {
                    file: file.to_owned(),
                    name: service.name.clone(),
                    namespace: service.namespace.clone(),
                });
            }
            service.check(file)?;
        }
        Ok(inventory)
    }

    pub(super) fn workloads(
        &self,
        name: &str,
        namespace: &str,
    ) -> Result<Vec<Workload>, TargetError> {
        let service = self
            .services
            .iter()
            .find(|service| service.name == name && service.namespace == namespace)
            .ok_or_else(|| TargetError::NoService {
                name: name.to_owned(),
                namespace: namespace.to_owned(),
                hint: self.hint(name, namespace),
            })?;
        if service.endpoints.is_empty() {
            return Err(TargetError::NoEndpoints {
                name: name.to_owned(),
                namespace: namespace.to_owned(),
            });
        }
        let mut workloads = Vec::new();
        for endpoint in &service.endpoints {
            match endpoint {
                Endpoint {
                    name,
                    netns: Some(netns),
                    ..
                } => workloads.push(named(name, netns)?),
                Endpoint {
                    name,
                    pid: Some(pid),
                    ..
                } => workloads.push(process(name, *pid)?),
                Endpoint {
                    name,
                    cgroup: Some(path),
                    ..
                } => {
                    workloads.extend(cgroup::workloads(name, Path::new(path))?);
                }
                Endpoint { .. } => {}
            }
        }
        Ok(workloads)
    }

    fn hint(&self, name: &str, namespace: &str) -> String {
        if let Some(elsewhere) = self.services.iter().find(|service| service.name == name) {
            return format!(
                "; there is one in namespace {}: use -n {0}",
                elsewhere.namespace
            );
        }
        let here = self
            .services
            .iter()
            .filter(|service| service.namespace == namespace);
        let nearest = here
            .map(|service| {
                (
                    strsim::damerau_levenshtein(&service.name, name),
                    &service.name,
                )
            })
            .min();
        match nearest {
            Some((distance, near)) if is_near(distance, name) => {
                format!("; did you mean {near}?")
            }
            _ if self.services.is_empty() => "; it has no services at all".to_owned(),
            _ => {
                let names: Vec<&str> = self
                    .services
                    .iter()
                    .map(|service| service.name.as_str())
                    .collect();
                format!("; it has {}", names.join(", "))
            }
        }
    }
}

impl Service {
    fn check(&self, file: &str) -> Result<(), InventoryError> {
        let mut names = HashSet::new();
        for Endpoint {
            name,
            netns,
            pid,
            cgroup,
        } in &self.endpoints
        {
            let places = [netns.is_some(), pid.is_some(), cgroup.is_some()];
            if places.iter().filter(|&&given| given).count() != 1 {
                return Err(InventoryError::Endpoint {
                    file: file.to_owned(),
                    service: self.name.clone(),
                    endpoint: name.clone(),
                });
            }
            if !names.insert(name) {
                return Err(InventoryError::SameEndpoint {
                    file: file.to_owned(),
                    service: self.name.clone(),
                    endpoint: name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Whether a name at this distance may have been meant by `asked`.
fn is_near(distance: usize, asked: &str) -> bool {
    distance <= (asked.chars().count() / RIGHT_FOR_EACH_WRONG).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "services:
  - name: provider-chaos-service
    namespace: default
    endpoints:
      - { name: provider-1, netns: provider-1 }
  - name: empty
";

    fn sentence(name: &str, namespace: &str) -> String {
        let inventory = Inventory::parse("services.yaml", TEXT).unwrap();
        match inventory.workloads(name, namespace) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    fn refusal(text: &str) -> String {
        let refused = Inventory::parse("services.yaml", text);
        refused.unwrap_err().to_string()
    }

    #[test]
    fn near_miss_is_suggested() {
        assert!(
            sentence("provider-chaos-servcie", "default")
                .contains("did you mean provider-chaos-service?")
        );
        assert!(sentence("provider-chaos-service", "prod").contains("use -n default"));
        assert!(sentence("frontend", "default").contains("it has provider-chaos-service, empty"));
    }

    #[test]
    fn short_name_is_not_taken_for_another() {
        for (distance, asked, near) in [
            (1, "db", true),
            (3, "web", false),
            (2, "web", false),
            (1, "web", true),
            (2, "front", false),
            (3, "frontends", true),
        ] {
            assert_eq!(is_near(distance, asked), near, "{distance} in {asked}");
        }
    }

    #[test]
    fn twins_are_refused() {
        let web = "{ name: web, endpoints: [{ name: a, pid: 4 }] }";
        assert_eq!(
            refusal(&format!("services: [{web}, {web}]")),
            "the inventory services.yaml lists service web of namespace default twice: \
             list all its endpoints in one place"
        );
        let elsewhere = "{ name: web, namespace: shop }";
        let text = format!("services: [{web}, {elsewhere}]");
        assert!(Inventory::parse("services.yaml", &text).is_ok());
        let text =
            "services: [{ name: web, endpoints: [{ name: a, pid: 4 }, { name: a, pid: 5 }] }]";
        assert_eq!(
            refusal(text),
            "the inventory services.yaml lists endpoint a of service web twice"
        );
    }

    #[test]
    fn service_without_endpoints_is_an_error() {
        assert!(sentence("empty", "default").contains("has no endpoints"));
    }

    #[test]
    fn endpoint_needs_exactly_one_place() {
        for place in ["", ", netns: a, pid: 4"] {
            let text = format!("services: [{{ name: s, endpoints: [{{ name: e{place} }}] }}]");
            assert!(
                matches!(
                    Inventory::parse("services.yaml", &text),
                    Err(InventoryError::Endpoint { .. })
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn typing_mistakes_are_not_ignored() {
        assert_eq!(
            refusal("services:\n  - nam: web\n"),
            "the inventory services.yaml is not valid: \
             unknown field `nam`, expected one of name, namespace, endpoints at line 2, column 5"
        );
    }
}
