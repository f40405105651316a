//! What callers say of their pods is not believed where it makes bounds wider, and what cannot be found out is said.

use std::{fs, net::Ipv4Addr, time::Duration};

use chaos_proto::v1::{Origin, PodsSelector, selector::Where};
use chaos_tests::{
    apiserver::scene::NewPod,
    lab::Family,
    pod::{Driver, Pod},
    requires,
};
use serde_json::json;
use tonic::Code;

use super::scene::{Scene, UID, pods, refusal, request, with_token};

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
fn two_at_once_are_bound_as_one_after_the_other() {
    requires!(root, cgroup2);
    let scene = Scene::new("at-once");
    let beside = "7a1b2c3d-0000-4c1e-9d2f-0a1b2c3d4e5f";
    let host = scene.lab.host("provider-2").unwrap();
    let _pod = Pod::start(&scene.lab, &host, beside, Driver::Systemd).unwrap();
    let pod = NewPod::new("demo", "provider-2", "node-a", host.address(Family::V4)).uid(beside);
    scene
        .server
        .add_pod(&pod.label("app", "provider").port("http", 3000));
    fs::write(&scene.policy, "maxShare: 50%").unwrap();
    // Both have asked before either is answered.
    scene.server.delay_answers(Duration::from_millis(300));
    let token = scene.token("ann");
    let Where::Pods(mut second) = pods(beside) else {
        unreachable!()
    };
    second.pods[0].name = "provider-2".into();
    let [mut one, mut two] = [scene.service(), scene.service()];
    let both = async {
        tokio::join!(
            one.prepare(with_token(&token, request("loss-1", pods(UID)))),
            two.prepare(with_token(&token, request("loss-2", Where::Pods(second)))),
        )
    };
    let (one, two) = scene.runtime.block_on(both);
    let (answers, refusals): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(Result::is_ok);
    assert_eq!((answers.len(), refusals.len()), (1, 1), "{refusals:?}");
    let (code, sentence) = refusal(refusals.into_iter().next().unwrap());
    assert_eq!(code, Code::PermissionDenied, "{sentence}");
    let word = "2 of 2 ready endpoints of service demo/provider are more than 50 %";
    assert!(sentence.contains(word), "{sentence}");
    assert_eq!(scene.list(&token).unwrap().len(), 1);
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
