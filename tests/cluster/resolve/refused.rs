//! What is not there, and clusters that cannot be asked.

use super::*;

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
            "no node has the labels `disk=slow`: did you mean disk=fast?",
        ),
        (
            "--svc empty",
            "service empty (namespace demo) has no ready pods: no pod that runs has its labels app=nobody",
        ),
        (
            "-l app=nobody",
            "no pod in namespace demo has the labels `app=nobody`: did you mean app=other",
        ),
        (
            "-l app=consumer",
            "no pod in namespace demo has the labels `app=consumer`: it is in namespace shop, give `-n shop`",
        ),
        (
            "--svc provider-chaos-service -n demoo",
            "there is no namespace `demoo`: did you mean demo?",
        ),
        (
            "-l app=provider-chaos -n shopp",
            "there is no namespace `shopp`: did you mean shop?",
        ),
        (
            "--pod bystander --peer svc/db",
            "there is no service `db` in namespace demo: it is in namespace shop, give `svc/db.shop`",
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
    let writes = cluster.server.requests();
    assert!(writes.iter().all(|seen| seen.method == "GET"), "{writes:?}");
}

#[test]
fn what_is_there_and_does_not_run_is_said_so() {
    let cluster = Cluster::start();
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
    let said = cluster.refusal("delay 1ms --svc provider-chaos-service --context demo", 1);
    assert!(
        said.starts_with("cannot reach the API server at http://127.0.0.1:"),
        "{said}"
    );
}
