//! What callers say of their pods is not believed where it makes bounds wider, and what cannot be found out is said.

use std::{fs, net::Ipv4Addr};

use chaos_proto::v1::{Origin, PodsSelector, selector::Where};
use chaos_tests::{apiserver::scene::NewPod, requires};
use serde_json::json;
use tonic::Code;

use super::scene::{Scene, UID, pods, refusal, request};

/// The pod, chosen from this.
fn from(origin: Option<(&str, &str)>) -> Where {
    let Where::Pods(chosen) = pods(UID) else {
        unreachable!()
    };
    let origin = origin.map(|(kind, name)| Origin {
        kind: kind.into(),
        name: name.into(),
        ..chosen.origin.clone().unwrap()
    });
    Where::Pods(PodsSelector { origin, ..chosen })
}

#[test]
fn what_is_said_of_pods_makes_no_share_smaller() {
    requires!(root, cgroup2);
    let scene = Scene::new("shares");
    let ann = scene.token("ann");
    let server = &scene.server;
    let ports = [("http", 80, json!(3000))];
    server.add_service("demo", "other", &[("app", "other")], &ports, false);
    for number in 1..=4 {
        let address = Ipv4Addr::new(10, 9, 9, number).into();
        let pod = NewPod::new("demo", &format!("other-{number}"), "node-b", address);
        server.add_pod(&pod.label("app", "other"));
    }
    fs::write(&scene.policy, "maxShare: 50%").unwrap();
    for origin in [
        None,
        Some(("Service", "other")),
        Some(("Deployment", "other")),
        Some(("Service", "provider")),
    ] {
        let (code, sentence) = refusal(scene.prepare(&ann, request("", from(origin))));
        assert_eq!(code, Code::PermissionDenied, "{origin:?}: {sentence}");
        let word = "1 of 1 ready endpoints of service demo/provider are more than 50 %";
        assert!(sentence.contains(word), "{origin:?}: {sentence}");
    }
    let odd = request("", from(Some(("service", "provider"))));
    let (code, sentence) = refusal(scene.prepare(&ann, odd));
    assert_eq!(code, Code::InvalidArgument, "{sentence}");
    assert!(sentence.contains("not from \"service\""), "{sentence}");

    // What cannot be found out now is no word of the policy.
    server.fail_next(1, "GET", "endpointslices", "etcd is slow");
    let (code, sentence) = refusal(scene.prepare(&ann, request("", from(None))));
    assert_eq!(code, Code::Unavailable, "{sentence}");
    assert!(sentence.contains("cannot find out"), "{sentence}");

    // Nobody's experiment gets a part that is another's.
    fs::write(&scene.policy, "").unwrap();
    scene.start(&ann, "loss-1");
    let part = request("loss-1.2", from(None));
    let (code, sentence) = refusal(scene.prepare(&scene.token("bob"), part.clone()));
    assert_eq!(code, Code::AlreadyExists, "{sentence}");
    assert!(sentence.contains("a part of loss-1"), "{sentence}");
    scene.prepare(&ann, part).unwrap();
    scene.stop_agent();
}

#[test]
fn an_agent_that_may_not_ask_says_what_it_lacks() {
    requires!(root, cgroup2);
    let scene = Scene::new("lacks");
    let ann = scene.token("ann");
    scene.server.deny("agent");
    let (code, sentence) = refusal(scene.prepare(&ann, request("", pods(UID))));
    assert_eq!(code, Code::Unavailable, "{sentence}");
    assert!(sentence.contains("ClusterRole chaos-daemon"), "{sentence}");
    scene.server.revoke("agent");
    let (code, sentence) = refusal(scene.prepare(&ann, request("", pods(UID))));
    assert_eq!(code, Code::Unavailable, "{sentence}");
    let words = "the token of the agent's own service account is not good any more";
    assert!(sentence.contains(words), "{sentence}");
    scene.stop_agent();
}
