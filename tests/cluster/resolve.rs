//! From what the user points at to who would be hit: the real chaosctl, planning only, and the API server.

use std::collections::BTreeSet;
use std::fmt::Write as _;
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

#[test]
fn a_service_is_its_ready_endpoints() {
    let cluster = Cluster::start();
    let plan = cluster.plan("--svc provider-chaos-service");
    assert_eq!(plan.pods(), set(ALL));
    let parts = plan.json()["plan"]["parts"].as_array().unwrap().len();
    assert_eq!(parts, 2);
    let origin = &plan.json()["plan"]["origin"];
    assert_eq!(
        (&origin["ready"], &origin["chosen"]),
        (&json!(5), &json!(5))
    );
    // Without --port it is all packets of the pods.
    assert_eq!(plan.filters()[0]["target_ports"], json!([]));

    cluster.server.set_pod_ready("demo", "provider-1", false);
    cluster.server.terminate_pod("demo", "provider-4");
    let plan = cluster.plan("--svc provider-chaos-service");
    assert_eq!(
        plan.pods(),
        set("provider-2@node-a provider-3@node-a provider-5@node-b")
    );
}

#[test]
fn a_port_of_the_service_is_the_port_of_its_pods() {
    let cluster = Cluster::start();
    for port in ["3001", "http", "3000-3010"] {
        let plan = cluster.plan(&format!("--svc provider-chaos-service --port {port}"));
        for filter in plan.filters() {
            assert_eq!(filter["ports"], json!([]));
            assert_eq!(
                filter["target_ports"],
                json!([{"first": 3000, "last": 3000}])
            );
        }
    }
    let words = "delay 1ms --context demo --dry-run --svc provider-chaos-service --port";
    assert_eq!(
        cluster.refusal(&format!("{words} 3000"), 1),
        "service provider-chaos-service has no port 3000: its ports are 3001 (http)"
    );
    assert!(
        cluster
            .refusal(&format!("{words} https"), 1)
            .contains("has no port https")
    );
    assert!(
        cluster
            .refusal(&format!("{words} 3001 --target-port 3000"), 2)
            .contains("give one of them")
    );
}

#[test]
fn pods_that_map_a_named_port_differently_are_parts_of_their_own() {
    let cluster = Cluster::start();
    let labels = [("app", "two")];
    cluster
        .server
        .add_service("demo", "two", &labels, &[("web", 80, json!("web"))], false);
    for (number, port) in [(1, 8080), (2, 8080), (3, 9090)] {
        let name = format!("two-{number}");
        let pod = NewPod::new("demo", &name, "node-a", [10, 244, 2, number].into());
        cluster
            .server
            .add_pod(&pod.label("app", "two").port("web", port));
    }
    let plan = cluster.plan("--svc two --port 80");
    let ports: BTreeSet<_> = plan
        .filters()
        .iter()
        .map(|filter| filter["target_ports"][0]["first"].as_u64().unwrap())
        .collect();
    assert_eq!(ports, [8080, 9090].into());
    assert_eq!(plan.pods().len(), 3);
    let translated = &plan.json()["plan"]["ports"];
    assert_eq!(
        translated[0],
        json!({"port": "80", "target_port": 8080, "pods": 2})
    );
    assert_eq!(
        translated[1],
        json!({"port": "80", "target_port": 9090, "pods": 1})
    );
    assert_eq!(
        cluster.plan("--svc two").json()["plan"]["parts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn services_without_selector_or_address_are_services() {
    let cluster = Cluster::start();
    cluster
        .server
        .add_service("demo", "mine", &[], &[("", 80, json!(80))], false);
    cluster.server.put(
        "EndpointSlice",
        json!({
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
            "metadata": {"name": "mine-1", "namespace": "demo", "labels": {"kubernetes.io/service-name": "mine"}},
            "endpoints": [{"addresses": ["10.244.0.9"]}, {"addresses": ["203.0.113.7"]}],
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        }),
    );
    let plan = cluster.plan("--svc mine --port 80");
    assert_eq!(plan.pods(), set("bystander@node-a"));
    assert_eq!(plan.filters()[0]["target_ports"][0]["first"], json!(8080));
    let notes = plan.json()["plan"]["notes"].to_string();
    assert!(notes.contains("endpoint 203.0.113.7 is no pod"), "{notes}");

    let labels = [("app", "provider-chaos")];
    cluster
        .server
        .add_service("demo", "headless", &labels, &[], true);
    assert_eq!(cluster.plan("--svc headless").pods(), set(ALL));

    cluster.server.put(
        "Service",
        json!({
            "kind": "Service", "apiVersion": "v1", "metadata": {"name": "outside", "namespace": "demo"},
            "spec": {"type": "ExternalName", "externalName": "db.example.com"},
        }),
    );
    let said = cluster.refusal("delay 1ms --context demo --svc outside", 1);
    assert!(
        said.contains("is of type ExternalName: it has no pods"),
        "{said}"
    );
}

#[test]
fn pods_labels_workloads_and_nodes() {
    let cluster = Cluster::start();
    for (options, pods) in [
        (
            "--pod provider-1 --pod bystander",
            "provider-1@node-a bystander@node-a",
        ),
        (
            "--pod provider-4,provider-1",
            "provider-1@node-a provider-4@node-b",
        ),
        ("-l app=other", "bystander@node-a"),
        ("-l app!=provider-chaos", "bystander@node-a"),
        ("-n shop -l app", "consumer@node-b"),
        ("--deployment provider-chaos", ALL),
        ("--svc provider-chaos-service -c main", ALL),
    ] {
        assert_eq!(cluster.plan(options).pods(), set(pods), "{options}");
    }
    // Only pods that the Deployment owns, whatever their labels.
    cluster.server.add_pod(
        &NewPod::new("demo", "stray", "node-a", [10, 244, 0, 77].into())
            .label("app", "provider-chaos"),
    );
    assert_eq!(cluster.plan("--deployment provider-chaos").pods(), set(ALL));
    for kind in ["StatefulSet", "DaemonSet"] {
        let name = kind.to_lowercase();
        let labels = [("app", name.as_str())];
        cluster.server.add_workload(kind, "demo", &name, &labels, 1);
        let address = [10, 244, 3, u8::try_from(kind.len()).unwrap()];
        let pod = NewPod::new("demo", &format!("{name}-0"), "node-b", address.into());
        let pod = pod.label("app", &name).owned_by(kind, &name);
        cluster.server.add_pod(&pod);
        let plan = cluster.plan(&format!("--{name} {name}"));
        assert_eq!(plan.pods(), set(&format!("{name}-0@node-b")));
    }
    for (options, nodes) in [
        ("--node=node-b", "node-b"),
        ("--node node-b", "node-b"),
        ("--node=node-a,node-b", "node-a node-b"),
        ("--node-selector disk=fast", "node-a"),
    ] {
        let plan = cluster.plan(options).json();
        let parts = plan["plan"]["parts"].as_array().unwrap();
        let found = parts
            .iter()
            .map(|part| part["node"].as_str().unwrap().to_owned());
        assert_eq!(found.collect::<BTreeSet<_>>(), set(nodes), "{options}");
    }
}

#[test]
fn a_mode_and_a_seed_choose_the_same_again() {
    let cluster = Cluster::start();
    let count = |mode: &str| {
        cluster
            .plan(&format!("-l app=provider-chaos --mode {mode}"))
            .pods()
            .len()
    };
    for (mode, pods) in [
        ("one", 1),
        ("fixed=2", 2),
        ("fixed=9", 5),
        ("percent=41", 3),
        ("all", 5),
    ] {
        assert_eq!(count(mode), pods, "{mode}");
    }
    let with = |seed: u32| {
        cluster.plan(&format!(
            "--svc provider-chaos-service --mode fixed=2 --seed {seed}"
        ))
    };
    let chosen = with(7);
    assert_eq!(chosen.pods(), with(7).pods());
    assert!((0..20).any(|seed| with(seed).pods() != chosen.pods()));
    let origin = &chosen.json()["plan"]["origin"];
    assert_eq!(
        (&origin["ready"], &origin["chosen"]),
        (&json!(5), &json!(2))
    );
}

#[test]
fn peers_are_the_addresses_of_what_they_name() {
    let cluster = Cluster::start();
    let own = cluster
        .server
        .object("Service", "demo", "provider-chaos-service")
        .unwrap();
    let own = own["spec"]["clusterIP"].as_str().unwrap().to_owned();
    let mut providers = own.clone();
    for number in 1..=5 {
        write!(providers, " 10.244.0.{number}").unwrap();
    }
    for (peer, addresses) in [
        ("svc/provider-chaos-service", providers.as_str()),
        ("svc/provider-chaos-service.demo", &providers),
        ("pod/bystander", "10.244.0.9"),
        ("pod/consumer.shop", "10.244.1.1"),
        ("ns/shop", "10.244.1.1"),
        ("node/node-a", "192.0.2.10"),
        ("label/app=other", "10.244.0.9"),
        ("label/app=consumer@shop", "10.244.1.1"),
        ("10.0.0.0/8,pod/bystander", "10.0.0.0/8 10.244.0.9"),
    ] {
        let plan = cluster.plan(&format!("--pod provider-1 --peer {peer}"));
        let found = plan.filters()[0]["peers"].clone();
        let found = found
            .as_array()
            .unwrap()
            .iter()
            .map(|peer| peer.as_str().unwrap().to_owned());
        let found: BTreeSet<_> = found.filter(|address| address != "::1").collect();
        assert_eq!(found, set(addresses), "{peer}");
    }
    // Partition provider from consumer: one command.
    let words = "partition --context demo --dry-run --svc provider-chaos-service --peer label/app=consumer@shop";
    let finished = cluster.chaosctl(words);
    assert!(
        finished.stdout.contains("to or from 10.244.1.1"),
        "{finished:?}"
    );
    let except = cluster.plan("--pod provider-1 --except svc/provider-chaos-service");
    assert_eq!(
        except.filters()[0]["except_peers"]
            .as_array()
            .unwrap()
            .len(),
        6
    );
    let words = "delay 1ms --context demo --pod provider-1 --peer db.invalid";
    assert!(
        cluster
            .refusal(words, 2)
            .starts_with("peer `db.invalid` cannot be looked up: ")
    );
    // A rule without peers would match all of them.
    let words = "delay 1ms --context demo --pod provider-1 --peer ns/kube-system";
    assert!(
        cluster
            .refusal(words, 1)
            .starts_with("there is no namespace `kube-system`")
    );
    cluster.server.add_namespace("empty");
    let words = "delay 1ms --context demo --pod provider-1 --peer ns/empty";
    assert!(
        cluster
            .refusal(words, 1)
            .starts_with("peer `ns/empty` has no address: ")
    );
}

#[test]
fn what_is_not_there_is_one_sentence_and_near_misses() {
    let cluster = Cluster::start();
    cluster
        .server
        .add_service("demo", "empty", &[("app", "nobody")], &[], false);
    for (options, sentence) in [
        (
            "--svc provider-chaos-servcie",
            "there is no service `provider-chaos-servcie` in namespace demo: did you mean provider-chaos-service?",
        ),
        (
            "--svc provider",
            "there is no service `provider` in namespace demo: did you mean provider-chaos-service?",
        ),
        (
            "--svc db",
            "there is no service `db` in namespace demo: it is in namespace shop, give `-n shop`",
        ),
        (
            "--svc unheard-of",
            "there is no service `unheard-of` in namespace demo",
        ),
        (
            "--pod provder-1",
            "there is no pod `provder-1` in namespace demo: did you mean provider-1",
        ),
        (
            "--pod consumer",
            "there is no pod `consumer` in namespace demo: it is in namespace shop",
        ),
        (
            "--deployment provider",
            "there is no Deployment `provider` in namespace demo: did you mean provider-chaos?",
        ),
        (
            "--statefulset x",
            "there is no StatefulSet `x` in namespace demo",
        ),
        (
            "--node=node-c",
            "there is no node `node-c`: did you mean node-a or node-b?",
        ),
        (
            "--node-selector disk=slow",
            "no node fits the label selector `disk=slow`: ",
        ),
        (
            "--svc empty",
            "service empty (namespace demo) has no ready pods: there are none at all",
        ),
        (
            "-l app=nobody",
            "app=nobody (namespace demo) has no ready pods: there are none at all",
        ),
        ("-l ,=", "the label selector `,=` is not valid: "),
        (
            "--pod bystander -c sidecar",
            "no pod of pod bystander (namespace demo) has a container `sidecar`: there are main",
        ),
        (
            "--pod bystander --peer svc/provider",
            "there is no service `provider` in namespace demo: did you mean",
        ),
        (
            "--pod bystander --peer node/node-x",
            "there is no node `node-x`: did you mean",
        ),
    ] {
        let said = cluster.refusal(&format!("delay 1ms --context demo {options}"), 1);
        assert!(said.starts_with(sentence), "{options}\n{said}");
    }
    for name in ["provider-1", "provider-2"] {
        cluster.server.set_pod_ready("demo", name, false);
    }
    for name in ["provider-3", "provider-4", "provider-5"] {
        cluster.server.terminate_pod("demo", name);
    }
    assert_eq!(
        cluster.refusal("delay 1ms --context demo --svc provider-chaos-service", 1),
        "service provider-chaos-service (namespace demo) has no ready pods: 2 are not ready, 3 are terminating"
    );
    let said = cluster.refusal("delay 1ms --context demo --pod provider-3", 1);
    assert!(
        said.starts_with("pod provider-3 in namespace demo is terminating: "),
        "{said}"
    );
    let writes = cluster.server.requests();
    assert!(writes.iter().all(|seen| seen.method == "GET"), "{writes:?}");
}

#[test]
fn contexts_say_where_and_who() {
    let cluster = Cluster::start();
    // The first context is the current one; each has its namespace.
    assert_eq!(
        cluster
            .chaosctl("delay 1ms --pod bystander --dry-run -o json")
            .pods()
            .len(),
        1
    );
    let words = "delay 1ms --pod consumer --dry-run -o json --context elsewhere";
    assert_eq!(cluster.chaosctl(words).pods(), set("consumer@node-b"));
    assert_eq!(
        cluster.refusal("delay 1ms --pod consumer --context elsewere", 2),
        format!(
            "the kubeconfig {} has no context `elsewere`: did you mean elsewhere?",
            cluster.kubeconfig().display()
        )
    );
    let said = cluster.refusal("delay 1ms --pod x --kubeconfig /no/such/file", 2);
    assert!(
        said.starts_with("there is no kubeconfig at /no/such/file: "),
        "{said}"
    );
    let broken = cluster.directory.path().join("broken");
    std::fs::write(&broken, "clusters: [").unwrap();
    let said = cluster.refusal(
        &format!("delay 1ms --pod x --kubeconfig {}", broken.display()),
        2,
    );
    assert!(said.starts_with("cannot use the kubeconfig "), "{said}");

    let said = cluster.refusal("delay 1ms --svc provider-chaos-service --context weak", 1);
    assert_eq!(
        said,
        "weak may not get services in namespace demo: ask for a role with this right"
    );
    let said = cluster.refusal(
        "delay 1ms --svc provider-chaos-service --context stranger",
        1,
    );
    assert!(
        said.ends_with("does not know who you are: log in anew, or check the user of the context"),
        "{said}"
    );
    cluster.server.stop();
    let said = cluster.refusal("delay 1ms --svc provider-chaos-service --context demo", 4);
    assert!(
        said.starts_with("cannot reach the API server at http://127.0.0.1:"),
        "{said}"
    );
}

#[test]
fn long_lists_come_in_pages() {
    let cluster = Cluster::start();
    for number in 0..1200_u16 {
        let [high, low] = number.to_be_bytes();
        let name = format!("many-{number}");
        let pod = NewPod::new("shop", &name, "node-a", [10, 200, high, low].into());
        cluster.server.add_pod(&pod.label("app", "many"));
    }
    let plan = cluster.plan("-n shop -l app=many");
    assert_eq!(plan.pods().len(), 1200);
    // More than one request may have.
    assert_eq!(plan.json()["plan"]["parts"].as_array().unwrap().len(), 2);
    let pages = cluster.server.take_requests();
    let pages = pages
        .iter()
        .filter(|seen| seen.path.ends_with("/shop/pods"))
        .count();
    assert_eq!(pages, 3);
}

#[test]
fn a_file_says_the_same() {
    let cluster = Cluster::start();
    let file = cluster.directory.path().join("experiment.yaml");
    let plan = |text: &str| {
        std::fs::write(&file, text).unwrap();
        cluster.chaosctl(&format!(
            "apply --dry-run -o json --context demo -f {}",
            file.display()
        ))
    };
    let rules =
        "rules:\n  - delay: { latency: 5ms }\n    filter: { ports: [http], peers: [ns/shop] }\n";
    let found = plan(&format!(
        "service: provider-chaos-service\nmode: fixed=2\nseed: 1\n{rules}"
    ));
    assert_eq!(found.pods().len(), 2);
    let filter = &found.filters()[0];
    assert_eq!(filter["target_ports"][0]["first"], json!(3000));
    assert_eq!(filter["peers"], json!(["10.244.1.1"]));
    let rules = "rules: [{ partition: }]\n";
    for (text, pods) in [
        ("pod: provider-1", "provider-1@node-a"),
        (
            "pod: [provider-1, bystander]",
            "provider-1@node-a bystander@node-a",
        ),
        ("selector: app=consumer\nnamespace: shop", "consumer@node-b"),
        ("deployment: provider-chaos", ALL),
    ] {
        assert_eq!(
            plan(&format!("{text}\n{rules}")).pods(),
            set(pods),
            "{text}"
        );
    }
    let nodes = plan(&format!("node: [node-a]\n{rules}")).json();
    assert_eq!(nodes["plan"]["parts"][0]["node"], json!("node-a"));
}
