//! `chaosctl serve`: programs ask, and it is as if a person had typed it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chaos_proto::{
    serve::v1::{
        InjectRequest, SelectRequest, StopRequest, TerminateRequest,
        chaos_service_client::ChaosServiceClient,
    },
    v1::{EndReason, State},
};
use chaos_tests::{
    apiserver::{access::Rule, scene::NewPod},
    wait::wait_until,
};
use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tonic::{Code, Request, transport::Channel};

use crate::run::{PATIENCE, Running, SERVICE, Scene};

/// Somebody who asks.
pub(crate) struct Caller {
    pub(crate) scene: Scene,
    pub(crate) running: Running,
    pub(crate) runtime: Runtime,
    pub(crate) service: ChaosServiceClient<Channel>,
}

impl Caller {
    pub(crate) fn new(nodes: u8, pods: u16) -> Result<Self> {
        let scene = Scene::new(nodes, pods)?;
        let mut running = scene.chaosctl(&["serve", "--listen", "127.0.0.1:0"])?;
        let address = running.word_after("listening at ")?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let url = format!("http://{}", address.trim_end_matches(';'));
        let service = runtime.block_on(ChaosServiceClient::connect(url))?;
        Ok(Self {
            scene,
            running,
            runtime,
            service,
        })
    }

    fn acting(&self, node: &str) -> usize {
        let experiments = self.scene.experiments(node).into_iter();
        experiments
            .filter(|experiment| experiment.state() == State::Armed)
            .count()
    }
}

/// A delay of the service, for so long.
pub(crate) fn delay(duration: &str) -> InjectRequest {
    InjectRequest {
        experiment: object(json!({
            "service": SERVICE, "duration": duration,
            "rules": [{ "delay": { "latency": "100ms" }, "filter": { "ports": [3001] } }],
        })),
        dry_run: false,
    }
}

pub(crate) fn object(value: serde_json::Value) -> Option<Struct> {
    if let Some(Kind::StructValue(object)) = wire(value).kind {
        return Some(object);
    }
    None
}

fn wire(value: serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap()),
        serde_json::Value::String(value) => Kind::StringValue(value),
        serde_json::Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(wire).collect(),
        }),
        serde_json::Value::Object(fields) => Kind::StructValue(Struct {
            fields: fields
                .into_iter()
                .map(|(name, value)| (name, wire(value)))
                .collect(),
        }),
    };
    Value { kind: Some(kind) }
}

/// The words at these names.
fn word<'a>(object: &'a Struct, names: &[&str]) -> Option<&'a str> {
    let (first, rest) = names.split_first()?;
    match object.fields.get(*first)?.kind.as_ref()? {
        Kind::StringValue(word) if rest.is_empty() => Some(word),
        Kind::StructValue(object) => word(object, rest),
        Kind::NullValue(_)
        | Kind::NumberValue(_)
        | Kind::StringValue(_)
        | Kind::BoolValue(_)
        | Kind::ListValue(_) => None,
    }
}

#[test]
fn an_experiment_is_run_to_its_end() -> Result<()> {
    let caller = Caller::new(2, 3)?;
    let mut service = caller.service.clone();
    let asked = service.inject(delay("1s"));
    let answer = caller.runtime.block_on(asked)?.into_inner();
    assert!(
        answer.nothing_hit,
        "simulated agents hit nothing: {answer:?}"
    );
    let result = answer.result.context("a result")?;
    assert_eq!(word(&result, &["outcome"]), Some("nothing_matched"));
    for node in ["node-000", "node-001"] {
        let experiments = caller.scene.experiments(node);
        let rule = &experiments[0].rules[0];
        let ports = &rule.filter.as_ref().context("a filter")?.target_ports;
        assert_eq!(ports[0].first, 3000, "translated as with --port: {rule:?}");
        assert_eq!(experiments[0].end_reason(), EndReason::Expired);
    }
    caller.running.interrupt()?;
    assert_eq!(caller.running.finish()?.code, Some(0));
    Ok(())
}

#[test]
fn who_leaves_ends_it() -> Result<()> {
    let caller = Caller::new(1, 1)?;
    let mut service = caller.service.clone();
    let request = delay("60s");
    let call = caller
        .runtime
        .spawn(async move { service.inject(request).await });
    wait_until("it to act", PATIENCE, || caller.acting("node-000") == 1)?;
    call.abort();
    wait_until("it to have ended", PATIENCE, || {
        caller.acting("node-000") == 0
    })?;
    assert_eq!(
        caller.scene.experiments("node-000")[0].end_reason(),
        EndReason::Stopped
    );
    Ok(())
}

#[test]
fn what_was_started_goes_on_until_it_is_stopped() -> Result<()> {
    let caller = Caller::new(2, 2)?;
    let mut service = caller.service.clone();
    let started = caller.runtime.block_on(service.start(delay("60s")))?;
    let id = started.into_inner().id;
    assert_eq!(caller.scene.experiments("node-001")[0].id, id);
    assert_eq!(caller.acting("node-000") + caller.acting("node-001"), 2);
    let stop = StopRequest { id: id.clone() };
    let answer = caller.runtime.block_on(service.stop(stop.clone()))?;
    let result = answer.into_inner().result.context("a result")?;
    assert_eq!(word(&result, &["experiment", "id"]), Some(id.as_str()));
    assert_eq!(caller.acting("node-000") + caller.acting("node-001"), 0);
    // What became of it can be asked for again; of what was never there, not.
    caller.runtime.block_on(service.stop(stop))?;
    let unknown = service.stop(StopRequest {
        id: "delay-0".into(),
    });
    let refused = caller.runtime.block_on(unknown).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused}");

    // Ctrl-C ends what goes on.
    caller.runtime.block_on(service.start(delay("60s")))?;
    caller.running.interrupt()?;
    assert_eq!(caller.running.finish()?.code, Some(0));
    assert_eq!(caller.scene.hit("node-000"), 0);
    assert_eq!(caller.scene.hit("node-001"), 0);
    Ok(())
}

#[test]
fn targets_are_found_and_pods_terminated() -> Result<()> {
    let caller = Caller::new(2, 4)?;
    let mut service = caller.service.clone();
    let labels = || object(json!({ "selector": "app=provider-chaos" }));
    let mut select = || {
        let experiment = labels();
        let asked = service.select(SelectRequest { experiment });
        caller.runtime.block_on(asked).unwrap().into_inner().targets
    };
    let all = ["provider-0", "provider-1", "provider-2", "provider-3"];
    assert_eq!(select(), all);
    let request = TerminateRequest {
        experiment: labels(),
        count: "50%".into(),
        timeout: "5s".into(),
    };
    let mut service = caller.service.clone();
    let gone = caller.runtime.block_on(service.terminate(request))?;
    let gone = gone.into_inner().targets;
    assert_eq!(gone.len(), 2, "{gone:?}");
    let left: Vec<_> = all
        .into_iter()
        .filter(|name| !gone.contains(&(*name).to_owned()))
        .collect();
    assert_eq!(select(), left);
    // The roles for chaosctl let nobody delete pods.
    let server = &caller.scene.server;
    server.deny("admin");
    server.allow("admin", Rule::cluster("get,list,watch", "*", "*"));
    let request = TerminateRequest {
        experiment: labels(),
        ..TerminateRequest::default()
    };
    let mut service = caller.service.clone();
    let refused = caller.runtime.block_on(service.terminate(request));
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    for words in [
        "cannot delete pod demo/provider-",
        "hint: deleting takes the right to `delete` pods there",
    ] {
        assert!(refused.message().contains(words), "{words}: {refused:?}");
    }
    assert!(!refused.message().contains("ApiError"), "{refused:?}");
    assert_eq!(
        caller
            .scene
            .fleet
            .agents()
            .iter()
            .map(|agent| agent.calls().len())
            .sum::<usize>(),
        0
    );
    Ok(())
}

/// `serve` is started with `-n demo`.
#[test]
fn a_request_says_in_which_namespace() -> Result<()> {
    let caller = Caller::new(1, 1)?;
    let server = &caller.scene.server;
    server.add_namespace("shop");
    let (labels, ports) = ([("app", "provider-chaos")], [("http", 3001, json!(3000))]);
    server.add_service("shop", SERVICE, &labels, &ports, false);
    let pod = NewPod::new("shop", "shopper-0", "node-000", [10, 244, 9, 1].into());
    server.add_pod(&pod.label("app", "provider-chaos").port("http", 3000));
    let mut service = caller.service.clone();
    for (experiment, pods) in [
        (json!({ "service": SERVICE }), ["provider-0"]),
        (
            json!({ "service": SERVICE, "namespace": "shop" }),
            ["shopper-0"],
        ),
    ] {
        let asked = service.select(SelectRequest {
            experiment: object(experiment.clone()),
        });
        let found = caller.runtime.block_on(asked)?.into_inner().targets;
        assert_eq!(found, pods, "{experiment}");
    }
    let asked = service.terminate(TerminateRequest {
        experiment: object(json!({ "service": SERVICE, "namespace": "shop" })),
        ..TerminateRequest::default()
    });
    let gone = caller.runtime.block_on(asked)?.into_inner().targets;
    assert_eq!(gone, ["shopper-0"]);
    assert!(server.object("Pod", "demo", "provider-0").is_some());
    Ok(())
}

#[test]
fn what_is_wrong_is_said_in_a_sentence() -> Result<()> {
    let caller = Caller::new(1, 1)?;
    let mut service = caller.service.clone();
    for (experiment, code, words) in [
        (json!(null), Code::InvalidArgument, "has no experiment"),
        (
            json!({ "service": SERVICE }),
            Code::InvalidArgument,
            "at least one rule",
        ),
        (
            json!({ "service": SERVICE, "rules": [{ "delay": { "latncy": "1ms" } }] }),
            Code::InvalidArgument,
            "did you mean `latency`",
        ),
        (
            json!({ "service": "provder", "rules": [{ "loss": { "percent": 5 } }] }),
            Code::FailedPrecondition,
            "there is no service `provder`",
        ),
        // What is in a file would come back in the plan.
        (
            json!({ "service": SERVICE, "rules": [{ "http": {
                "error-rate": 1, "error-code": 500, "error-body": "@/etc/hostname" } }] }),
            Code::InvalidArgument,
            "would be a file, and none is read for a request",
        ),
        (
            json!({ "service": SERVICE, "rules": [{ "delay": { "distribution": "/etc/passwd" } }] }),
            Code::InvalidArgument,
            "would be a file, and none is read for a request",
        ),
        (
            json!({ "service": SERVICE, "inventory": "/etc/passwd", "rules": [{ "partition": {} }] }),
            Code::InvalidArgument,
            "would be a file, and none is read for a request",
        ),
    ] {
        let request = InjectRequest {
            experiment: object(experiment),
            dry_run: false,
        };
        let refused = caller
            .runtime
            .block_on(service.inject(request))
            .unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(words), "{refused}");
    }
    // A plan touches nothing.
    let mut plan = delay("1s");
    plan.dry_run = true;
    let answer = caller.runtime.block_on(service.inject(plan))?.into_inner();
    assert!(answer.result.is_some());
    assert!(caller.scene.experiments("node-000").is_empty());
    Ok(())
}

#[test]
fn a_caller_shows_the_token_if_there_is_one() -> Result<()> {
    let scene = Scene::new(1, 1)?;
    let token = [("CHAOS_SERVE_TOKEN", "hush")];
    let mut running = scene.chaosctl_with(&["serve", "--listen", "127.0.0.1:0"], &token)?;
    let address = running.word_after("listening at ")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let url = format!("http://{}", address.trim_end_matches(';'));
    let mut service = runtime.block_on(ChaosServiceClient::connect(url))?;
    let select = || SelectRequest {
        experiment: object(json!({ "service": SERVICE })),
    };
    let refused = runtime.block_on(service.select(select())).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let mut request = Request::new(select());
    request.set_timeout(Duration::from_secs(10));
    request
        .metadata_mut()
        .insert("authorization", "Bearer hush".parse()?);
    let found = runtime.block_on(service.select(request))?.into_inner();
    assert_eq!(found.targets, ["provider-0"]);
    running.interrupt()?;
    assert_eq!(running.finish()?.code, Some(0));
    Ok(())
}
