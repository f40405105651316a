//! An API server, agents and ways on a bad day: what helps, and what is said.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use chaos_tests::{lab::Output, programs::program, wait::wait_until};
use serde_json::Value;

use crate::run::{PATIENCE, SERVICE, Scene};

const PLAN: [&str; 5] = ["delay", "--svc", SERVICE, "100ms", "--dry-run"];

#[test]
fn an_api_server_that_is_busy_is_asked_again() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    scene.server.throttle_next(2, "GET", "endpointslices");
    let finished = scene.chaosctl(&PLAN)?.finish()?;
    finished.exited_with(0);
    Ok(())
}

#[test]
fn watches_that_end_are_begun_anew() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    scene.server.end_watches_after(Duration::from_millis(300));
    let mut running = scene.delay("8s")?;
    let begun = || {
        let requests = scene.server.requests().into_iter();
        let watches = requests.filter(|request| request.query.contains("watch=true"));
        watches
            .filter(|watch| watch.path.ends_with("/endpointslices"))
            .count()
    };
    wait_until("watches have ended twice", PATIENCE, || begun() >= 3)?;
    scene.add_pod(10, "node-001");
    running.wait_for("1 pod joined: provider-10")?;
    scene.server.delete_pod("demo", "provider-10");
    running.wait_for("1 pod left: provider-10")?;
    let finished = running.finish()?;
    finished.exited_with(3);
    Ok(())
}

#[test]
fn nodes_that_do_not_answer_are_named_beside_what_the_others_say() -> Result<()> {
    let scene = Scene::new(3, 3)?;
    let id = scene.detach(["--svc", SERVICE])?;
    scene.server.lose_node("node-001");
    scene.fleet.agent("node-002")?.hang(Some("list"));
    for (words, what) in [
        (vec!["list"], "experiments are not known"),
        (vec!["status", &id], "its part is not known"),
    ] {
        let finished = scene.chaosctl(&words)?.finish()?;
        finished.exited_with(1);
        let begin = format!("error: {what} on 2 of 3 nodes:\n  node-00");
        assert!(finished.stderr.starts_with(&begin), "{}", finished.stderr);
        assert!(finished.stderr.contains("did not answer within 10 s"));
        let one = &finished.json["experiment"]["id"];
        let all = &finished.json["experiments"][0]["id"];
        assert!(*one == id || *all == id, "{}", finished.json);
    }
    let unknown = scene.chaosctl(&["status", "delay-none"])?.finish()?;
    assert_eq!(unknown.code, Some(1));
    let begin = "error: no other node has it, and there is no answer on 2 of 3 nodes:\n";
    assert!(unknown.stderr.starts_with(begin), "{}", unknown.stderr);
    Ok(())
}

#[test]
fn an_agent_that_does_not_listen_is_named() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    scene
        .server
        .close_port("chaos-system", "chaos-daemon-node-001", 7411);
    let finished = scene.chaosctl(&PLAN[..4])?.finish()?;
    finished.exited_with(1);
    let begin = "error: nothing was applied, because 1 of 2 nodes cannot take part:\n  node-001  ";
    assert!(finished.stderr.starts_with(begin), "{}", finished.stderr);
    Ok(())
}

/// Tunnels, as an HTTP proxy makes them; counts them.
fn proxy() -> Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let tunnels = Arc::new(AtomicUsize::new(0));
    let counted = tunnels.clone();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || tunnel(client));
        }
    });
    Ok((url, tunnels))
}

fn tunnel(mut client: TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?;
    let to = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    let mut server = TcpStream::connect(to).ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut from, mut back) = (server.try_clone().ok()?, client.try_clone().ok()?);
    thread::spawn(move || std::io::copy(&mut from, &mut back));
    std::io::copy(&mut client, &mut server).ok()?;
    None
}

#[test]
fn the_proxy_of_the_kubeconfig_is_the_way_to_all() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    let (url, tunnels) = proxy()?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("config");
    scene.server.write_kubeconfig(&path, "secret")?;
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    config["clusters"][0]["cluster"]["proxy-url"] = url.into();
    fs::write(&path, config.to_string())?;
    let mut command = Command::new(program("chaosctl")?);
    command
        .args(PLAN)
        .args(["-n", "demo", "--kubeconfig"])
        .arg(&path)
        .env_remove("CHAOS_SOCKET")
        .env_remove("CHAOS_SERVER");
    let output = Output::of(command, PATIENCE).context("chaosctl")?;
    assert_eq!(output.code, Some(0), "{output:?}");
    let through = tunnels.load(Ordering::Relaxed);
    assert!(through >= 3, "the API server and two agents, not {through}");
    Ok(())
}
