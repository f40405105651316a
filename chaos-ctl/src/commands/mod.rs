//! The verbs, one file each: its options, and what it asks of the agent.

pub mod apply;
pub mod corrupt;
pub mod delay;
pub mod dns;
pub mod doctor;
pub mod duplicate;
mod everyone;
pub mod list;
pub mod loss;
pub mod partition;
pub mod rate;
pub mod reorder;
pub mod reset;
pub mod rewrite;
pub mod status;
pub mod stop;
pub mod update;

use std::sync::Arc;

use crate::arguments::{ExperimentArgs, FaultArgs, FileTiming, SelectorArgs, TimingArgs, request};
use crate::cli::{Command, Global};
use crate::client::Address;
use crate::cluster::{self, Cluster, Draft, Scene, Selection, Tokens};
use crate::error::CommandError;
use crate::experiment;
use crate::output::Output;
use crate::way::{Need, Way};
use everyone::Everyone;

impl Command {
    /// Does what the verb says.
    pub async fn run(&self, global: &Global, output: Output) -> Result<(), CommandError> {
        match self {
            Self::Delay(arguments) => arguments.run(global, output).await,
            Self::Loss(arguments) => arguments.run(global, output).await,
            Self::Duplicate(arguments) => arguments.run(global, output).await,
            Self::Reorder(arguments) => arguments.run(global, output).await,
            Self::Corrupt(arguments) => arguments.run(global, output).await,
            Self::Rate(arguments) => arguments.run(global, output).await,
            Self::Partition(arguments) => arguments.run(global, output).await,
            Self::Dns(arguments) => arguments.run(global, output).await,
            Self::Reset(arguments) => arguments.run(global, output).await,
            Self::Rewrite(arguments) => arguments.run(global, output).await,
            Self::Apply(arguments) => arguments.run(global, output).await,
            Self::Update(arguments) => arguments.run(global, output).await,
            Self::List(arguments) => arguments.run(everyone(global).await?, output).await,
            Self::Status(arguments) => arguments.run(everyone(global).await?, output).await,
            Self::Stop(arguments) => arguments.run(everyone(global).await?, output).await,
            Self::Doctor(arguments) => arguments.run(everyone(global).await?, output).await,
        }
    }
}

/// The agent of this host or the one whose address was given, or all of a cluster.
async fn everyone(global: &Global) -> Result<Everyone, CommandError> {
    match global.way(Need::Any)? {
        Way::Agent(address) => Everyone::only(&global.direct(address)).await,
        Way::Cluster {
            options,
            only: None,
        } => {
            let cluster = Box::pin(Cluster::connect(options)).await?;
            Everyone::of_cluster(&cluster::Reach::new(cluster)).await
        }
        Way::Cluster {
            options,
            only: Some(address),
        } => {
            let asks_for_token = matches!(address, Address::Server(_));
            let mut direct = global.direct(address);
            if direct.token.is_none() && asks_for_token {
                let cluster = Box::pin(Cluster::connect(options)).await?;
                direct.token = Some(Arc::new(Tokens::new(&cluster)));
            }
            Everyone::only(&direct).await
        }
    }
}

/// Runs an experiment of one fault. What is wrong with its options is said before the agent is asked.
async fn apply_fault(
    fault: &dyn FaultArgs,
    experiment: &ExperimentArgs,
    global: &Global,
    output: Output,
) -> Result<(), CommandError> {
    let asked = Asked {
        selector: &experiment.selector,
        namespace: global.namespace.clone(),
        drafts: vec![experiment.draft(fault)?],
        timing: &experiment.timing,
        file: FileTiming::default(),
    };
    asked.run(global, output).await
}

/// An experiment as the options or a file have it.
struct Asked<'a> {
    selector: &'a SelectorArgs,
    namespace: Option<String>,
    drafts: Vec<Draft>,
    timing: &'a TimingArgs,
    file: FileTiming,
}

impl Asked<'_> {
    async fn run(self, global: &Global, output: Output) -> Result<(), CommandError> {
        let mut request = request(self.timing, &self.file);
        match global.way(self.selector.need())? {
            Way::Agent(address) => {
                request.selector = Some(self.selector.to_wire(self.namespace.as_deref())?);
                request.rules = cluster::without_cluster(self.drafts).await?;
                let asked = experiment::Asked::of_one(global.direct(address), request);
                Box::pin(experiment::run(asked, output)).await
            }
            Way::Cluster { mut options, only } => {
                let choice = &self.selector.choice;
                request.include_probes = choice.include_probes;
                options.namespace = self.namespace;
                let selection = Selection {
                    point: self.selector.in_cluster()?,
                    container: choice.container.clone(),
                    mode: choice.mode.unwrap_or_default(),
                    interface: self.selector.interface.clone().unwrap_or_default(),
                    follow: !choice.no_follow,
                };
                let cluster = Box::pin(Cluster::connect(options)).await?;
                let scene = Scene::new(cluster, selection, self.drafts, request);
                let only = only.map(|address| global.direct(address));
                Box::pin(experiment::run_in_cluster(scene, only, output)).await
            }
        }
    }
}
