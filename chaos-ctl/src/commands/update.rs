//! `chaosctl update`: changes an experiment while it runs.

mod place;

use std::path::PathBuf;
use std::time::Duration;

use chaos_proto::v1::{Experiment, Rule, UpdateRequest};
use clap::{Args, Subcommand};
use futures::StreamExt as _;
use futures::stream;

use super::apply::{self, Described};
use super::corrupt::CorruptFault;
use super::delay::DelayFault;
use super::dns::DnsFault;
use super::duplicate::DuplicateFault;
use super::everyone::{Everyone, Running, all_done, pieces};
use super::grpc::GrpcFault;
use super::http::HttpFault;
use super::loss::LossFault;
use super::partition::PartitionFault;
use super::rate::RateFault;
use super::reorder::ReorderFault;
use super::reset::ResetFault;
use super::rewrite::RewriteFault;
use crate::arguments::{Base, FaultArgs, FilterArgs, ShapeArgs, rule, to_wire};
use crate::cluster::{self, Cluster, ClusterOptions, Draft, Names, Point, Scene};
use crate::error::{CommandError, ErrorKind};
use crate::experiment::AT_ONCE;
use crate::global::Global;
use crate::output::whole::Whole;
use crate::output::{Output, json, table};
use crate::quantity::duration;
use crate::way::{Need, Way};

/// Change a running experiment without a gap
///
/// Give its kind of fault with other numbers, or a file with other rules, or more or less time, or both. Each packet
/// meets a rule as it was or as it is, never none; the counters go on, and so does the deadline, unless --duration is
/// given. Packets that the old delay holds leave when they were to leave, and the new one lets none overtake them.
///
/// All options of the fault are given anew: a ramp that is not given is gone. Its filters stay as they are where none
/// is given, and so does its pulse; where one is given, they are those that are given. --no-filter and --no-pulse take
/// them away. Pulses and ramps begin anew. A fault does not become another, and targets stay: start another experiment
/// for that.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct UpdateArgs {
    /// Id of the experiment, as `chaosctl list` shows it
    #[arg(value_name = "ID")]
    id: String,

    /// How long the experiment goes on from now [default: until the deadline that it has]
    ///
    /// A number with its unit, such as 30s or 1m30s; above 0. From its beginning to its end it is at most 24h.
    #[arg(long, global = true, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    duration: Option<Duration>,

    /// Take all rules from an experiment file; `-` reads standard input
    ///
    /// As many as the experiment has, with the same kinds of faults in the same order. What the file says about time is
    /// not looked at; what it points at must be what the experiment points at.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(subcommand)]
    fault: Option<Change>,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl update delay-3f9a1c delay 200ms --jitter 20ms
  chaosctl update loss-77e0b2 loss 5% --peer 10.0.0.0/8
  chaosctl update loss-77e0b2 loss 5% --no-filter
  chaosctl update delay-3f9a1c --duration 1m
  chaosctl update delay-3f9a1c -f experiment.yaml";

/// What the fault of an experiment is to be.
#[derive(Debug, Subcommand)]
enum Change {
    /// How long packets are held
    Delay(Changed<DelayFault>),
    /// Which packets are dropped
    Loss(Changed<LossFault>),
    /// Which packets are sent twice
    Duplicate(Changed<DuplicateFault>),
    /// Which packets are overtaken
    Reorder(Changed<ReorderFault>),
    /// Which packets get a flipped bit
    Corrupt(Changed<CorruptFault>),
    /// How much may pass
    Rate(Changed<RateFault>),
    /// Which packets do not pass
    Partition(Changed<PartitionFault>),
    /// Which connections are ended
    Reset(Changed<ResetFault>),
    /// What is written into packets
    Rewrite(Changed<RewriteFault>),
    /// Which questions are answered, and how
    Dns(Changed<DnsFault>),
    /// What happens to requests, and to which
    Http(Box<Changed<HttpFault>>),
    /// What happens to calls, and to which
    Grpc(Box<Changed<GrpcFault>>),
}

#[derive(Debug, Args)]
struct Changed<F: Args> {
    #[command(flatten)]
    fault: F,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    shape: ShapeArgs,

    #[command(flatten)]
    away: Away,
}

/// What is taken away. A filter or a pulse that is only left out stays.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is taken away")]
struct Away {
    /// Take all filters away: the fault is for the packets that it is for when none is given
    #[arg(long, conflicts_with = "FilterArgs")]
    no_filter: bool,

    /// Take the pulse away: the fault acts all the time
    #[arg(long, conflicts_with = "pulse")]
    no_pulse: bool,
}

/// An update that cannot be asked for.
#[derive(Debug, thiserror::Error)]
enum UpdateError {
    #[error("the command does not say what to change: give a fault, a file or a duration")]
    Nothing,
    #[error("the command has a fault and a file: leave out one of them")]
    Both,
    #[error(
        "{id} has {count} rules, so that a fault alone does not say which to change: give a file with all of them"
    )]
    SeveralRules { id: String, count: usize },
    #[error(
        "the file is about {file}, and {id} acts on {there}: targets stay, so start another experiment"
    )]
    Elsewhere {
        id: String,
        file: String,
        there: String,
    },
    #[error(
        "--port is a port of service {service}, and only its cluster knows what that is in the pods: give --context, or --target-port"
    )]
    PortOfService { service: String },
}

impl From<UpdateError> for CommandError {
    fn from(error: UpdateError) -> Self {
        let kind = match &error {
            UpdateError::Nothing | UpdateError::Both => ErrorKind::Usage,
            // The agent had to be asked first.
            UpdateError::SeveralRules { .. }
            | UpdateError::Elsewhere { .. }
            | UpdateError::PortOfService { .. } => ErrorKind::Failed,
        };
        Self::new(kind, error)
    }
}

impl UpdateArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        if self.fault.is_none() && self.file.is_none() && self.duration.is_none() {
            return Err(UpdateError::Nothing.into());
        }
        if self.fault.is_some() && self.file.is_some() {
            return Err(UpdateError::Both.into());
        }
        let described = self.file.as_deref().map(apply::read).transpose()?;
        let cluster = match global.way(Need::Any)? {
            Way::Cluster { options, .. } => Some(options),
            Way::Agent(_) => None,
        };
        let everyone = Everyone::of(global).await?;
        let (of, is_one) = (everyone.count(), everyone.is_one().is_some());
        let (parts, unreached) = everyone.parts(&self.id).await?;
        let rules = self.rules(&parts, global, cluster, described.as_ref());
        let requests = Box::pin(rules).await?.into_iter().zip(parts);
        let answers = stream::iter(requests)
            .map(|(rules, (node, agent, there))| async move {
                let request = UpdateRequest {
                    id: there.id,
                    rules,
                    duration: self.duration.and_then(to_wire),
                    pods: None,
                };
                (node, agent.update(request).await)
            })
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let mut failures = unreached;
        let mut updated = Vec::new();
        for (node, answer) in answers {
            match answer {
                Ok(experiment) => updated.extend(pieces(&node, vec![experiment])),
                Err(error) => failures.push((node, error)),
            }
        }
        if !updated.is_empty() {
            show(&Whole::of(&updated), output)?;
        }
        if is_one && let Some((_, error)) = failures.pop() {
            return Err(error.into());
        }
        all_done("could not change it", failures, of)
    }

    /// The new rules of each part: its own filters where none are given, and what names mean there where some are.
    async fn rules(
        &self,
        parts: &[Running],
        global: &Global,
        cluster: Option<ClusterOptions>,
        described: Option<&Described>,
    ) -> Result<Vec<Vec<Rule>>, CommandError> {
        let running: Vec<_> = parts
            .iter()
            .map(|(node, _, there)| (node.as_str(), there))
            .collect();
        let (mut given, mut kept) = (Vec::new(), Vec::new());
        match (&self.fault, described) {
            (Some(change), _) => {
                for (_, there) in &running {
                    let new = self.rule(change, there)?;
                    if new.keeps_filter {
                        kept.push(vec![new.draft.rule]);
                    } else {
                        given = vec![new.draft];
                    }
                }
            }
            (None, Some(described)) => given.clone_from(&described.drafts),
            (None, None) => return Ok(vec![Vec::new(); parts.len()]),
        }
        if !kept.is_empty() {
            return Ok(kept);
        }
        let pointed_at = cluster::pointed_at(&running);
        if let (Some(options), Some((point, namespace))) = (cluster, &pointed_at) {
            let cluster = Box::pin(Cluster::connect(options)).await?;
            if let Some(described) = described {
                place::is_in_cluster(&self.id, described, point, namespace, global, &cluster)?;
            }
            let scene = Scene::of_running(cluster, point.clone(), namespace, given);
            return Ok(Box::pin(scene.rules(&running)).await?);
        }
        if let Some((Point::Service(service), _)) = &pointed_at
            && given.iter().any(has_ports)
        {
            let service = service.clone();
            return Err(UpdateError::PortOfService { service }.into());
        }
        if let Some(described) = described {
            for (_, there) in running {
                place::is_there(&self.id, described, there, global)?;
            }
        }
        let rules = cluster::without_cluster(given).await?;
        Ok(vec![rules; parts.len()])
    }

    /// The only rule of an experiment, changed.
    fn rule(&self, change: &Change, experiment: &Experiment) -> Result<New, CommandError> {
        let [there] = &experiment.rules[..] else {
            return Err(UpdateError::SeveralRules {
                id: self.id.clone(),
                count: experiment.rules.len(),
            }
            .into());
        };
        match change {
            Change::Delay(changed) => changed.rule(there),
            Change::Loss(changed) => changed.rule(there),
            Change::Duplicate(changed) => changed.rule(there),
            Change::Reorder(changed) => changed.rule(there),
            Change::Corrupt(changed) => changed.rule(there),
            Change::Rate(changed) => changed.rule(there),
            Change::Partition(changed) => changed.rule(there),
            Change::Reset(changed) => changed.rule(there),
            Change::Rewrite(changed) => changed.rule(there),
            Change::Dns(changed) => changed.rule(there),
            Change::Http(changed) => changed.rule(there),
            Change::Grpc(changed) => changed.rule(there),
        }
    }
}

/// A changed rule.
struct New {
    draft: Draft,
    /// Whether its filter is the one that the part has.
    keeps_filter: bool,
}

fn has_ports(draft: &Draft) -> bool {
    let filter = draft.rule.filter.as_ref();
    !draft.names.ports.is_empty() || filter.is_some_and(|filter| !filter.ports.is_empty())
}

fn show(updated: &Whole, output: Output<'_>) -> Result<(), CommandError> {
    output.result(
        || table::status(updated),
        || json::Status {
            experiment: updated.into(),
        },
    )?;
    Ok(())
}

impl<F: Args + FaultArgs> Changed<F> {
    /// What is not given stays as it is: a filter that was left out would hit more than before.
    fn rule(&self, there: &Rule) -> Result<New, CommandError> {
        let mut changed = rule(
            &self.fault,
            &self.filter,
            self.shape.pulse,
            Base::of_process(),
        )?;
        let is_kept = self.filter.to_wire() == FilterArgs::default().to_wire()
            && changed.names == Names::default();
        let keeps_filter = is_kept && !self.away.no_filter;
        if keeps_filter {
            let mut kept = there.filter.clone().unwrap_or_default();
            // An option of the fault, which is given anew.
            kept.syn_only = false;
            self.fault.narrow(&mut kept);
            changed.rule.filter = Some(kept);
        }
        let kept = there.pulse.filter(|_| !self.away.no_pulse);
        changed.rule.pulse = changed.rule.pulse.or(kept);
        Ok(New {
            draft: changed,
            keeps_filter,
        })
    }
}
