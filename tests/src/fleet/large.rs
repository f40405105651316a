//! A service of many pods on many nodes, each with a simulated agent, and a run of `chaosctl` against all of them.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use super::{Agent, Fleet, NAMESPACE};
use crate::{
    apiserver::{ApiServer, access::Rule, scene::NewPod},
    lab::Output,
    programs::program,
};

/// The cluster. Its agents keep what they were asked, so one is for one run.
#[derive(Debug)]
pub struct Large {
    server: ApiServer,
    fleet: Fleet,
    kubeconfig: PathBuf,
    _directory: TempDir,
}

/// When a run of `chaosctl` did what.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From its start until the first node was asked to prepare.
    pub planned: Duration,
    /// From its start until the last node was asked to arm.
    pub armed: Duration,
    /// Between the first node and the last that were asked to arm.
    pub spread: Duration,
}

impl Large {
    /// So many of each, the pods behind `provider-chaos-service`.
    pub fn new(nodes: u16, pods: u16) -> Result<Self> {
        let server = ApiServer::start()?;
        server.add_namespace("demo");
        server.add_user("secret", "admin");
        server.allow("admin", Rule::cluster("*", "*", "*"));
        let nodes: Vec<String> = (0..nodes).map(|number| format!("node-{number}")).collect();
        for (node, number) in nodes.iter().zip(0_u16..) {
            let [high, low] = number.to_be_bytes();
            server.add_node(node, Ipv4Addr::new(10, 1, high, low).into(), &[]);
        }
        let fleet = Fleet::start(&server, &nodes)?;
        server.add_service_account(NAMESPACE, "chaosctl");
        let labels = [("app", "provider-chaos")];
        let ports = [("http", 3001, json!(3000))];
        server.add_service("demo", "provider-chaos-service", &labels, &ports, false);
        let pods: Vec<NewPod> = nodes
            .iter()
            .cycle()
            .zip(0..pods)
            .map(|(node, number)| {
                let [high, low] = number.to_be_bytes();
                let address = Ipv4Addr::new(10, 244, high, low);
                NewPod::new("demo", &format!("provider-{number}"), node, address.into())
                    .label("app", "provider-chaos")
                    .port("http", 3000)
            })
            .collect();
        server.add_pods("demo", &pods);
        let directory = tempfile::tempdir()?;
        let kubeconfig = directory.path().join("config");
        server.write_kubeconfig(&kubeconfig, "secret")?;
        Ok(Self {
            server,
            fleet,
            kubeconfig,
            _directory: directory,
        })
    }

    /// Delays all of it, attached, for `duration`, and says when `chaosctl` did what.
    pub fn delay(&self, duration: &str) -> Result<Times> {
        let mut command = Command::new(program("chaosctl")?);
        command
            .args("delay -n demo --svc provider-chaos-service 100ms --duration".split(' '))
            .arg(duration)
            .env("KUBECONFIG", &self.kubeconfig)
            .env_remove("CHAOS_SOCKET")
            .env_remove("CHAOS_SERVER");
        let began = Instant::now();
        let output = Output::of(command, Duration::from_mins(2))?;
        // Nothing goes through simulated agents: what went well ends with 3.
        ensure!(output.code == Some(3), "{output:?}");
        let (prepared, armed) = (self.calls("prepare"), self.calls("arm"));
        let first = *prepared.first().context("no node was asked to prepare")?;
        let (start, end) = armed
            .first()
            .zip(armed.last())
            .context("no node was asked to arm")?;
        Ok(Times {
            planned: first - began,
            armed: *end - began,
            spread: *end - *start,
        })
    }

    /// When nodes were asked for this, in order.
    pub fn calls(&self, method: &str) -> Vec<Instant> {
        let calls = self
            .agents()
            .iter()
            .flat_map(|agent| agent.calls_of(method));
        let mut times: Vec<Instant> = calls.map(|call| call.at).collect();
        times.sort();
        times
    }

    /// One for each node.
    pub fn agents(&self) -> &[Agent] {
        self.fleet.agents()
    }

    /// The API server.
    pub fn server(&self) -> &ApiServer {
        &self.server
    }
}
