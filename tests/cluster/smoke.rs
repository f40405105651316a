//! The stand-in as an ordinary client of Kubernetes sees it.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    pin::pin,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use chaos_tests::apiserver::{
    ApiServer,
    access::Rule,
    kubeconfig::{self, Credentials},
    scene::NewPod,
};
use futures::TryStreamExt as _;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    core::v1::Pod,
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::watcher,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn scene(server: &ApiServer) {
    server.add_namespace("demo");
    server.add_node("node-a", [192, 0, 2, 10].into(), &[]);
    server.add_service(
        "demo",
        "provider-chaos-service",
        &[("app", "provider-chaos")],
        &[("http", 3001, json!(3000))],
        false,
    );
    for number in 1..=5 {
        let name = format!("provider-chaos-{number}");
        let pod = NewPod::new("demo", &name, "node-a", [10, 244, 0, number].into());
        server.add_pod(&pod.label("app", "provider-chaos").port("http", 3000));
    }
    server.add_user("secret", "admin");
    server.allow("admin", Rule::cluster("*", "*", "*"));
}

pub(crate) async fn client(server: &ApiServer, credentials: Credentials) -> Result<Client> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("config");
    let context = server.context("standin", Some("demo"), credentials);
    kubeconfig::write(&path, &[context])?;
    let file = Kubeconfig::read_from(&path)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_lists_and_watches() -> Result<()> {
    let server = ApiServer::start()?;
    scene(&server);
    let client = client(&server, Credentials::Token("secret".to_owned())).await?;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let list = pods
        .list(&ListParams::default().labels("app in (provider-chaos)"))
        .await?;
    assert_eq!(list.items.len(), 5);
    for config in [
        watcher::Config::default().page_size(2),
        watcher::Config::default().streaming_lists(),
    ] {
        let slices: Api<EndpointSlice> = Api::default_namespaced(client.clone());
        let mut events = pin!(watcher(slices, config));
        let mut first = Vec::new();
        while let Some(event) = events.try_next().await? {
            match event {
                watcher::Event::InitApply(slice) => first.push(slice),
                watcher::Event::InitDone => break,
                watcher::Event::Init | watcher::Event::Apply(_) | watcher::Event::Delete(_) => {}
            }
        }
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].endpoints.len(), 5);
        server.set_pod_ready("demo", "provider-chaos-1", false);
        let Some(watcher::Event::Apply(slice)) = events.try_next().await? else {
            panic!("the slice changes");
        };
        let conditions = slice.endpoints[0]
            .conditions
            .as_ref()
            .context("conditions")?;
        assert_eq!(conditions.ready, Some(false));
        server.set_pod_ready("demo", "provider-chaos-1", true);
        events.try_next().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_carries_bytes_and_says_who_refuses() -> Result<()> {
    let server = ApiServer::start_tls(&[])?;
    scene(&server);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes)?;
        stream.write_all(&bytes)
    });
    server.forward_port("demo", "provider-chaos-1", 7411, address);
    let certificate = server.certify("admin")?;
    let client = client(&server, Credentials::Certificate(certificate)).await?;
    let pods: Api<Pod> = Api::default_namespaced(client);
    let mut tunnel = pods.portforward("provider-chaos-1", &[7411]).await?;
    let mut stream = tunnel.take_stream(7411).context("a stream")?;
    stream.write_all(b"hello").await?;
    let mut back = [0; 5];
    stream.read_exact(&mut back).await?;
    assert_eq!(&back, b"hello");

    let mut tunnel = pods.portforward("provider-chaos-2", &[7411]).await?;
    let error = tunnel
        .take_error(7411)
        .context("an error channel")?
        .await
        .context("an error")?;
    assert!(error.contains("connection refused"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_reviewed_for_an_audience() -> Result<()> {
    let server = ApiServer::start()?;
    scene(&server);
    server.add_service_account("demo", "chaosctl");
    let hour = Duration::from_hours(1);
    let token = server.token("demo", "chaosctl", &["chaos-daemon"], hour)?;
    let client = client(&server, Credentials::Token("secret".to_owned())).await?;
    let reviews: Api<TokenReview> = Api::all(client);
    for (audience, known) in [("chaos-daemon", true), ("other", false)] {
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![audience.to_owned()]),
                token: Some(token.clone()),
            },
            ..TokenReview::default()
        };
        let review = reviews.create(&PostParams::default(), &review).await?;
        let status = review.status.context("a status")?;
        assert_eq!(status.authenticated.unwrap_or_default(), known);
        assert_eq!(status.error.is_none(), known);
    }
    Ok(())
}
