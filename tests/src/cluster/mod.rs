//! A cluster on one machine: nodes and pods are hosts of a lab, each node has a real agent on its loopback, and the API
//! server is the stand-in, with the roles of `deploy/`.

pub mod manifests;

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    apiserver::{
        ApiServer, Door,
        kubeconfig::{self, Context, Credentials},
        random_uid,
        scene::NewPod,
    },
    daemon::Daemon,
    fleet::{NAMESPACE, PORT, add_agent_pod, pod_name},
    lab::{Cgroup, Host, Lab, Output},
    pod::{Driver, Pod},
    programs::program,
};

/// Where the API server is for who is on the lab's network: the switch's address.
const SWITCH: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);
/// How long an agent's own token lives: longer than any clock of a test is off, as kubelets renew those of real ones.
const TOKENS: Duration = Duration::from_hours(24);
/// How long a command may take; generous.
const PATIENCE: Duration = Duration::from_mins(2);
/// When an agent has forgotten what the API server told it of who may: it believes that for ten seconds.
pub const FORGOTTEN: Duration = Duration::from_secs(11);
/// As whom chaosctl speaks to the agents.
pub const CHAOSCTL: &str = "system:serviceaccount:chaos-system:chaosctl";
/// Who uses chaosctl.
pub const OPERATOR: &str = "operator";

/// A node with its agent. The agent is stopped when it is dropped.
#[derive(Debug)]
pub struct Node {
    /// The agent.
    pub daemon: Daemon,
    /// The host that stands for the node.
    pub host: Host,
}

/// A cluster. Fields are dropped in this order: agents before their lab.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    /// The pods' processes.
    pub pods: Vec<Pod>,
    /// The API server.
    pub server: ApiServer,
    outside: SocketAddr,
    kubeconfig: PathBuf,
    cgroup: Cgroup,
    /// What it is on.
    pub lab: Lab,
}

impl Cluster {
    /// A cluster without nodes, whose operator may use chaosctl in namespace `demo`.
    pub fn new(name: &str) -> Result<Self> {
        let lab = Lab::new(name)?;
        let server = ApiServer::start_tls(&[&SWITCH.to_string()])?;
        let switch = lab.switch().clone();
        let outside = server.listen_by(move || {
            let port = 6443;
            Ok(switch.run(|| TcpListener::bind((SWITCH, port)))??)
        })?;
        for namespace in [NAMESPACE, "demo"] {
            server.add_namespace(namespace);
        }
        for account in ["chaos-daemon", "chaosctl"] {
            server.add_service_account(NAMESPACE, account);
        }
        let role = |file: &str, kind: &str, name: &str| manifests::object(file, kind, name);
        let agents = role("agent-rbac.yaml", "ClusterRole", "chaos-daemon")?;
        server.bind(
            &agents,
            "system:serviceaccount:chaos-system:chaos-daemon",
            None,
        );
        let reach = role("operators-rbac.yaml", "Role", "chaos-reach")?;
        let operators = role("operators-rbac.yaml", "ClusterRole", "chaos-operator")?;
        for user in [OPERATOR, CHAOSCTL] {
            server.bind(&reach, user, Some(NAMESPACE));
            server.bind(&operators, user, Some("demo"));
        }
        server.add_user("operators-token", OPERATOR);
        let kubeconfig = lab.directory().join("kubeconfig");
        let credentials = Credentials::Token("operators-token".to_owned());
        let context = server.context("lab", Some("demo"), credentials);
        kubeconfig::write(&kubeconfig, &[context])?;
        Ok(Self {
            nodes: Vec::new(),
            pods: Vec::new(),
            cgroup: lab.node_cgroup()?,
            server,
            outside,
            kubeconfig,
            lab,
        })
    }

    /// Adds a node with an agent that has these options beside its own.
    pub fn add_node(&mut self, name: &str, options: &[&str]) -> Result<()> {
        self.add_node_at(name, options, None)
    }

    /// Adds a node whose clock is off, such as by `+1h`.
    pub fn add_node_at(&mut self, name: &str, options: &[&str], clock: Option<&str>) -> Result<()> {
        let host = self.lab.host(name)?;
        self.server.add_node(name, host.address_v4().into(), &[]);
        add_agent_pod(&self.server, name);
        let inside = host.clone();
        let door = Door::new(move || {
            let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, PORT));
            inside.run(connect).map_err(io::Error::other)?
        });
        self.server
            .open_port(NAMESPACE, &pod_name(name), PORT, door);
        // What a kubelet makes of a `PodsSelector`'s cgroups has to be there before the agent looks.
        self.lab.child_cgroup(name)?;
        let root = self.lab.cgroup().join(name);
        let policy = self.policy()?;
        let kubeconfig = self.agents_kubeconfig(name)?;
        let listen = format!("127.0.0.1:{PORT}");
        let paths = [&root, &policy, &kubeconfig].map(|path| path.to_string_lossy().into_owned());
        let [root, policy, kubeconfig] = &paths;
        let mut arguments = vec![
            "--kubernetes",
            "--kubeconfig",
            kubeconfig,
            "--node-name",
            name,
            "--listen",
            &listen,
            "--cgroup-root",
            root,
            "--policy",
            policy,
        ];
        arguments.extend(options);
        let daemon = Daemon::start_one_of(&self.lab, &host, &arguments, clock)?;
        self.nodes.push(Node { daemon, host });
        Ok(())
    }

    /// A node.
    pub fn node(&mut self, name: &str) -> Result<&mut Node> {
        let mut nodes = self.nodes.iter_mut();
        let node = nodes.find(|node| node.host.name() == name);
        node.with_context(|| format!("no node {name}"))
    }

    /// Adds a pod in namespace `demo`: a host of that name, processes in cgroups of the node, and the object.
    pub fn add_pod(
        &mut self,
        node: &str,
        name: &str,
        labels: &[(&str, &str)],
        owner: Option<&str>,
    ) -> Result<Host> {
        let host = self.lab.host(name)?;
        let uid = random_uid();
        let mut pod = Pod::start_on(&self.lab, node, &host, &uid, Driver::Systemd)?;
        pod.run(&"7".repeat(64))?;
        self.pods.push(pod);
        let mut object = NewPod::new("demo", name, node, host.address_v4().into())
            .uid(&uid)
            .port("http", 3000);
        for (key, value) in labels {
            object = object.label(key, value);
        }
        if let Some(owner) = owner {
            object = object.owned_by("ReplicaSet", owner);
        }
        self.server.add_pod(&object);
        Ok(host)
    }

    /// Runs chaosctl as the operator, to its end.
    pub fn chaosctl(&self, words: &str) -> Result<Output> {
        let mut command = self.chaosctl_command()?;
        command.args(words.split_whitespace());
        Output::of(command, PATIENCE)
    }

    /// The command, with the operator's kubeconfig and nothing that points elsewhere.
    pub fn chaosctl_command(&self) -> Result<Command> {
        let mut command = self.cgroup.command(program("chaosctl")?)?;
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env_remove("CHAOS_SOCKET")
            .env_remove("CHAOS_SERVER")
            .env_remove("CHAOS_TOKEN");
        Ok(command)
    }

    /// The operator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The same, for the hosts of the lab: the API server has another address there.
    pub fn kubeconfig_within(&self) -> Result<PathBuf> {
        let path = self.lab.directory().join("kubeconfig-within");
        let credentials = Credentials::Token("operators-token".to_owned());
        let context = Context {
            server: self.server.url_at(self.outside),
            ..self.server.context("lab", Some("demo"), credentials)
        };
        kubeconfig::write(&path, &[context])?;
        Ok(path)
    }

    /// The policy that `deploy/` has.
    fn policy(&self) -> Result<PathBuf> {
        let object = manifests::object("policy.yaml", "ConfigMap", "chaos-daemon-policy")?;
        let text = object["data"]["policy.yaml"].as_str();
        let path = self.lab.directory().join("policy.yaml");
        fs::write(&path, text.context("a policy")?).context("write the policy")?;
        Ok(path)
    }

    /// What an agent shows the API server who it is by.
    fn agents_kubeconfig(&self, node: &str) -> Result<PathBuf> {
        let token = self.server.token(NAMESPACE, "chaos-daemon", &[], TOKENS)?;
        let path = self.lab.directory().join(format!("{node}.kubeconfig"));
        let context = Context {
            server: self.server.url_at(self.outside),
            ..self.server.context("node", None, Credentials::Token(token))
        };
        kubeconfig::write(&path, &[context])?;
        Ok(path)
    }
}
