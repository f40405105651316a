//! The schema of an experiment file: documented in docs/experiment.md. Its values are read as the options of the same
//! name are; knows nothing about how the experiment is run.

mod node;
mod words;

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_saphyr::Error as YamlError;

pub(in crate::commands) use words::{in_words, instead_of};

use super::Described;
use crate::arguments::{
    Base, ChoiceArgs, FaultArgs, FaultError, FileTiming, FilterArgs, NoFiles, PointArgs,
    SelectorArgs, rule, text,
};
use crate::cluster::{Draft, Mode};
use crate::commands::corrupt::CorruptFault;
use crate::commands::delay::DelayFault;
use crate::commands::dns::DnsFault;
use crate::commands::duplicate::DuplicateFault;
use crate::commands::grpc::GrpcFault;
use crate::commands::http::HttpFault;
use crate::commands::loss::LossFault;
use crate::commands::partition::PartitionFault;
use crate::commands::rate::RateFault;
use crate::commands::reorder::ReorderFault;
use crate::commands::reset::ResetFault;
use crate::commands::rewrite::RewriteFault;
use crate::error::{CommandError, ErrorKind};
use crate::quantity::Pulse;

/// What to do where no inventory is read.
const INSTEAD: &str = "leave it out, and the agent's own is asked";

/// One experiment.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::commands) struct ExperimentFile {
    service: Option<String>,
    #[serde(deserialize_with = "text::words")]
    pod: Vec<String>,
    selector: Option<String>,
    deployment: Option<String>,
    statefulset: Option<String>,
    daemonset: Option<String>,
    node_selector: Option<String>,
    netns: Option<PathBuf>,
    pid: Option<NonZeroU32>,
    cgroup: Option<PathBuf>,
    #[serde(deserialize_with = "node::read")]
    node: Vec<String>,
    namespace: Option<String>,
    container: Option<String>,
    #[serde(deserialize_with = "text::mode")]
    mode: Option<Mode>,
    include_probes: bool,
    no_follow: bool,
    inventory: Option<PathBuf>,
    interface: Option<String>,
    #[serde(deserialize_with = "text::duration")]
    duration: Option<Duration>,
    #[serde(deserialize_with = "text::grace")]
    grace: Option<Duration>,
    seed: Option<u64>,
    rules: Vec<RuleText>,
}

/// One fault, and which packets it is for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct RuleText {
    delay: Option<DelayFault>,
    loss: Option<LossFault>,
    duplicate: Option<DuplicateFault>,
    reorder: Option<ReorderFault>,
    corrupt: Option<CorruptFault>,
    rate: Option<RateFault>,
    #[serde(deserialize_with = "present")]
    partition: Option<PartitionFault>,
    #[serde(deserialize_with = "present")]
    reset: Option<ResetFault>,
    rewrite: Option<RewriteFault>,
    dns: Option<DnsFault>,
    http: Option<HttpFault>,
    grpc: Option<GrpcFault>,
    filter: FilterArgs,
    #[serde(deserialize_with = "text::pulse")]
    pulse: Option<Pulse>,
}

/// Some faults need not say more than that they are there: `partition:` alone will do.
fn present<'de, D, F>(value: D) -> Result<Option<F>, D::Error>
where
    D: Deserializer<'de>,
    F: Deserialize<'de> + Default,
{
    Ok(Some(Option::deserialize(value)?.unwrap_or_default()))
}

/// An experiment file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the experiment {file}: {source}")]
    Read {
        /// Its name.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is no experiment.
    #[error("the experiment {file} is not valid: {}", in_words(error))]
    Parse {
        /// Its name.
        file: String,
        /// Where and why.
        error: Box<YamlError>,
    },
    /// It points at nothing, or at several things.
    #[error(
        "the experiment {file} does not say where: give exactly one of service, pod, selector, deployment, statefulset, daemonset, node-selector, netns, pid, cgroup and node"
    )]
    Where {
        /// Its name.
        file: String,
    },
    /// It looks a service up, and points at something else.
    #[error("the experiment {file} has {key}, which goes with service only: leave it out")]
    WithoutService {
        /// Its name.
        file: String,
        /// The key.
        key: &'static str,
    },
    /// It is part of something that says how long it is.
    #[error("the experiment {file} has a duration: leave it out, `for` of the phase says how long")]
    Duration {
        /// Its name.
        file: String,
    },
    /// It is a request's, which names no files.
    #[error("the experiment {file} has an inventory: {source}")]
    NoFiles {
        /// Its name.
        file: String,
        /// Why.
        source: NoFiles,
    },
    /// It does nothing.
    #[error("the experiment {file} does not say what to do: give at least one rule")]
    NoRules {
        /// Its name.
        file: String,
    },
    /// A rule without a fault, or with several.
    #[error(
        "the experiment {file}, rule {number}: give exactly one of delay, loss, duplicate, reorder, corrupt, rate, partition, reset, rewrite, dns, http and grpc; each fault is a rule of its own"
    )]
    Fault {
        /// Its name.
        file: String,
        /// Its place among the rules, from 1.
        number: usize,
    },
    /// A fault whose options do not go together.
    #[error("the experiment {file}, rule {number}: {source}")]
    Options {
        /// Its name.
        file: String,
        /// Its place among the rules, from 1.
        number: usize,
        /// What is wrong.
        source: Box<FaultError>,
    },
}

impl From<FileError> for CommandError {
    fn from(error: FileError) -> Self {
        Self::new(ErrorKind::Usage, error)
    }
}

impl ExperimentFile {
    /// Reads text; `file` is what errors call it.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, FileError> {
        let file = file.to_owned();
        // Without anything but comments there is no document.
        let parsed: Option<Self> = match serde_saphyr::from_str(text) {
            Ok(parsed) => parsed,
            Err(error) => {
                return Err(FileError::Parse {
                    file,
                    error: Box::new(error),
                });
            }
        };
        let parsed = parsed.unwrap_or_default();
        parsed.check(file)?;
        Ok(parsed)
    }

    /// What it describes, where it was read by somebody else, and says how long it is.
    pub(in crate::commands) fn timed(
        &self,
        file: &str,
        base: Base<'_>,
    ) -> Result<Described, FileError> {
        self.check(file.to_owned())?;
        self.describe(file, base)
    }

    /// Whether it says where and what; `file` is what errors call it.
    fn check(&self, file: String) -> Result<(), FileError> {
        let parsed = self;
        let points = [
            parsed.service.is_some(),
            !parsed.pod.is_empty(),
            parsed.selector.is_some(),
            parsed.deployment.is_some(),
            parsed.statefulset.is_some(),
            parsed.daemonset.is_some(),
            parsed.node_selector.is_some(),
            parsed.netns.is_some(),
            parsed.pid.is_some(),
            parsed.cgroup.is_some(),
            !parsed.node.is_empty(),
        ];
        if points.iter().filter(|&&given| given).count() != 1 {
            return Err(FileError::Where { file });
        }
        let of_one_host = parsed.netns.is_some() || parsed.pid.is_some() || parsed.cgroup.is_some();
        let lookups = [
            (of_one_host && parsed.namespace.is_some(), "namespace"),
            (
                parsed.service.is_none() && parsed.inventory.is_some(),
                "inventory",
            ),
        ];
        if let Some((_, key)) = lookups.into_iter().find(|(given, _)| *given) {
            return Err(FileError::WithoutService { file, key });
        }
        if parsed.rules.is_empty() {
            return Err(FileError::NoRules { file });
        }
        Ok(())
    }

    /// For how long, where it says so.
    pub(in crate::commands) fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// What it describes, where it is part of another file and was read with that. Its time is that file's to say.
    pub(in crate::commands) fn described(
        &self,
        file: &str,
        base: Base<'_>,
    ) -> Result<Described, FileError> {
        self.check(file.to_owned())?;
        if self.duration.is_some() {
            return Err(FileError::Duration {
                file: file.to_owned(),
            });
        }
        self.describe(file, base)
    }

    /// What it describes; whether it says where and what is not looked at.
    pub(super) fn describe(&self, file: &str, base: Base<'_>) -> Result<Described, FileError> {
        Ok(Described {
            drafts: self.drafts(file, base)?,
            selector: self.selector(file, base)?,
            namespace: self.namespace(),
            timing: self.timing(),
        })
    }

    /// All rules, in their order. Files that they name are looked for from `base`.
    fn drafts(&self, file: &str, base: Base<'_>) -> Result<Vec<Draft>, FileError> {
        let rules = self.rules.iter().enumerate().map(|(index, text)| {
            let number = index + 1;
            let [fault] = text.faults()[..] else {
                return Err(FileError::Fault {
                    file: file.to_owned(),
                    number,
                });
            };
            rule(fault, &text.filter, text.pulse, base).map_err(|source| FileError::Options {
                file: file.to_owned(),
                number,
                source: Box::new(source),
            })
        });
        rules.collect()
    }

    /// Where. Paths are looked for from `base`.
    fn selector(&self, file: &str, base: Base<'_>) -> Result<SelectorArgs, FileError> {
        let path = |path: &PathBuf| base.place(path);
        // A name below /run/netns is no path.
        let netns = self.netns.as_ref().map(|netns| {
            let is_path = netns.as_os_str().as_encoded_bytes().contains(&b'/');
            if is_path { path(netns) } else { netns.clone() }
        });
        let inventory = self.inventory.as_ref();
        let inventory = inventory.map(|path| base.file(path, INSTEAD));
        let inventory = inventory.transpose().map_err(|source| FileError::NoFiles {
            file: file.to_owned(),
            source,
        })?;
        Ok(SelectorArgs {
            point: PointArgs {
                svc: self.service.clone(),
                pod: self.pod.clone(),
                selector: self.selector.clone(),
                deployment: self.deployment.clone(),
                statefulset: self.statefulset.clone(),
                daemonset: self.daemonset.clone(),
                node_selector: self.node_selector.clone(),
                netns,
                pid: self.pid,
                cgroup: self.cgroup.as_ref().map(path),
                node: self.node.clone(),
            },
            inventory,
            interface: self.interface.clone(),
            choice: ChoiceArgs {
                container: self.container.clone(),
                mode: self.mode,
                include_probes: self.include_probes,
                no_follow: self.no_follow,
            },
        })
    }

    /// Where in a cluster, or in an inventory.
    fn namespace(&self) -> Option<String> {
        self.namespace.clone()
    }

    /// For how long, and from which seed.
    fn timing(&self) -> FileTiming {
        FileTiming {
            duration: self.duration,
            grace: self.grace,
            seed: self.seed,
        }
    }
}

impl RuleText {
    fn faults(&self) -> Vec<&dyn FaultArgs> {
        fn given<F: FaultArgs>(fault: Option<&F>) -> Option<&dyn FaultArgs> {
            fault.map(|fault| fault as &dyn FaultArgs)
        }
        let all = [
            given(self.delay.as_ref()),
            given(self.loss.as_ref()),
            given(self.duplicate.as_ref()),
            given(self.reorder.as_ref()),
            given(self.corrupt.as_ref()),
            given(self.rate.as_ref()),
            given(self.partition.as_ref()),
            given(self.reset.as_ref()),
            given(self.rewrite.as_ref()),
            given(self.dns.as_ref()),
            given(self.http.as_ref()),
            given(self.grpc.as_ref()),
        ];
        all.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;
