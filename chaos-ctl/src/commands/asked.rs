//! What every verb that starts an experiment does: asks for it, of one agent or of those of a cluster.

use chaos_proto::v1::PrepareRequest;

use crate::arguments::{ExperimentArgs, FaultArgs, FileTiming, SelectorArgs, TimingArgs, request};
use crate::cluster::{self, Cluster, Draft, Scene, Selection};
use crate::error::CommandError;
use crate::experiment::{self, Direct, RunError, Steer};
use crate::global::Global;
use crate::output::Output;
use crate::way::Way;

/// Runs an experiment of one fault. What is wrong with its options is said before the agent is asked.
pub(super) async fn apply_fault(
    fault: &dyn FaultArgs,
    experiment: &ExperimentArgs,
    global: &Global,
    output: Output<'_>,
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
pub(super) struct Asked<'a> {
    pub(super) selector: &'a SelectorArgs,
    pub(super) namespace: Option<String>,
    pub(super) drafts: Vec<Draft>,
    pub(super) timing: &'a TimingArgs,
    pub(super) file: FileTiming,
}

impl Asked<'_> {
    /// Until its end, or Ctrl-C.
    pub(super) async fn run(self, global: &Global, output: Output<'_>) -> Result<(), CommandError> {
        let steer = Steer::by_signals();
        self.run_steered(global, steer, output).await
    }

    /// As something else steers it.
    pub(super) async fn run_steered(
        self,
        global: &Global,
        mut steer: Steer,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        let placed = tokio::select! {
            placed = self.place(global) => placed?,
            // Nobody was asked for anything yet.
            () = steer.told() => return Err(RunError::InterruptedBeforeStart.into()),
        };
        match placed {
            Placed::Agent { direct, request } => {
                let asked = experiment::Asked::of_one(direct, *request);
                Box::pin(experiment::run(asked, steer, output)).await
            }
            Placed::Cluster { scene, only } => {
                Box::pin(experiment::run_in_cluster(*scene, only, steer, output)).await
            }
        }
    }

    /// Nobody is asked yet.
    pub(super) async fn place(self, global: &Global) -> Result<Placed, CommandError> {
        let mut request = request(self.timing, &self.file);
        match global.way(self.selector.need())? {
            Way::Agent(address) => {
                request.selector = Some(self.selector.to_wire(self.namespace.as_deref())?);
                request.rules = cluster::without_cluster(self.drafts).await?;
                let direct = global.direct(address);
                let request = Box::new(request);
                Ok(Placed::Agent { direct, request })
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
                let scene = Box::new(Scene::new(cluster, selection, self.drafts, request));
                let only = only.map(|address| global.direct(address));
                Ok(Placed::Cluster { scene, only })
            }
        }
    }
}

/// An experiment, and whom to ask for it.
pub(super) enum Placed {
    /// One agent.
    Agent {
        direct: Direct,
        request: Box<PrepareRequest>,
    },
    /// Those of a cluster, or the one of them that was named.
    Cluster {
        scene: Box<Scene>,
        only: Option<Direct>,
    },
}
