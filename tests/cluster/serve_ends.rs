//! How `chaosctl serve` ends what it was asked for: pods, runs, itself.

use anyhow::Result;
use chaos_proto::serve::v1::TerminateRequest;
use chaos_tests::wait::wait_until;
use serde_json::json;
use tonic::Code;

use crate::{
    run::PATIENCE,
    serve::{Caller, delay, object},
};

#[test]
fn pods_that_cannot_be_deleted_keep_none_of_the_others() -> Result<()> {
    let caller = Caller::new(1, 3)?;
    let mut service = caller.service.clone();
    let all = |count: &str| TerminateRequest {
        experiment: object(json!({ "selector": "app=provider-chaos" })),
        count: count.into(),
        timeout: "10s".into(),
    };
    let refused = caller.runtime.block_on(service.terminate(all("4")));
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(
        refused
            .message()
            .contains("cannot terminate 4 pods: there are 3")
    );

    let server = &caller.scene.server;
    server.fail_next(1, "DELETE", "/pods/provider-1", "not today");
    let refused = caller.runtime.block_on(service.terminate(all("100%")));
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    for words in [
        "cannot delete pod demo/provider-1: ",
        "; gone: demo/provider-0, demo/provider-2",
    ] {
        assert!(refused.message().contains(words), "{refused}");
    }
    for (name, is_there) in [
        ("provider-0", false),
        ("provider-1", true),
        ("provider-2", false),
    ] {
        assert_eq!(
            server.object("Pod", "demo", name).is_some(),
            is_there,
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn an_interruption_waits_for_no_pod_and_says_so() -> Result<()> {
    let caller = Caller::new(1, 2)?;
    let server = &caller.scene.server;
    // It is never known that they are gone.
    server.fail_next(usize::MAX, "GET", "/pods/provider-", "not today");
    let mut service = caller.service.clone();
    let call = caller.runtime.spawn(async move {
        let request = TerminateRequest {
            experiment: object(json!({ "selector": "app=provider-chaos" })),
            count: "2".into(),
            timeout: "10m".into(),
        };
        service.terminate(request).await
    });
    wait_until("both to be deleted", PATIENCE, || {
        let left = server.objects("Pod", "demo");
        !left.iter().any(|pod| {
            pod["metadata"]["name"]
                .as_str()
                .is_some_and(|name| name.starts_with("provider-"))
        })
    })?;
    caller.running.interrupt()?;
    let refused = caller.runtime.block_on(call)?.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let words = "deleted, and not waited for, because chaosctl serve is about to end: demo/provider-0, demo/provider-1";
    assert!(refused.message().contains(words), "{refused}");
    assert_eq!(caller.running.finish()?.code, Some(0));
    Ok(())
}

#[test]
fn who_interrupts_twice_waits_for_no_agent() -> Result<()> {
    let mut caller = Caller::new(1, 1)?;
    let mut service = caller.service.clone();
    caller.runtime.block_on(service.start(delay("60s")))?;
    caller.scene.fleet.agent("node-000")?.hang(Some("disarm"));
    caller.running.interrupt()?;
    caller.running.wait_for("stopping …")?;
    caller.running.interrupt()?;
    let finished = caller.running.finish()?;
    assert_eq!(finished.code, Some(1));
    let words = "error: left without waiting for the agents";
    assert!(finished.stderr.contains(words), "{}", finished.stderr);
    Ok(())
}

#[test]
fn an_interruption_is_not_held_up_by_the_api_server() -> Result<()> {
    let caller = Caller::new(1, 1)?;
    caller.scene.server.pause();
    let mut service = caller.service.clone();
    let call = caller
        .runtime
        .spawn(async move { service.inject(delay("60s")).await });
    wait_until("it to be asked", PATIENCE, || {
        caller.scene.server.waiting() > 0
    })?;
    caller.running.interrupt()?;
    let refused = caller.runtime.block_on(call)?.unwrap_err();
    assert!(
        refused
            .message()
            .contains("interrupted before the experiment began"),
        "{refused}"
    );
    assert_eq!(caller.running.finish()?.code, Some(0));
    Ok(())
}
