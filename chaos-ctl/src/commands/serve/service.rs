//! The service: each request becomes an experiment as `chaosctl apply` runs it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chaos_proto::serve::v1::{
    InjectRequest, InjectResponse, SelectRequest, SelectResponse, StartResponse, StopRequest,
    TerminateRequest, TerminateResponse, chaos_service_server::ChaosService,
};
use prost_types::Struct;
use serde_json::{Value, json};
use tonic::{Request, Response, Status};

use super::convert::{json_of, object_of, status};
use super::runs::{Attended, Ended, NoMore, Run, Runs};
use super::terminate::{draw, terminate};
use crate::arguments::{Base, TimingArgs};
use crate::cluster::{Held, Mode, Plan};
use crate::commands::apply::Described;
use crate::commands::asked::Placed;
use crate::error::{CommandError, ErrorKind};
use crate::global::Global;
use crate::output::Output;
use crate::quantity;
use crate::way::Need;

/// What errors call a request.
const NAME: &str = "in the request";
/// How long to wait for pods to be gone, where nobody says.
const PATIENCE: &str = "10s";

/// Answers by what chaosctl does.
#[derive(Debug)]
pub(super) struct Service {
    global: Arc<Global>,
    /// Of requests that give none.
    namespace: Option<String>,
    runs: Arc<Runs>,
}

/// Something that nobody here knows, or that is not what it is to be.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("the request has no experiment: give one as in a file of `chaosctl apply`")]
    NoExperiment,
    #[error(
        "only pods of a cluster can be terminated: give a service, labels, names or a workload"
    )]
    NotPods,
    #[error("no experiment `{0}` was started here, or it ended long ago")]
    Unknown(String),
}

impl From<RequestError> for Status {
    fn from(error: RequestError) -> Self {
        let sentence = error.to_string();
        match error {
            RequestError::NoExperiment | RequestError::NotPods => Self::invalid_argument(sentence),
            RequestError::Unknown(_) => Self::not_found(sentence),
        }
    }
}

impl From<NoMore> for Status {
    fn from(error: NoMore) -> Self {
        let sentence = error.to_string();
        match error {
            NoMore::Closed => Self::unavailable(sentence),
            NoMore::TooMany => Self::resource_exhausted(sentence),
        }
    }
}

impl Service {
    /// A namespace among the options is for requests that give none: nobody who asks sees the options.
    pub(super) fn new(mut global: Global, runs: Arc<Runs>) -> Self {
        Self {
            namespace: global.namespace.take(),
            global: Arc::new(global),
            runs,
        }
    }

    fn described(&self, experiment: Option<Struct>) -> Result<Described, Status> {
        let experiment = experiment.ok_or(RequestError::NoExperiment)?;
        read(&json_of(experiment), self.namespace.as_deref())
    }

    /// Of which only the selector counts.
    fn place_of(
        &self,
        experiment: Option<Struct>,
        mode: Option<Mode>,
    ) -> Result<Described, Status> {
        let experiment = experiment.ok_or(RequestError::NoExperiment)?;
        let mut experiment = json_of(experiment);
        // There must be one; it is never asked for.
        experiment["rules"] = json!([{ "delay": { "latency": "1ms" } }]);
        let mut described = read(&experiment, self.namespace.as_deref())?;
        if let Some(mode) = mode {
            described.selector.choice.mode = Some(mode);
        }
        Ok(described)
    }

    /// Runs an experiment in a task of its own, so that it ends well whoever leaves.
    fn begin(&self, described: Described, dry_run: bool) -> Result<Attended, Status> {
        let (run, steer, listener) = self.runs.add()?;
        let global = Arc::clone(&self.global);
        tokio::spawn(async move {
            let output = Output::to_sink(&listener);
            let done = described.run(None, dry_run, &global, steer, output);
            let failure = done.await.err();
            listener.over(failure);
        });
        Ok(Attended::to(run))
    }

    /// Whom it stands for now.
    async fn find(&self, described: Described) -> Result<Found, CommandError> {
        let timing = TimingArgs::default();
        match described
            .asked(&self.global, &timing)
            .place(&self.global)
            .await?
        {
            Placed::Cluster { scene, .. } => {
                let plan = Box::new(scene.plan(&Held::new()).await?);
                let client = scene.cluster.client.clone();
                Ok(Found::Cluster(plan, client))
            }
            Placed::Agent { .. } => Ok(Found::Host),
        }
    }
}

/// Where what was selected is.
enum Found {
    Cluster(Box<Plan>, kube::Client),
    Host,
}

/// JSON is YAML. A request has no files: who asks may not be who may read them.
fn read(experiment: &Value, namespace: Option<&str>) -> Result<Described, Status> {
    let text = experiment.to_string();
    let described = Described::parse(NAME, Base::Nowhere, &text);
    let mut described = described.map_err(|error| status(&error))?;
    if described.namespace.is_none() && !matches!(described.selector.need(), Need::Host(_)) {
        described.namespace = namespace.map(str::to_owned);
    }
    Ok(described)
}

fn response(ended: Option<Arc<Ended>>) -> Result<Response<InjectResponse>, Status> {
    let ended = ended.ok_or_else(|| Status::internal("the experiment ended without a word"))?;
    let nothing_hit = match &ended.failure {
        None => false,
        Some(failure) if failure.kind == ErrorKind::NothingHit => true,
        Some(failure) => return Err(status(failure)),
    };
    let mut warnings = ended.warnings.clone();
    warnings.extend(
        ended
            .failure
            .as_ref()
            .map(|failure| failure.source.to_string()),
    );
    Ok(Response::new(InjectResponse {
        result: ended.result.clone().and_then(object_of),
        nothing_hit,
        notes: ended.notes.clone(),
        warnings,
    }))
}

/// Names of the targets of a plan that one agent made.
fn targets_of(result: &Value) -> Vec<String> {
    let targets = result["experiment"]["targets"].as_array();
    let targets = targets.map_or(&[][..], Vec::as_slice);
    let names = targets.iter().filter_map(|target| target["name"].as_str());
    names.map(str::to_owned).collect()
}

#[tonic::async_trait]
impl ChaosService for Service {
    async fn select(
        &self,
        request: Request<SelectRequest>,
    ) -> Result<Response<SelectResponse>, Status> {
        let experiment = request.into_inner().experiment;
        let place = self.place_of(experiment.clone(), None)?;
        let found = Box::pin(self.find(place))
            .await
            .map_err(|error| status(&error))?;
        let names: BTreeSet<String> = match found {
            Found::Cluster(plan, _) if plan.pods().next().is_some() => {
                plan.pods().map(|pod| pod.name.clone()).collect()
            }
            Found::Cluster(plan, _) => plan.nodes().into_iter().map(str::to_owned).collect(),
            Found::Host => {
                let run = self.begin(self.place_of(experiment, None)?, true)?;
                let ended = run.ended().await;
                if let Some(failure) = ended.as_ref().and_then(|ended| ended.failure.as_ref()) {
                    return Err(status(failure));
                }
                let result = ended.and_then(|ended| ended.result.clone());
                targets_of(&result.unwrap_or_default())
                    .into_iter()
                    .collect()
            }
        };
        Ok(Response::new(SelectResponse {
            targets: names.into_iter().collect(),
        }))
    }

    async fn inject(
        &self,
        request: Request<InjectRequest>,
    ) -> Result<Response<InjectResponse>, Status> {
        let request = request.into_inner();
        let run = self.begin(self.described(request.experiment)?, request.dry_run)?;
        response(run.ended().await)
    }

    async fn start(
        &self,
        request: Request<InjectRequest>,
    ) -> Result<Response<StartResponse>, Status> {
        let request = request.into_inner();
        if request.dry_run {
            return Err(Status::invalid_argument(
                "a plan does not start: ask for it by Inject",
            ));
        }
        let attended = self.begin(self.described(request.experiment)?, false)?;
        let progress = attended.begun().await;
        let Some(id) = progress.id else {
            // Before it acted, it failed.
            response(progress.ended)?;
            return Err(Status::internal("the experiment ended before it began"));
        };
        attended.leave();
        Ok(Response::new(StartResponse { id }))
    }

    async fn stop(
        &self,
        request: Request<StopRequest>,
    ) -> Result<Response<InjectResponse>, Status> {
        let id = request.into_inner().id;
        let run: Arc<Run> = self.runs.find(&id).ok_or(RequestError::Unknown(id))?;
        run.stop();
        response(run.ended().await)
    }

    async fn terminate(
        &self,
        request: Request<TerminateRequest>,
    ) -> Result<Response<TerminateResponse>, Status> {
        let request = request.into_inner();
        let invalid =
            |error: quantity::InvalidQuantity| Status::invalid_argument(error.to_string());
        let count = count(&request.count).map_err(Status::invalid_argument)?;
        let within = match request.timeout.as_str() {
            "" => PATIENCE,
            text => text,
        };
        let within: Duration = quantity::duration(within).map_err(invalid)?;
        let place = self.place_of(request.experiment, Some(Mode::All))?;
        let found = Box::pin(self.find(place))
            .await
            .map_err(|error| status(&error))?;
        let Found::Cluster(plan, client) = found else {
            return Err(RequestError::NotPods.into());
        };
        let pods: Vec<_> = plan.pods().cloned().collect();
        if pods.is_empty() {
            return Err(RequestError::NotPods.into());
        }
        let seed = plan.parts.first().and_then(|part| part.request.seed);
        let pods = draw(&pods, count, seed.unwrap_or_default()).map_err(|error| status(&error))?;
        let closing = self.runs.closing();
        let task = terminate(client, pods.clone(), within, closing);
        // In a task of its own: who leaves does not leave half of them.
        let done = self.runs.attend(task)?.await;
        let done = done.map_err(|error| Status::internal(error.to_string()))?;
        done.map_err(|error| status(&error))?;
        let names: BTreeSet<String> = pods.into_iter().map(|pod| pod.name).collect();
        Ok(Response::new(TerminateResponse {
            targets: names.into_iter().collect(),
        }))
    }
}

/// How many: a number or a share, as Kubernetes writes either.
fn count(text: &str) -> Result<Mode, String> {
    let mode = match (text, text.strip_suffix('%')) {
        ("", _) => "one".to_owned(),
        (_, Some(percent)) => format!("percent={percent}"),
        (number, None) => format!("fixed={number}"),
    };
    let wrong =
        |_| format!("count `{text}` is not one: give a number above 0, or a share such as 50%");
    crate::arguments::mode(&mode).map_err(wrong)
}
