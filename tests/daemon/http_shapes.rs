//! What HTTP looks like on its way through a real door: each talk is held once straight and once through it, and both ends
//! must hear the same.

mod bulk;
mod line;
#[path = "../../chaos-daemon/src/relay/http1/shapes.rs"]
mod shapes;
mod talks;

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
};

use chaos_tests::{lab::Family, requires};
use serde_json::Value;

use self::{
    line::{Line, get, shown},
    shapes::{AMBIGUOUS, BROKEN_CHUNKS},
    talks::{Counted, TALKS},
};
use crate::scenario::Scenario;

/// Has no door.
const STRAIGHT: u16 = 8000;
/// Has one.
const DOOR: u16 = 8001;

/// An agent, and applications on two ports of its target.
struct Scene {
    scenario: Scenario,
    listeners: [(u16, TcpListener); 2],
}

impl Scene {
    fn new(name: &str) -> Self {
        let scenario = Scenario::new(name);
        let listeners = [STRAIGHT, DOOR].map(|port| {
            let bind = || TcpListener::bind(("::", port));
            (port, scenario.target.run(bind).unwrap().unwrap())
        });
        Self {
            scenario,
            listeners,
        }
    }

    fn open(&self, family: Family, port: u16) -> Line {
        let to = self.scenario.target.socket_address(family, port);
        let mut listeners = self.listeners.iter();
        let (_, listener) = listeners.find(|(other, _)| *other == port).unwrap();
        Line::open(&self.scenario.peer, to, listener)
    }

    fn requests(&self, id: &str) -> Value {
        self.scenario.status(id)["totals"]["requests"].clone()
    }
}

/// Everything well-formed, and what ends badly: nothing of it changes, and each connection is counted as what it is.
#[test]
fn talks_are_the_same_through_a_door() {
    requires!(root);
    let mut scene = Scene::new("shapes-talks");
    let id = scene
        .scenario
        .start("http --port 8001 --error-rate 1 --error-code 503 --match-header x-chaos=hit");
    for family in Family::BOTH {
        for talk in TALKS {
            for (port, how) in [(STRAIGHT, "straight"), (DOOR, "through the door")] {
                let what = format!("{}, {how}, {family:?}", talk.name);
                scene.open(family, port).play(&what, talk.steps);
            }
        }
    }
    let twice = |count: fn(Counted) -> u64| -> u64 {
        2 * TALKS.iter().map(|talk| count(talk.counted)).sum::<u64>()
    };
    let seen = twice(|counted| match counted {
        Counted::Http(requests) | Counted::Unframed(requests) => requests,
        Counted::Switched => 1,
        Counted::Encrypted | Counted::Other => 0,
    });
    let counted = scene.requests(&id);
    for (counter, count) in [
        ("connections", 2 * TALKS.len() as u64),
        ("seen", seen),
        ("unmatched", seen),
        ("errors", 0),
        (
            "encrypted_connections",
            twice(|it| (it == Counted::Encrypted).into()),
        ),
        (
            "other_connections",
            twice(|it| matches!(it, Counted::Other | Counted::Switched).into()),
        ),
        (
            "unframed",
            twice(|it| matches!(it, Counted::Unframed(_)).into()),
        ),
        // Those whose application ends before its answer does.
        ("upstream_failed", 8),
    ] {
        assert_eq!(counted[counter], count, "{counter}: {counted}");
    }
    scene.scenario.stop(&id);
    drop(scene.listeners);
    scene.scenario.leaves_nothing();
}

const FINE: &[u8] = b"GET /fine HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HIT: &[u8] = b"GET /hit HTTP/1.1\r\nHost: x\r\n\r\n";
const BODY: &[u8] = b" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";

/// What smugglers send reaches the application as they sent it, and so does all that follows, though each request that could
/// be read is to fail; or the application sees nothing of it.
#[test]
fn smuggled_requests_pass_as_they_came_or_not_at_all() {
    requires!(root);
    let mut scene = Scene::new("shapes-smuggled");
    let id = scene
        .scenario
        .start("http --port 8001 --error-rate 1 --error-code 503 --exclude /fine");
    let mut unread = 0;
    let broken = BROKEN_CHUNKS.iter();
    let broken: Vec<Vec<u8>> = broken
        .map(|end| [b"POST /fine", BODY, end].concat())
        .collect();
    for shape in AMBIGUOUS
        .iter()
        .copied()
        .chain(broken.iter().map(Vec::as_slice))
    {
        let said = [shape, HIT].concat();
        for before in [false, true] {
            for (port, how) in [(STRAIGHT, "straight"), (DOOR, "through the door")] {
                let what = format!("{}, {how}, {before}", shown(shape));
                let mut line = scene.open(Family::V4, port);
                if before {
                    line.client.write_all(FINE).unwrap();
                    get(&what, &mut line.application, FINE);
                    line.application.write_all(OK).unwrap();
                    get(&what, &mut line.client, OK);
                }
                line.client.write_all(&said).unwrap();
                line.client.shutdown(Shutdown::Write).unwrap();
                assert_eq!(shown(&rest(&mut line.application)), shown(&said), "{what}");
                line.application.write_all(b"whatever\r\n").unwrap();
                drop(line.application);
                assert_eq!(shown(&rest(&mut line.client)), "whatever\\r\\n", "{what}");
            }
            unread += 1;
        }
    }
    for end in BROKEN_CHUNKS {
        let mut line = scene.open(Family::V4, DOOR);
        let said = [b"POST /hit", BODY, end, HIT].concat();
        line.client.write_all(&said).unwrap();
        let heard = shown(&rest(&mut line.client));
        assert!(heard.starts_with("HTTP/1.1 503 "), "{heard}");
        assert_eq!(heard.matches("HTTP/1.1").count(), 1, "{heard}");
        assert_eq!(shown(&rest(&mut line.application)), "", "{}", shown(end));
    }
    let counted = scene.requests(&id);
    let sum = |counters: [&str; 2]| -> u64 {
        counters
            .iter()
            .map(|&it| counted[it].as_u64().unwrap())
            .sum()
    };
    // What does not even begin like HTTP is another protocol.
    assert_eq!(sum(["unframed", "other_connections"]), unread, "{counted}");
    assert_eq!(counted["errors"], BROKEN_CHUNKS.len(), "{counted}");
    scene.scenario.stop(&id);
    drop(scene.listeners);
    scene.scenario.leaves_nothing();
}

/// All that comes until the end.
fn rest(from: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap();
    rest
}
