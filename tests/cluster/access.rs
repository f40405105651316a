//! Who may, what the policy says, what is protected, and what is told: one agent on a lab host that is a node, asked as
//! control asks.

mod bounds;
mod left;
mod scene;

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use chaos_proto::v1::{ArmRequest, NodeSelector, PrepareRequest, selector::Where};
use chaos_tests::{
    lab::{Family, Host},
    requires,
    traffic::TcpServer,
    wait::wait_for,
};
use serde_json::Value;
use tonic::Code;

use scene::{PATIENCE, Scene, UID, http, pods, refusal, request, with_token};

#[test]
fn who_is_unknown_or_may_not_is_refused_and_it_is_written_down() {
    requires!(root, cgroup2);
    let scene = Scene::new("who-may");
    let asked = || request("", pods(UID));
    let elsewhere = scene
        .server
        .token("demo", "ann", &["other"], PATIENCE)
        .unwrap();
    let (ann, eve) = (scene.token("ann"), scene.token("eve"));
    for (token, code, word) in [
        ("", Code::Unauthenticated, "no bearer token"),
        ("nonsense", Code::Unauthenticated, "invalid bearer token"),
        (&elsewhere, Code::Unauthenticated, "audience chaos-daemon"),
        (
            &eve,
            Code::PermissionDenied,
            "may not create faults.chaos.dev in namespace demo",
        ),
    ] {
        let (seen, sentence) = refusal(scene.prepare(token, asked()));
        assert_eq!(seen, code, "{sentence}");
        assert!(sentence.contains(word), "{sentence}");
    }
    // She may in her namespace, and not on the node.
    let (code, sentence) = refusal(scene.prepare(&ann, request("", Where::Node(NodeSelector {}))));
    assert_eq!(code, Code::PermissionDenied, "{sentence}");
    let started = scene.start(&ann, "loss-ann");
    assert_eq!(started.started_by, "system:serviceaccount:demo:ann");
    assert!(scene.list(&eve).unwrap().is_empty());
    assert_eq!(scene.list(&scene.token("bob")).unwrap().len(), 1);
    let numbers = http(&scene, "/metrics");
    assert!(
        numbers.contains("chaos_refusals_total{reason=\"denied\"} 2"),
        "that a list leaves something out is no refusal: {numbers}"
    );
    assert_eq!(
        refusal(scene.stop(&eve, "loss-ann")).0,
        Code::PermissionDenied
    );
    // Another may too, who has the right.
    scene.stop(&scene.token("bob"), "loss-ann").unwrap();

    let told = scene.events("Pod", "ChaosStarted", 1);
    assert!(
        told[0].contains("loss-ann (loss) by system:serviceaccount:demo:ann"),
        "{told:?}"
    );
    scene.events("Service", "ChaosStarted", 1);
    scene.events("Pod", "ChaosEnded", 1);
    scene.events("Service", "ChaosEnded", 1);

    let lines = scene.audit("prepare");
    let verdicts: Vec<&str> = lines
        .iter()
        .map(|line| line["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(
        verdicts,
        [
            "refused", "refused", "refused", "refused", "refused", "allowed"
        ]
    );
    assert_eq!(lines[5]["user"], "system:serviceaccount:demo:ann");
    assert_eq!(lines[5]["where"][0], "demo/provider-1");
    assert_eq!(lines[5]["id"], "loss-ann");
    let text = fs::read_to_string(&scene.audit).unwrap() + &scene.daemon.log();
    for token in [&ann, &eve, &elsewhere] {
        assert!(!text.contains(token.as_str()), "a token is in the log");
    }
    scene.stop_agent();
}

#[test]
fn without_the_api_server_only_who_started_it_ends_it() {
    requires!(root, cgroup2);
    let scene = Scene::new("api-gone");
    let (ann, bob) = (scene.token("ann"), scene.token("bob"));
    scene.start(&ann, "loss-1");
    scene.server.stop();
    let (code, sentence) = refusal(scene.prepare(&bob, request("", pods(UID))));
    assert_eq!(code, Code::Unavailable, "{sentence}");
    assert!(sentence.contains("so nobody may"), "{sentence}");
    assert_eq!(refusal(scene.stop(&bob, "loss-1")).0, Code::Unavailable);
    assert_eq!(refusal(scene.list(&bob)).0, Code::Unavailable);
    let seen = wait_for("what is remembered is too old", PATIENCE, || {
        let prepared = scene.prepare(&ann, request("", pods(UID)));
        (refusal(prepared).0 == Code::Unavailable).then_some(())
    });
    seen.unwrap();
    assert_eq!(scene.list(&ann).unwrap().len(), 1);
    let ended = scene.stop(&ann, "loss-1").unwrap();
    assert_eq!(ended[0].id, "loss-1");
    assert_eq!(scene.audit("disarm").last().unwrap()["knownBy"], "owner");
    scene.stop_agent();
}

#[test]
fn a_stale_answer_does_not_hit_a_stranger() {
    requires!(root, cgroup2);
    let scene = Scene::new("stale");
    let ann = scene.token("ann");
    let other = "1d3f9c1e-6a1b-4c1e-9d2f-0a1b2c3d4e5f";
    let (code, sentence) = refusal(scene.prepare(&ann, request("", pods(other))));
    assert_eq!(code, Code::NotFound, "{sentence}");
    assert!(
        sentence.contains(UID) && sentence.contains(other),
        "{sentence}"
    );
    scene.server.change_pod("demo", "provider-1", |pod, _| {
        pod["spec"]["nodeName"] = "node-b".into();
    });
    let (code, sentence) = refusal(scene.prepare(&ann, request("", pods(UID))));
    assert_eq!(code, Code::FailedPrecondition, "{sentence}");
    assert!(sentence.contains("is on node node-b"), "{sentence}");
    scene.server.change_pod("demo", "provider-1", |pod, stamp| {
        pod["spec"]["nodeName"] = "node-a".into();
        pod["metadata"]["deletionTimestamp"] = stamp.into();
    });
    let (code, sentence) = refusal(scene.prepare(&ann, request("", pods(UID))));
    assert_eq!(code, Code::NotFound, "{sentence}");
    assert!(sentence.contains("is terminating"), "{sentence}");
    scene.stop_agent();
}

#[test]
fn a_policy_counts_at_once_and_a_dry_run_says_what_it_would_say() {
    requires!(root, cgroup2);
    let scene = Scene::new("policy");
    let ann = scene.token("ann");
    let dry = || PrepareRequest {
        dry_run: true,
        ..request("", pods(UID))
    };
    for (policy, guard, word) in [
        ("namespaces: {deny: [demo]}", "namespaces", "demo is denied"),
        ("maxDuration: 5m", "maxDuration", "10m is longer than 5m"),
        // Control says 1 of 5; there is one.
        (
            "maxShare: 50%",
            "maxShare",
            "1 of 1 ready endpoints of service demo/provider",
        ),
        ("faults: [delay]", "faults", "loss is not among"),
        (
            "fautls: [delay]",
            "nodeLevel",
            "there is no key fautls; did you mean faults?",
        ),
    ] {
        fs::write(&scene.policy, policy).unwrap();
        let (code, sentence) = refusal(scene.prepare(&ann, request("", pods(UID))));
        assert_eq!(code, Code::PermissionDenied, "{sentence}");
        assert!(sentence.contains(word), "{policy}: {sentence}");
        let guards = scene.prepare(&ann, dry()).unwrap().guards;
        assert_eq!(guards.len(), 5, "{guards:?}");
        let refuses = guards.iter().find(|seen| seen.name == guard).unwrap();
        assert!(
            !refuses.allows && refuses.detail.contains(word),
            "{guards:?}"
        );
    }
    fs::write(&scene.policy, "").unwrap();
    let allowed = scene.prepare(&ann, dry()).unwrap();
    assert!(
        allowed.guards.iter().all(|guard| guard.allows),
        "{allowed:?}"
    );
    scene.stop_agent();
}

#[test]
fn probes_of_the_kubelet_are_spared_and_others_are_not() {
    requires!(root, cgroup2);
    let scene = Scene::new("probes");
    let ann = scene.token("ann");
    let server = TcpServer::echo(&scene.provider, Family::V4, 3000).unwrap();
    let other = TcpServer::echo(&scene.provider, Family::V4, 3001).unwrap();
    let connects = |from: &Host, to: SocketAddr| {
        let patience = Duration::from_secs(1);
        let connect = from.run(move || TcpStream::connect_timeout(&to, patience));
        connect.unwrap().is_ok()
    };
    let prepared = scene.prepare(
        &ann,
        PrepareRequest {
            dry_run: true,
            ..request("", pods(UID))
        },
    );
    let protected = prepared.unwrap().protected;
    assert_eq!(protected.len(), 1, "{protected:?}");
    assert!(
        protected[0].contains("port 3000 of demo/provider-1"),
        "{protected:?}"
    );
    scene.start(&ann, "loss-1");
    assert!(connects(&scene.node, server.address()), "the probe");
    assert!(!connects(&scene.consumer, server.address()), "a consumer");
    assert!(!connects(&scene.node, other.address()), "another port");
    scene.stop(&ann, "loss-1").unwrap();
    let included = PrepareRequest {
        include_probes: true,
        ..request("loss-2", pods(UID))
    };
    let prepared = scene.prepare(&ann, included).unwrap();
    assert!(prepared.protected.is_empty(), "{prepared:?}");
    let mut service = scene.service();
    let armed = service.arm(with_token(
        &ann,
        ArmRequest {
            id: "loss-2".into(),
        },
    ));
    scene.runtime.block_on(armed).unwrap();
    assert!(
        !connects(&scene.node, server.address()),
        "the probe, included"
    );
    let numbers = http(&scene, "/metrics");
    assert!(
        numbers.contains("chaos_experiments{state=\"armed\"} 1"),
        "{numbers}"
    );
    assert!(http(&scene, "/readyz").starts_with("HTTP/1.1 200"), "ready");
    // An agent that is told to stop says so.
    let Scene { mut daemon, .. } = scene;
    assert!(daemon.stop().unwrap().success());
    let aborted = scene.server.objects("Event", "demo");
    let aborted = aborted
        .iter()
        .filter(|event| event["reason"] == "ChaosAborted");
    let kinds: Vec<&Value> = aborted.map(|event| &event["regarding"]["kind"]).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
}
