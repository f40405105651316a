//! A node with an agent, a pod, somebody elsewhere, and an API server; and the calls that control makes.

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    time::Duration,
};

use chaos_proto::v1::{
    ArmRequest, DisarmRequest, Experiment, Filter, ListRequest, Loss, Origin, Pod as WirePod,
    PodsSelector, PrepareRequest, PrepareResponse, Rule as WireRule, Selector,
    agent_service_client::AgentServiceClient, disarm_request::Which, rule::Fault, selector::Where,
};
use chaos_tests::{
    apiserver::{
        ApiServer,
        access::Rule,
        kubeconfig::{self, Context, Credentials},
        scene::NewPod,
    },
    cluster::manifests,
    daemon::Daemon,
    lab::{Family, Host, Lab},
    pod::{Driver, Pod},
    wait::wait_for,
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

pub(super) const UID: &str = "0d3f9c1e-6a1b-4c1e-9d2f-0a1b2c3d4e5f";
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const PORT: u16 = 7411;
pub(super) const METRICS: u16 = 7412;

/// A node with an agent, a pod on it, a consumer elsewhere, and the API server.
pub(super) struct Scene {
    pub(super) daemon: Daemon,
    pub(super) server: ApiServer,
    pub(super) node: Host,
    pub(super) provider: Host,
    pub(super) consumer: Host,
    pub(super) audit: PathBuf,
    pub(super) policy: PathBuf,
    pub(super) runtime: Runtime,
    _pod: Pod,
    pub(super) lab: Lab,
}

impl Scene {
    pub(super) fn new(name: &str) -> Self {
        let lab = Lab::new(name).unwrap();
        let [node, provider, consumer] =
            ["node-a", "provider-1", "consumer"].map(|name| lab.host(name).unwrap());
        let pod = Pod::start(&lab, &provider, UID, Driver::Systemd).unwrap();
        let server = ApiServer::start().unwrap();
        server.add_namespace("demo");
        server.add_node("node-a", node.address(Family::V4), &[]);
        server.add_service(
            "demo",
            "provider",
            &[("app", "provider")],
            &[("http", 80, json!(3000))],
            false,
        );
        let address = provider.address(Family::V4);
        let of_demo = NewPod::new("demo", "provider-1", "node-a", address).uid(UID);
        server.add_pod(&of_demo.label("app", "provider").port("http", 3000));
        server.change_pod("demo", "provider-1", |pod, _| {
            pod["spec"]["containers"][0]["livenessProbe"] =
                json!({"httpGet": {"path": "/", "port": "http"}});
        });
        server.add_user("agent", "agent");
        let role = manifests::object("agent-rbac.yaml", "ClusterRole", "chaos-daemon");
        server.bind(&role.unwrap(), "agent", None);
        for user in ["ann", "bob", "eve"] {
            server.add_service_account("demo", user);
        }
        for user in ["ann", "bob"] {
            let user = format!("system:serviceaccount:demo:{user}");
            server.allow(
                &user,
                Rule::cluster("*", "chaos.dev", "faults").within("demo"),
            );
        }
        let inside = node.clone();
        let open = move || Ok(inside.run(|| TcpListener::bind("127.0.0.1:0"))??);
        let at = server.listen_by(open).unwrap();
        let files = lab.directory().to_owned();
        let [config, audit, policy] =
            ["agent.kubeconfig", "audit.log", "policy.yaml"].map(|name| files.join(name));
        let context = Context {
            server: server.url_at(at),
            ..server.context("standin", None, Credentials::Token("agent".to_owned()))
        };
        kubeconfig::write(&config, &[context]).unwrap();
        fs::write(&policy, "").unwrap();
        let (listen, metrics) = (format!("127.0.0.1:{PORT}"), format!("127.0.0.1:{METRICS}"));
        let root = lab.cgroup().to_string_lossy().into_owned();
        let [config_text, audit_text, policy_text] =
            [&config, &audit, &policy].map(|path| path.to_string_lossy().into_owned());
        let name = "node-a".to_owned();
        let arguments = [
            ("--kubeconfig", &config_text),
            ("--node-name", &name),
            ("--listen", &listen),
            ("--metrics", &metrics),
            ("--cgroup-root", &root),
            ("--audit-log", &audit_text),
            ("--policy", &policy_text),
        ]
        .map(|(name, value)| [name, value.as_str()])
        .concat();
        let daemon = Daemon::start_inside(&lab, &node, &arguments).unwrap();
        Self {
            daemon,
            server,
            node,
            provider,
            consumer,
            audit,
            policy,
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            _pod: pod,
            lab,
        }
    }

    pub(super) fn token(&self, user: &str) -> String {
        let hour = Duration::from_hours(1);
        self.server
            .token("demo", user, &["chaos-daemon"], hour)
            .unwrap()
    }

    pub(super) fn service(&self) -> AgentServiceClient<Channel> {
        let node = self.node.clone();
        let connect = tower::service_fn(move |_| {
            let address = SocketAddr::from(([127, 0, 0, 1], PORT));
            let stream = node.run(|| TcpStream::connect(address));
            async move {
                let stream = stream.map_err(std::io::Error::other)??;
                stream.set_nonblocking(true)?;
                let stream = tokio::net::TcpStream::from_std(stream)?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
            }
        });
        let endpoint = Endpoint::from_static("http://agent");
        let channel = self
            .runtime
            .block_on(endpoint.connect_with_connector(connect));
        AgentServiceClient::new(channel.unwrap())
    }

    pub(super) fn prepare(
        &self,
        token: &str,
        request: PrepareRequest,
    ) -> Result<PrepareResponse, Status> {
        let mut service = self.service();
        let answer = service.prepare(with_token(token, request));
        self.runtime
            .block_on(answer)
            .map(tonic::Response::into_inner)
    }

    pub(super) fn start(&self, token: &str, id: &str) -> Experiment {
        let prepared = self.prepare(token, request(id, pods(UID))).unwrap();
        let id = prepared.experiment.unwrap().id;
        let mut service = self.service();
        let armed = service.arm(with_token(token, ArmRequest { id }));
        let armed = self.runtime.block_on(armed).unwrap();
        armed.into_inner().experiment.unwrap()
    }

    pub(super) fn stop(&self, token: &str, id: &str) -> Result<Vec<Experiment>, Status> {
        let mut service = self.service();
        let which = Some(Which::Id(id.to_owned()));
        let answer = service.disarm(with_token(token, DisarmRequest { which }));
        let answer = self.runtime.block_on(answer)?;
        Ok(answer.into_inner().experiments)
    }

    pub(super) fn stop_all(&self, token: &str) -> Result<Vec<Experiment>, Status> {
        let mut service = self.service();
        let which = Some(Which::All(true));
        let answer = service.disarm(with_token(token, DisarmRequest { which }));
        let answer = self.runtime.block_on(answer)?;
        Ok(answer.into_inner().experiments)
    }

    /// Calls prepare, and leaves before there is an answer.
    pub(super) fn leave_prepare(&self, token: &str, request: PrepareRequest) {
        let mut service = self.service();
        let call = async {
            let answer = service.prepare(with_token(token, request));
            tokio::time::timeout(Duration::from_millis(300), answer).await
        };
        assert!(self.runtime.block_on(call).is_err(), "it was answered");
    }

    /// The last line about this call, once there is one.
    pub(super) fn line(&self, call: &str) -> Value {
        let found = || self.audit(call).pop();
        wait_for(&format!("a line about {call}"), PATIENCE, found).unwrap()
    }

    pub(super) fn list(&self, token: &str) -> Result<Vec<Experiment>, Status> {
        let mut service = self.service();
        let answer = service.list(with_token(token, ListRequest::default()));
        let answer = self.runtime.block_on(answer)?;
        Ok(answer.into_inner().experiments)
    }

    /// Lines of the audit log about this call.
    pub(super) fn audit(&self, call: &str) -> Vec<Value> {
        let text = fs::read_to_string(&self.audit).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["call"] == call).collect()
    }

    /// What events say, once there are so many about this object.
    pub(super) fn events(&self, kind: &str, reason: &str, count: usize) -> Vec<String> {
        let found = || {
            let all = self.server.objects("Event", "demo");
            let ours = all
                .iter()
                .filter(|event| event["regarding"]["kind"] == kind && event["reason"] == reason);
            let notes = ours.map(|event| event["note"].as_str().unwrap().to_owned());
            let notes: Vec<String> = notes.collect();
            (notes.len() >= count).then_some(notes)
        };
        let what = format!("{count} events {reason} about {kind}");
        wait_for(&what, PATIENCE, found).unwrap()
    }

    pub(super) fn stop_agent(mut self) {
        assert!(
            self.daemon.stop().unwrap().success(),
            "{}",
            self.daemon.log_tail()
        );
        drop(self.lab);
    }
}

pub(super) fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !token.is_empty() {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

pub(super) fn pods(uid: &str) -> Where {
    Where::Pods(PodsSelector {
        pods: vec![WirePod {
            namespace: "demo".into(),
            name: "provider-1".into(),
            uid: uid.into(),
        }],
        origin: Some(Origin {
            kind: "Service".into(),
            namespace: "demo".into(),
            name: "provider".into(),
            ready: 5,
            chosen: 1,
        }),
        container: String::new(),
    })
}

/// All that the targets send is lost, for ten minutes.
pub(super) fn request(id: &str, at: Where) -> PrepareRequest {
    PrepareRequest {
        id: id.into(),
        selector: Some(Selector {
            r#where: Some(at),
            interface: String::new(),
        }),
        rules: vec![WireRule {
            filter: Some(Filter::default()),
            fault: Some(Fault::Loss(Loss {
                share_ppm: 1_000_000,
                ..Loss::default()
            })),
            pulse: None,
        }],
        duration: Some(prost_types::Duration {
            seconds: 600,
            nanos: 0,
        }),
        detached: true,
        ..PrepareRequest::default()
    }
}

pub(super) fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status.message().to_owned())
}

pub(super) fn http(scene: &Scene, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
    let answer = scene.node.run(move || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", METRICS))?;
        stream.write_all(request.as_bytes())?;
        std::io::read_to_string(stream)
    });
    answer.unwrap().unwrap()
}
