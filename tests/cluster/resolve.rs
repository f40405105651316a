//! From what the user points at to who would be hit: the real chaosctl, planning only, and the API server.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod peers;
mod ports;
mod refused;
mod selectors;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use chaos_tests::apiserver::kubeconfig::{self, Credentials};
use chaos_tests::apiserver::scene::NewPod;
use chaos_tests::apiserver::{ApiServer, access::Rule};
use chaos_tests::programs::program;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A cluster, and a kubeconfig for it with two contexts: `demo` in namespace demo, and `elsewhere` in `shop`.
struct Cluster {
    server: ApiServer,
    directory: TempDir,
}

/// What a finished chaosctl left.
#[derive(Debug)]
struct Finished {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Finished {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Names of all pods of the plan, each with its node.
    fn pods(&self) -> BTreeSet<String> {
        let mut pods = BTreeSet::new();
        for part in self.json()["plan"]["parts"].as_array().unwrap() {
            for pod in part["pods"].as_array().unwrap() {
                let (name, node) = (
                    pod["name"].as_str().unwrap(),
                    part["node"].as_str().unwrap(),
                );
                assert!(pods.insert(format!("{name}@{node}")), "twice: {name}");
            }
        }
        pods
    }

    /// One filter of the first rule of each part.
    fn filters(&self) -> Vec<Value> {
        let json = self.json();
        let parts = json["plan"]["parts"].as_array().unwrap();
        parts
            .iter()
            .map(|part| part["rules"][0]["filter"].clone())
            .collect()
    }
}

impl Cluster {
    /// Two nodes with five providers behind the tutorial's service, a sixth pod with other labels, and a consumer in
    /// another namespace.
    fn start() -> Self {
        let server = ApiServer::start().unwrap();
        for namespace in ["demo", "shop"] {
            server.add_namespace(namespace);
        }
        server.add_node("node-a", [192, 0, 2, 10].into(), &[("disk", "fast")]);
        server.add_node("node-b", [192, 0, 2, 11].into(), &[]);
        let labels = [("app", "provider-chaos")];
        let set = server.add_workload("Deployment", "demo", "provider-chaos", &labels, 5);
        server.add_service(
            "demo",
            "provider-chaos-service",
            &labels,
            &[("http", 3001, json!(3000))],
            false,
        );
        for number in 1..=5 {
            let node = if number < 4 { "node-a" } else { "node-b" };
            let name = format!("provider-{number}");
            let pod = NewPod::new("demo", &name, node, [10, 244, 0, number].into());
            let pod = pod.label("app", "provider-chaos").port("http", 3000);
            server.add_pod(&pod.owned_by("ReplicaSet", &set));
        }
        server.add_pod(
            &NewPod::new("demo", "bystander", "node-a", [10, 244, 0, 9].into())
                .label("app", "other"),
        );
        server.add_pod(
            &NewPod::new("shop", "consumer", "node-b", [10, 244, 1, 1].into())
                .label("app", "consumer"),
        );
        server.add_service(
            "shop",
            "db",
            &[("app", "db")],
            &[("", 5432, json!(5432))],
            false,
        );
        server.add_user("secret", "admin");
        server.allow("admin", Rule::cluster("*", "*", "*"));
        server.add_user("weak", "weak");
        let directory = tempfile::tempdir().unwrap();
        let context = |name, namespace, token: &str| {
            server.context(name, Some(namespace), Credentials::Token(token.to_owned()))
        };
        let contexts = [
            context("demo", "demo", "secret"),
            context("elsewhere", "shop", "secret"),
            context("weak", "demo", "weak"),
            context("stranger", "demo", "unknown"),
        ];
        kubeconfig::write(&directory.path().join("config"), &contexts).unwrap();
        Self { server, directory }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    fn chaosctl(&self, words: &str) -> Finished {
        let mut command = Command::new(program("chaosctl").unwrap());
        command
            .args(words.split(' '))
            .env("KUBECONFIG", self.kubeconfig())
            .env_remove("CHAOS_SOCKET")
            .env_remove("CHAOS_SERVER");
        let output = command.output().unwrap();
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The plan of a delay with these options.
    fn plan(&self, options: &str) -> Finished {
        let finished = self.chaosctl(&format!(
            "delay 100ms --context demo --dry-run -o json {options}"
        ));
        assert_ne!(finished.stdout, "", "{options}: {finished:?}");
        finished
    }

    /// The sentence of a refusal with exit code 1 or as given; nothing else may be said or applied.
    fn refusal(&self, words: &str, code: i32) -> String {
        let finished = self.chaosctl(words);
        assert_eq!(finished.code, Some(code), "{words}: {finished:?}");
        assert_eq!(finished.stdout, "", "{words}");
        let first = finished.stderr.lines().next().unwrap_or_default();
        first
            .strip_prefix("error: ")
            .unwrap_or_else(|| panic!("{finished:?}"))
            .to_owned()
    }
}

fn set(words: &str) -> BTreeSet<String> {
    words.split(' ').map(str::to_owned).collect()
}

const ALL: &str =
    "provider-1@node-a provider-2@node-a provider-3@node-a provider-4@node-b provider-5@node-b";
