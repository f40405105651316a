//! Simulated agents, reached as chaosctl reaches real ones: through the API server.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result};
use chaos_proto::v1::{
    ArmRequest, Pod, PodsSelector, PrepareRequest, Rule, Selector, State, WatchRequest,
    agent_service_client::AgentServiceClient, selector::Where,
};
use chaos_tests::{
    apiserver::{ApiServer, access::Rule as Allowed, kubeconfig::Credentials},
    fleet::{Fleet, NAMESPACE, PORT, pod_name},
    wait::wait_until,
};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1;
use kube::Api;
use tonic::{Code, transport::Endpoint};
use tower::service_fn;

use crate::smoke::client;

fn cluster() -> Result<(ApiServer, Fleet)> {
    let server = ApiServer::start()?;
    server.add_user("secret", "admin");
    server.allow("admin", Allowed::cluster("*", "*", "*"));
    let nodes = ["node-a", "node-b"].map(str::to_owned);
    for (number, node) in (1..).zip(&nodes) {
        server.add_node(node, Ipv4Addr::new(192, 0, 2, number).into(), &[]);
    }
    let fleet = Fleet::start(&server, &nodes)?;
    Ok((server, fleet))
}

async fn agent(
    server: &ApiServer,
    node: &str,
) -> Result<AgentServiceClient<tonic::transport::Channel>> {
    let client = client(server, Credentials::Token("secret".to_owned())).await?;
    let pods: Api<v1::Pod> = Api::namespaced(client, NAMESPACE);
    let name = pod_name(node);
    let connect = service_fn(move |_| {
        let (pods, name) = (pods.clone(), name.clone());
        async move {
            let mut tunnel = pods.portforward(&name, &[PORT]).await?;
            let stream = tunnel.take_stream(PORT).context("a stream")?;
            anyhow::Ok(TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_static("http://agent");
    let channel = endpoint.connect_with_connector(connect).await?;
    Ok(AgentServiceClient::new(channel))
}

fn request() -> PrepareRequest {
    let pod = Pod {
        namespace: "demo".to_owned(),
        name: "a".to_owned(),
        uid: "u".to_owned(),
    };
    PrepareRequest {
        id: "delay-000001".to_owned(),
        selector: Some(Selector {
            r#where: Some(Where::Pods(PodsSelector {
                pods: vec![pod],
                ..PodsSelector::default()
            })),
            ..Selector::default()
        }),
        rules: vec![Rule::default()],
        duration: Duration::from_secs(20).try_into().ok(),
        ..PrepareRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_keeps_experiments_until_the_tunnel_is_cut() -> Result<()> {
    let (server, fleet) = cluster()?;
    let mut client = agent(&server, "node-a").await?;
    let mut wanted = request();
    wanted.grace = Duration::from_millis(100).try_into().ok();
    client.prepare(wanted).await?;
    let id = request().id;
    let mut stream = client
        .watch(WatchRequest {
            id: id.clone(),
            hold: true,
            interval: None,
        })
        .await?
        .into_inner();
    client.arm(ArmRequest { id }).await?;
    let seen = loop {
        let message = stream.message().await?.context("the stream goes on")?;
        let experiment = message.experiment.context("an experiment")?;
        if experiment.state() == State::Armed {
            break experiment;
        }
    };
    assert_eq!(seen.targets.len(), 1);
    assert_eq!(server.open_forwards(), 1);
    server.cut_forwards(Some("node-a"));
    assert!(stream.message().await.is_err());
    let agent = fleet.agent("node-a")?;
    // The agents and the tunnel have threads of their own.
    wait_until("its experiment has ended", Duration::from_secs(10), || {
        agent.experiments()[0].state() == State::Ended
    })?;
    assert_eq!(agent.calls_of("arm").len(), 1);
    assert!(fleet.agent("node-b")?.calls().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_refuses_dies_and_comes_back() -> Result<()> {
    let (server, fleet) = cluster()?;
    let there = fleet.agent("node-b")?;
    let mut client = agent(&server, "node-b").await?;
    there.refuse(Some("prepare"), Code::PermissionDenied, "not here");
    let refused = client.prepare(request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    there.behave();
    client.prepare(request()).await?;
    there.die();
    assert!(client.prepare(request()).await.is_err());
    // The tunnel itself comes about: only who uses it learns that nobody is there.
    let mut gone = agent(&server, "node-b").await?;
    assert!(gone.prepare(request()).await.is_err());
    there.come_back()?;
    agent(&server, "node-b").await?.prepare(request()).await?;
    Ok(())
}
