//! chaosctl over several agents: one experiment, whatever happens to one of them.

use std::{
    io::{BufRead as _, BufReader},
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use chaos_proto::v1::{Experiment, State};
use chaos_tests::{
    apiserver::{ApiServer, access::Rule, scene::NewPod},
    fleet::{Fleet, NAMESPACE},
    programs::program,
    wait::wait_until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const SERVICE: &str = "provider-chaos-service";

/// A cluster of simulated agents, and a service in it.
pub(crate) struct Scene {
    pub(crate) server: ApiServer,
    pub(crate) fleet: Fleet,
    directory: TempDir,
}

impl Scene {
    /// With so many nodes, and so many pods of the service, one node after the other.
    pub(crate) fn new(nodes: u8, pods: u16) -> Result<Self> {
        let server = ApiServer::start()?;
        server.add_user("secret", "admin");
        server.allow("admin", Rule::cluster("*", "*", "*"));
        server.add_namespace("demo");
        let nodes: Vec<_> = (0..nodes)
            .map(|number| format!("node-{number:03}"))
            .collect();
        for (number, node) in (0..).zip(&nodes) {
            server.add_node(node, Ipv4Addr::new(192, 0, 2, number).into(), &[]);
        }
        let fleet = Fleet::start(&server, &nodes)?;
        server.add_service_account(NAMESPACE, "chaosctl");
        let labels = [("app", "provider-chaos")];
        server.add_service(
            "demo",
            SERVICE,
            &labels,
            &[("http", 3001, json!(3000))],
            false,
        );
        let scene = Self {
            server,
            fleet,
            directory: tempfile::tempdir()?,
        };
        for (number, node) in (0..pods).zip(nodes.iter().cycle()) {
            scene.add_pod(number, node);
        }
        Ok(scene)
    }

    pub(crate) fn add_pod(&self, number: u16, node: &str) {
        let [high, low] = number.to_be_bytes();
        let address = Ipv4Addr::new(10, 244, high, low).into();
        let pod = NewPod::new("demo", &format!("provider-{number}"), node, address);
        let pod = pod.label("app", "provider-chaos").port("http", 3000);
        self.server.add_pod(&pod);
    }

    pub(crate) fn chaosctl(&self, arguments: &[&str]) -> Result<Running> {
        self.chaosctl_with(arguments, &[])
    }

    /// With these variables besides.
    pub(crate) fn chaosctl_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Running> {
        let config = self.directory.path().join("config");
        self.server.write_kubeconfig(&config, "secret")?;
        let mut child = Command::new(program("chaosctl")?)
            .args(arguments)
            .args(["-n", "demo", "-o", "json", "--kubeconfig"])
            .arg(config)
            .env_remove("CHAOS_SOCKET")
            .env_remove("CHAOS_SERVER")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("standard error")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Running {
            child: Some(child),
            lines,
            stderr: String::new(),
        })
    }

    /// Starts a delay on the service, and waits until it acts.
    pub(crate) fn delay(&self, duration: &str) -> Result<Running> {
        let arguments = ["delay", "--svc", SERVICE, "--port", "3001", "100ms"];
        let mut running = self.chaosctl(&[&arguments[..], &["--duration", duration]].concat())?;
        running.wait_for("Ctrl-C ends it at once")?;
        Ok(running)
    }

    /// Starts a delay that goes on by itself, and gives its id.
    pub(crate) fn detach(&self, place: [&str; 2]) -> Result<String> {
        self.chaosctl(&detached(place))?.finish()?.exited_with(0);
        Ok(self.id())
    }

    /// The id of what was started first.
    pub(crate) fn id(&self) -> String {
        self.experiments("node-000")[0].id.clone()
    }

    pub(crate) fn experiments(&self, node: &str) -> Vec<Experiment> {
        self.fleet
            .agent(node)
            .map(chaos_tests::fleet::Agent::experiments)
            .unwrap_or_default()
    }

    /// So many pods are hit on a node.
    pub(crate) fn hit(&self, node: &str) -> usize {
        let armed = self.experiments(node).into_iter();
        armed
            .filter(|experiment| experiment.state() == State::Armed)
            .flat_map(|experiment| experiment.targets)
            .filter(|target| !target.gone)
            .count()
    }
}

/// What starts a delay that goes on by itself, at this place.
pub(crate) fn detached([option, name]: [&str; 2]) -> [&str; 7] {
    [
        "delay",
        option,
        name,
        "100ms",
        "--duration",
        "60s",
        "--detach",
    ]
}

/// A command that has not ended. Whoever lets go of it ends it.
pub(crate) struct Running {
    child: Option<Child>,
    lines: Receiver<String>,
    stderr: String,
}

pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn wait_for(&mut self, text: &str) -> Result<()> {
        while !self.stderr.contains(text) {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                bail!("chaosctl did not say `{text}`, only:\n{}", self.stderr);
            };
            self.stderr.push_str(&line);
            self.stderr.push('\n');
        }
        Ok(())
    }

    /// Waits for some text, and returns the word behind it.
    pub(crate) fn word_after(&mut self, text: &str) -> Result<String> {
        self.wait_for(text)?;
        let behind = self.stderr.split(text).nth(1);
        let word = behind.and_then(|behind| behind.split_whitespace().next());
        Ok(word.context("a word")?.to_owned())
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) -> Result<()> {
        let child = self.child.as_ref().context("a command")?;
        let pid = Pid::from_raw(child.id().try_into()?);
        Ok(kill(pid, Signal::SIGINT)?)
    }

    /// Ctrl-C, and all goes well.
    pub(crate) fn interrupt_well(self) -> Result<()> {
        self.interrupt()?;
        self.finish()?.went_well();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Finished> {
        let child = self.child.take().context("a command")?;
        let output = child.wait_with_output()?;
        for line in &self.lines {
            self.stderr.push_str(&line);
            self.stderr.push('\n');
        }
        Ok(Finished {
            code: output.status.code(),
            json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            stderr: std::mem::take(&mut self.stderr),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Finished {
    #[track_caller]
    pub(crate) fn exited_with(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
    }

    #[track_caller]
    pub(crate) fn said(&self, words: &str) {
        assert!(
            self.stderr.contains(words),
            "not {words:?}, but: {}",
            self.stderr
        );
    }

    /// Fake agents hit nothing: what went well ends with 3.
    pub(crate) fn went_well(&self) {
        self.exited_with(3);
        assert_eq!(self.json["outcome"], "nothing_matched");
    }
}

#[test]
fn pods_that_appear_join_and_those_that_leave_are_let_go() -> Result<()> {
    let scene = Scene::new(3, 4)?;
    let mut running = scene.delay("8s")?;
    assert_eq!(
        [2, 1, 1].to_vec(),
        ["node-000", "node-001", "node-002"].map(|node| scene.hit(node))
    );
    scene.add_pod(10, "node-001");
    running.wait_for("1 pod joined: provider-10")?;
    wait_until("the pod to be hit", PATIENCE, || scene.hit("node-001") == 2)?;
    scene.server.delete_pod("demo", "provider-2");
    running.wait_for("1 pod left: provider-2")?;
    wait_until("the node to be let go", PATIENCE, || {
        scene.hit("node-002") == 0
    })?;
    // It comes back to a node whose part has ended.
    scene.add_pod(11, "node-002");
    wait_until("the node to be hit again", PATIENCE, || {
        scene.hit("node-002") == 1
    })?;
    let id = scene.id();
    let of_node: Vec<_> = scene
        .experiments("node-002")
        .into_iter()
        .map(|part| part.id)
        .collect();
    assert_eq!(of_node, [id.clone(), format!("{id}.2")]);
    let finished = running.finish()?;
    finished.went_well();
    assert_eq!(finished.json["experiment"]["id"], id);
    assert_eq!(
        finished.json["experiment"]["nodes"]
            .as_array()
            .map(Vec::len),
        Some(4)
    );
    Ok(())
}

#[test]
fn one_node_that_cannot_keeps_all_from_it() -> Result<()> {
    let scene = Scene::new(3, 3)?;
    let refusing = scene.fleet.agent("node-001")?;
    refusing.refuse(
        Some("prepare"),
        Code::FailedPrecondition,
        "this kernel cannot do it",
    );
    let finished = scene
        .chaosctl(&["delay", "--svc", SERVICE, "100ms"])?
        .finish()?;
    finished.exited_with(1);
    assert_eq!(
        finished.stderr,
        "error: nothing was applied, because 1 of 3 nodes cannot take part:\n  node-001  this kernel cannot do it\n"
    );
    for node in ["node-000", "node-002"] {
        let agent = scene.fleet.agent(node)?;
        assert!(agent.calls_of("arm").is_empty());
        assert_eq!(agent.calls_of("disarm").len(), 1, "{node}");
    }
    Ok(())
}

#[test]
fn a_cut_connection_is_made_anew() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    let mut running = scene.delay("6s")?;
    scene.server.cut_forwards(Some("node-000"));
    running.wait_for("node-000: connected again")?;
    let finished = running.finish()?;
    finished.went_well();
    assert_eq!(scene.fleet.agent("node-000")?.calls_of("arm").len(), 1);
    Ok(())
}

#[test]
fn a_new_agent_gets_the_time_that_is_left() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    let began = Instant::now();
    let mut running = scene.delay("8s")?;
    let agent = scene.fleet.agent("node-000")?;
    agent.stop();
    running.wait_for("node-000: its agent was stopped")?;
    agent.die();
    agent.come_back()?;
    running.wait_for("node-000: armed again for the")?;
    assert_eq!(scene.hit("node-000"), 1);
    let finished = running.finish()?;
    finished.went_well();
    assert!(began.elapsed() >= Duration::from_secs(8));
    let reasons = finished.json["experiment"]["nodes"]
        .as_array()
        .context("nodes")?
        .iter();
    let reasons: Vec<_> = reasons
        .map(|node| node["end_reason"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(reasons, ["agent_stopped", "expired", "expired"]);
    Ok(())
}

#[test]
fn a_node_that_is_lost_is_named_and_the_others_go_on() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    let mut running = scene.delay("8s")?;
    scene.server.lose_node("node-001");
    scene.fleet.agent("node-001")?.die();
    running.wait_for("node-001: its agent cannot be reached")?;
    assert_eq!(scene.hit("node-000"), 1);
    let finished = running.finish()?;
    finished.exited_with(1);
    finished.said("did not run to its end on 1 of 2 nodes:\n  node-001  its agent could not be reached any more");
    assert_eq!(finished.json["outcome"], "ended_early");
    Ok(())
}

#[test]
fn a_run_goes_on_without_the_api_server() -> Result<()> {
    let scene = Scene::new(1, 1)?;
    let mut running = scene.delay("20s")?;
    scene
        .server
        .fail_next(1000, "GET", "endpointslices", "etcd is gone");
    scene.server.forget_history();
    scene.server.add_namespace("other");
    let id = scene.id();
    let stopped = scene.chaosctl(&["stop", &id])?.finish()?;
    stopped.exited_with(0);
    running.wait_for("ended: somebody asked for it")?;
    assert_eq!(running.finish()?.code, Some(3));
    Ok(())
}
