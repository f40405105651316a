//! What becomes of streams when faults end.

use std::time::Duration;

use super::{anything, call, caller, grpc, grpc_application, trailers as trailers_of};
use crate::{
    engine::{Grpc, Http, Pause, Ppm, Requests},
    relay::tests::{PATIENCE, Scene, http, until},
};

#[tokio::test]
async fn a_drain_lets_streams_finish_and_ends_the_connection() {
    let pause = Pause {
        delay: Duration::from_mins(1),
        variation: Duration::ZERO,
        share: Ppm::ALL,
    };
    let held = grpc(Grpc {
        pause: Some(pause),
        ..Grpc::default()
    });
    let slow = http(Http {
        throttle: 1,
        matches: anything(),
        ..Http::default()
    });
    let delayed: fn(&Requests) -> u64 = |counted| counted.delayed;
    let throttled: fn(&Requests) -> u64 = |counted| counted.throttled;
    for (fault, hit) in [(held, delayed), (slow, throttled)] {
        let mut scene = Scene::new(grpc_application().await, fault);
        let mut caller = caller(&scene).await;
        let mut other = caller.clone();
        let running = tokio::spawn(async move { call(&mut other, "/p.S/M").await });
        until(|| hit(&scene.counted()) == 1).await;
        let port = scene.address.port();
        // Not held any more: the fault is over.
        scene.relays.drain(scene.id, port, PATIENCE);
        let (_, _, trailers) = running.await.unwrap().unwrap();
        assert_eq!(trailers, Some(trailers_of("0")));
        until(|| caller.is_closed()).await;
        assert!(call(&mut caller, "/p.S/M").await.is_err());
    }
}
