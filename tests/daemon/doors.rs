//! Doors: which connections they lead to the agent, how they end by themselves, and what the application sees. Behind
//! them is a plain relay, in a process that can be killed and stopped like an agent.

mod scene;

use std::{
    io::Read as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use chaos_tests::{
    doorkeeper::{Connected, Doorkeeper, connect},
    lab::Family,
    programs::program,
    requires,
    wait::{wait_for, wait_until},
};
use nix::sys::signal::Signal;

use self::scene::{LONG, OTHER_PORT, PORT, Scene};
use crate::scenario::PATIENCE;

/// After which the kernel gives up on an agent that gives no sign of life, and a second for the sign itself.
const LIVENESS: Duration = Duration::from_secs(4);

#[test]
fn leads_new_connections_of_its_port_to_the_agent() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-new");
    assert!(!scene.is_relayed());
    let mut before = scene.connect(Family::V4);
    let door = scene.open("");
    assert!(!scene.is_relayed(), "before it is armed");
    scene.keeper.arm(&door, LONG).unwrap();
    assert!(scene.is_relayed());
    scene.others_go_straight();
    let mut during = Family::BOTH.map(|family| scene.connect(family));
    assert!(during.iter_mut().all(Connected::echoes));
    assert!(before.echoes(), "it was open before");
    scene.keeper.ask(&format!("shut {}", door.id)).unwrap();
    assert!(!scene.is_relayed(), "at once");
    assert!(during.iter_mut().all(Connected::echoes), "until drained");
    for connection in during {
        connection.finish().unwrap();
    }
    scene.keeper.close(&door).unwrap();
    assert!(!scene.is_relayed());
    assert_eq!(scene.settings(), ["0\n"; 3]);
}

#[test]
fn the_application_sees_the_client() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-source");
    // As most containers have it: what comes by an interface must be what would leave by it.
    let strict = || std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1");
    scene.web.run(strict).unwrap().unwrap();
    let door = scene.armed("");
    assert!(door.keeps_source, "{}", door.note);
    for family in Family::BOTH {
        let mut connection = scene.connect(family);
        assert!(connection.relayed);
        assert_eq!(connection.seen, scene.client.address(family));
        assert!(connection.echoes());
        connection.finish().unwrap();
    }
    scene.keeper.close(&door).unwrap();
    let door = scene.armed("local");
    assert!(!door.keeps_source);
    for family in Family::BOTH {
        let mut connection = scene.connect(family);
        assert!(connection.relayed);
        assert_eq!(connection.seen, scene.web.address(family));
        assert!(connection.echoes());
    }
    scene.keeper.close(&door).unwrap();
    scene.keeper.signal(Signal::SIGKILL).unwrap();
    scene.keeper.wait().unwrap();
    scene.nothing_is_left();
}

/// A connection for each of the ports that the agent has under a client's address, and more: those of closed connections
/// are used again.
#[test]
fn a_client_that_comes_often_is_let_through_each_time() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-often");
    let _door = scene.armed("");
    let mut open = Vec::new();
    for _ in 0..500 {
        open.push(scene.connect(Family::V4));
        scene.connect(Family::V4).finish().unwrap();
    }
    assert!(open.iter_mut().all(Connected::echoes));
    assert!(open.iter().all(|connection| connection.relayed));
}

#[test]
fn an_application_that_refuses_is_seen_to() {
    requires!(root, "ip");
    for options in ["", "local"] {
        let mut scene = Scene::new("doors-refuses");
        let listener = {
            let bind = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 9000));
            scene.web.run(bind).unwrap().unwrap()
        };
        let door = scene.keeper.open(&scene.web, 9000, options).unwrap();
        scene.keeper.arm(&door, LONG).unwrap();
        drop(listener);
        let started = Instant::now();
        let to = scene.web.socket_address(Family::V4, 9000);
        let ended = connect(&scene.client, to).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(1), "{ended}");
        let again = scene.keeper.open(&scene.other, 9000, "").unwrap_err();
        assert!(again.to_string().contains("nothing listens on port 9000"));
    }
}

#[test]
fn ends_at_its_deadline() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-deadline");
    let door = scene.open("");
    scene.keeper.arm(&door, Duration::from_millis(700)).unwrap();
    let armed = Instant::now();
    assert!(scene.is_relayed());
    // Nobody is there to end it.
    scene.keeper.signal(Signal::SIGSTOP).unwrap();
    let straight = || connect(&scene.client, scene.web.socket_address(Family::V4, PORT)).is_ok();
    wait_until("connections go straight", PATIENCE, || {
        armed.elapsed() > Duration::from_millis(700) && straight()
    })
    .unwrap();
    assert!(!scene.is_relayed());
    scene.keeper.signal(Signal::SIGCONT).unwrap();
    assert!(!scene.is_relayed());
}

#[test]
fn ends_with_an_agent_that_is_killed() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-killed");
    let _door = scene.armed("");
    let mut other = connect(
        &scene.client,
        scene.web.socket_address(Family::V4, OTHER_PORT),
    );
    let other = other.as_mut().unwrap();
    let mut relayed = Family::BOTH.map(|family| scene.connect(family));
    assert!(relayed.iter().all(|connection| connection.relayed));
    scene.keeper.signal(Signal::SIGKILL).unwrap();
    scene.keeper.wait().unwrap();
    assert!(!scene.is_relayed(), "at once");
    assert!(other.echoes(), "it has nothing to do with the door");
    let seen = scene.connect(Family::V6).seen;
    assert_eq!(seen, scene.client.address(Family::V6));
    for connection in &mut relayed {
        assert!(!connection.echoes(), "the relay is gone");
    }
    // What it leaves is removed by the next one, or by this.
    assert_eq!(scene.settings(), ["1\n"; 3]);
    let mut cleanup = Command::new(program("chaos-daemon").unwrap());
    let status = cleanup
        .args(["cleanup", "--socket", "/run/chaos-no-such.sock"])
        .status();
    assert!(status.unwrap().success());
    scene.nothing_is_left();
}

#[test]
fn ends_with_an_agent_that_hangs() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-hung");
    let _door = scene.armed("");
    assert!(scene.is_relayed());
    scene.keeper.signal(Signal::SIGSTOP).unwrap();
    let stopped = Instant::now();
    let to = scene.web.socket_address(Family::V4, PORT);
    let first = wait_for("connections go straight", PATIENCE, || {
        connect(&scene.client, to).ok()
    });
    let took = stopped.elapsed();
    assert!(!first.unwrap().relayed);
    // Each attempt that the door still took has waited for two seconds.
    assert!(took < LIVENESS + Duration::from_secs(2), "{took:?}");
    assert!(!scene.is_relayed());
    scene.others_go_straight();
}

#[test]
fn closes_what_was_open_once() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-existing");
    let mut before = Family::BOTH.map(|family| scene.connect(family));
    let from_within =
        |scene: &Scene| connect(&scene.web, scene.web.socket_address(Family::V4, PORT)).unwrap();
    let mut within = from_within(&scene);
    let mut others: Vec<Connected> = Family::BOTH
        .into_iter()
        .map(|family| connect(&scene.client, scene.web.socket_address(family, OTHER_PORT)).unwrap())
        .collect();
    let door = scene.armed("");
    let mut through = Family::BOTH.map(|family| scene.connect(family));
    assert_eq!(scene.close_existing(&door), "2");
    assert!(!before.iter_mut().any(Connected::echoes));
    assert!(
        through.iter_mut().all(Connected::echoes),
        "they came through the door"
    );
    assert!(
        others.iter_mut().all(Connected::echoes),
        "they are to another port"
    );
    assert!(within.echoes(), "it is the namespace's own");
    for (family, loopback) in Family::BOTH
        .into_iter()
        .zip(["127.0.0.1:8080", "[::1]:8080"])
    {
        let own = scene.web.socket_address(family, PORT);
        for to in [own, loopback.parse().unwrap()] {
            assert!(!connect(&scene.web, to).unwrap().relayed, "{to}");
        }
    }
    // Another user of the same door: nobody is left to be closed.
    let second = scene.armed("");
    assert_eq!(second.shared, door.shared);
    assert_eq!(scene.close_existing(&second), "0");
    assert!(through.iter_mut().all(Connected::echoes));
}

/// Connections that nobody has accepted yet look alike, whosever they are.
#[test]
fn does_not_close_what_waits_behind_the_door() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-waiting");
    let mut before = scene.connect(Family::V4);
    let door = scene.armed("late");
    let to = Family::BOTH.map(|family| scene.web.socket_address(family, PORT));
    let waiting = to.map(|to| {
        let connect = || TcpStream::connect_timeout(&to, PATIENCE);
        scene.client.run(connect).unwrap().unwrap()
    });
    assert_eq!(scene.close_existing(&door), "1");
    assert!(!before.echoes());
    scene.keeper.ask("wake").unwrap();
    for mut stream in waiting {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"relay");
    }
}

#[test]
fn takes_the_namespaces_own_connections_where_it_is_told() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-loopback");
    let from_within = |scene: &Scene, to: SocketAddr| connect(&scene.web, to).unwrap();
    let addresses = |scene: &Scene| {
        [
            scene.web.socket_address(Family::V4, PORT),
            scene.web.socket_address(Family::V6, PORT),
            SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, PORT)),
        ]
    };
    let mut before = addresses(&scene).map(|to| from_within(&scene, to));
    let door = scene.armed("loopback");
    let mut through = addresses(&scene).map(|to| from_within(&scene, to));
    for (connection, to) in through.iter_mut().zip(addresses(&scene)) {
        assert!(connection.relayed && connection.echoes(), "{to}");
        assert_eq!(connection.seen, to.ip());
    }
    assert!(scene.is_relayed());
    assert_eq!(scene.close_existing(&door), "4");
    assert!(!before.iter_mut().any(Connected::echoes));
    assert!(through.iter_mut().all(Connected::echoes));
}

#[test]
fn leaves_probes_and_the_protected_alone() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-spared");
    let kubelet = scene.lab.host("kubelet").unwrap();
    let guarded = scene.lab.host("guarded").unwrap();
    let protect = Family::BOTH.map(|family| guarded.address(family).to_string());
    scene
        .keeper
        .ask(&format!("protect {}", protect.join(" ")))
        .unwrap();
    let to = |family| scene.web.socket_address(family, PORT);
    let targets = Family::BOTH.map(to);
    let mut before: Vec<Connected> = [&kubelet, &guarded]
        .into_iter()
        .flat_map(|from| targets.map(|to| connect(from, to).unwrap()))
        .collect();
    let spared = Family::BOTH.map(|family| kubelet.address(family).to_string());
    let door = scene.armed(&spared.join(" "));
    assert!(scene.is_relayed());
    for to in targets {
        for host in [&kubelet, &guarded] {
            assert!(!connect(host, to).unwrap().relayed, "{}", host.name());
        }
    }
    assert_eq!(scene.close_existing(&door), "0");
    assert!(before.iter_mut().all(Connected::echoes));
    let counted = scene.keeper.ask(&format!("taken {}", door.id)).unwrap();
    assert_eq!(counted, "2 4");
}

#[test]
fn is_there_until_its_last_user_has_shut_it() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-shared");
    let first = scene.armed("");
    let second = scene.armed("");
    assert_eq!(first.shared, second.shared);
    assert_ne!(first.id, second.id);
    scene.keeper.ask(&format!("shut {}", first.id)).unwrap();
    assert!(scene.is_relayed());
    scene.keeper.ask(&format!("shut {}", second.id)).unwrap();
    assert!(!scene.is_relayed());
    // A new one, while the old one drains.
    let third = scene.armed("");
    assert_ne!(third.shared, first.shared);
    assert!(scene.is_relayed());
    for door in [&first, &second] {
        scene.keeper.close(door).unwrap();
    }
    assert!(scene.is_relayed());
    scene.keeper.close(&third).unwrap();
    assert!(!scene.is_relayed());
    assert_eq!(scene.settings(), ["0\n"; 3]);
}

#[test]
fn says_that_its_target_is_gone() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-gone");
    let door = scene.keeper.open(&scene.other, OTHER_PORT, "").unwrap();
    scene.keeper.arm(&door, LONG).unwrap();
    let health = format!("health {}", door.id);
    assert_eq!(scene.keeper.ask(&health).unwrap(), "fine");
    scene.other.delete().unwrap();
    assert_eq!(scene.keeper.ask(&health).unwrap(), "gone");
    scene.keeper.close(&door).unwrap();
}

#[test]
fn two_agents_do_not_take_each_others_connections() {
    requires!(root, "ip");
    let mut scene = Scene::new("doors-two");
    let mut other = Doorkeeper::start().unwrap();
    // Prepared by both, and the first to act has it.
    let late = other.open(&scene.web, PORT, "").unwrap();
    let door = scene.armed("");
    let refused = other.arm(&late, LONG).unwrap_err().to_string();
    assert!(refused.contains("another agent"), "{refused}");
    other.close(&late).unwrap();
    let refused = other.open(&scene.web, OTHER_PORT, "").err().unwrap();
    assert!(refused.to_string().contains("another agent"), "{refused}");
    assert!(scene.is_relayed());
    scene.keeper.close(&door).unwrap();
    let door = other.open(&scene.web, PORT, "").unwrap();
    other.arm(&door, LONG).unwrap();
    assert!(scene.is_relayed());
    other.close(&door).unwrap();
    drop(other);
    scene.nothing_is_left();
}
