//! Callers that leave, that come all at once, and that end everything: what came of it is known.

use std::{thread, time::Duration};

use chaos_proto::v1::ListRequest;
use chaos_tests::{
    requires,
    wait::{wait_for, wait_until},
};
use futures::future::join_all;
use tonic::Code;

use super::scene::{PATIENCE, Scene, UID, pods, refusal, request, with_token};

#[test]
fn what_a_caller_did_not_wait_for_is_written_down() {
    requires!(root, cgroup2);
    let scene = Scene::new("left");
    let ann = scene.token("ann");
    scene.server.pause();
    let mut service = scene.service();
    let bob = scene.token("bob");
    let list = async {
        let answer = service.list(with_token(&bob, ListRequest::default()));
        tokio::time::timeout(Duration::from_millis(300), answer).await
    };
    assert!(scene.runtime.block_on(list).is_err(), "it was answered");
    let line = scene.line("list");
    assert_eq!(line["verdict"], "failed");
    assert_eq!(line["reason"], "whoever called did not wait for the answer");
    scene.server.resume();

    scene.server.delay_answers(Duration::from_millis(400));
    scene.leave_prepare(&ann, request("loss-1", pods(UID)));
    let line = scene.line("prepare");
    assert_eq!(
        (&line["verdict"], &line["id"]),
        (&"allowed".into(), &"loss-1".into())
    );
    scene.server.delay_answers(Duration::ZERO);
    scene.server.stop();
    // Whose it is, is known too.
    scene.stop(&ann, "loss-1").unwrap();
    scene.stop_agent();
}

#[test]
fn all_who_start_at_once_may_end_it() {
    requires!(root, cgroup2);
    let scene = Scene::new("at-once");
    let ann = scene.token("ann");
    let ids: Vec<String> = (0..16).map(|number| format!("loss-{number}")).collect();
    let service = scene.service();
    let all = ids.iter().map(|id| {
        let mut service = service.clone();
        let request = with_token(&ann, request(id, pods(UID)));
        async move { service.prepare(request).await }
    });
    for answer in scene.runtime.block_on(join_all(all)) {
        answer.unwrap();
    }
    scene.server.stop();
    for id in &ids {
        scene.stop(&ann, id).unwrap();
    }
    scene.stop_agent();
}

#[test]
fn whoever_ends_everything_ends_their_own_first() {
    requires!(root, cgroup2);
    let scene = Scene::new("stop-all");
    let (ann, bob) = (scene.token("ann"), scene.token("bob"));
    scene.start(&ann, "loss-1");
    scene.start(&ann, "loss-2");
    scene.start(&bob, "loss-3");
    scene.server.pause();
    // The API server says nothing for seconds; they do not wait for it.
    let has_ended = |id: &str| {
        let ended = format!("experiment ended id=\"{id}\"");
        scene.daemon.log().contains(&ended)
    };
    let answer = thread::scope(|scope| {
        let asked = scope.spawn(|| scene.stop_all(&ann));
        let before = wait_until("theirs are ended", Duration::from_secs(3), || {
            has_ended("loss-1") && has_ended("loss-2")
        });
        before.unwrap();
        asked.join().unwrap()
    });
    let (code, sentence) = refusal(answer);
    assert_eq!(code, Code::Unavailable, "{sentence}");
    for word in ["loss-1", "loss-2", "ended", "loss-3 goes on"] {
        assert!(sentence.contains(word), "{word}: {sentence}");
    }
    let line = scene.line("disarm");
    assert_eq!(line["verdict"], "failed");
    for id in ["loss-1", "loss-2"] {
        assert!(line["id"].as_str().unwrap().contains(id), "{line}");
    }
    scene.server.resume();
    let ended = wait_for("all others are ended", PATIENCE, || {
        scene.stop_all(&bob).ok()
    });
    let ended = ended.unwrap();
    assert_eq!(ended.len(), 1, "{ended:?}");
    let line = scene.line("disarm");
    assert_eq!(
        (&line["verdict"], &line["id"]),
        (&"allowed".into(), &"loss-3".into())
    );
    scene.stop_agent();
}
