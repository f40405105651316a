//! Faults that answer in the name of the other end: what applications see, over real connections.

use std::{
    io::{ErrorKind, Read, Result, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use chaos_tests::{
    lab::{Family, Host},
    requires,
    stats::Binomial,
};

use crate::scenario::{PATIENCE, Scenario, let_pass};

const PORT: u16 = 7000;

/// A connection that both hold.
struct Connection {
    client: TcpStream,
    server: TcpStream,
}

struct Server {
    listener: TcpListener,
    host: Host,
    family: Family,
}

impl Server {
    fn new(host: &Host, family: Family) -> Self {
        let address = host.socket_address(family, PORT);
        let listener = host.run(|| TcpListener::bind(address)).unwrap().unwrap();
        Self {
            listener,
            host: host.clone(),
            family,
        }
    }

    fn try_connect(&self, from: &Host) -> Result<TcpStream> {
        let address = self.host.socket_address(self.family, PORT);
        from.run(|| TcpStream::connect_timeout(&address, PATIENCE))
            .unwrap()
    }

    fn connect(&self, from: &Host) -> Connection {
        let client = self.try_connect(from).unwrap();
        let (server, _) = self.listener.accept().unwrap();
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        Connection { client, server }
    }
}

impl Connection {
    /// Sends from the client, and reads it at the server.
    fn carry(&mut self, bytes: &[u8]) -> Result<()> {
        self.client.write_all(bytes)?;
        self.server.read_exact(&mut vec![0; bytes.len()])
    }
}

fn kind(read: &mut TcpStream) -> ErrorKind {
    read.read(&mut [0; 16]).unwrap_err().kind()
}

#[test]
fn a_partition_that_rejects_says_so() {
    requires!(root);
    let mut scenario = Scenario::new("answer-reject");
    for family in Family::BOTH {
        let (there, here) = (
            Server::new(&scenario.peer, family),
            Server::new(&scenario.target, family),
        );
        let mut open = there.connect(&scenario.target);
        let peer = scenario.peer.address(family);
        let id = scenario.start(&format!("partition --reject --peer {peer}"));

        for (server, from) in [(&there, &scenario.target), (&here, &scenario.peer)] {
            let refused = server.try_connect(from).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{family:?}");
        }
        open.client.write_all(b"is there anybody").unwrap();
        assert_eq!(kind(&mut open.client), ErrorKind::ConnectionReset);
        open.server.write_all(b"no").unwrap();
        assert_eq!(kind(&mut open.server), ErrorKind::ConnectionReset);

        let any = scenario.target.socket_address(family, 0);
        let socket = scenario
            .target
            .run(|| UdpSocket::bind(any))
            .unwrap()
            .unwrap();
        socket.connect((peer, 53)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(b"a question").unwrap();
        let refused = socket.recv(&mut [0; 16]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{family:?}");

        let ended = scenario.stop(&id);
        let totals = &ended["totals"];
        assert_eq!(totals["matched_packets"], totals["answered_packets"]);
        assert_eq!(totals["answered_packets"], 5, "{ended}");
        there.connect(&scenario.target).carry(b"again").unwrap();
    }
    scenario.leaves_nothing();
}

#[test]
fn a_reset_ends_connections_at_both_ends() {
    requires!(root);
    let mut scenario = Scenario::new("answer-reset");
    for family in Family::BOTH {
        let server = Server::new(&scenario.peer, family);
        let mut speaks = server.connect(&scenario.target);
        let mut listens = server.connect(&scenario.target);
        let id = scenario.start("reset --connections established");
        speaks.client.write_all(b"something").unwrap();
        listens.server.write_all(b"something").unwrap();
        for connection in [&mut speaks, &mut listens] {
            assert_eq!(kind(&mut connection.client), ErrorKind::ConnectionReset);
            assert_eq!(kind(&mut connection.server), ErrorKind::ConnectionReset);
        }
        server.connect(&scenario.target).carry(b"new").unwrap();
        let ended = scenario.stop(&id);
        assert_eq!(ended["totals"]["answered_packets"], 2, "{ended}");

        let id = scenario.start("reset");
        let refused = server.try_connect(&scenario.target).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        scenario.stop(&id);
        server.connect(&scenario.target).carry(b"again").unwrap();
    }
    scenario.leaves_nothing();
}

#[test]
fn a_connection_lives_as_long_as_it_may() {
    requires!(root);
    let scenario = Scenario::new("answer-life");
    let server = Server::new(&scenario.peer, Family::V4);

    let id = scenario.start("reset --after-bytes 64kB --direction egress");
    let mut connection = server.connect(&scenario.target);
    let mut carried = 0;
    while carried < 200_000 && connection.carry(&[7; 1000]).is_ok() {
        carried += 1000;
    }
    // The packet that would make it 64,000 does not arrive, and what is sent twice counts twice.
    assert!((50_000..=63_000).contains(&carried), "{carried}");
    scenario.stop(&id);

    let id = scenario.start("reset --after 1s");
    let mut connection = server.connect(&scenario.target);
    connection.carry(b"still young").unwrap();
    let_pass(Duration::from_millis(1100));
    connection.client.write_all(b"too old").unwrap();
    assert_eq!(kind(&mut connection.server), ErrorKind::ConnectionReset);
    scenario.stop(&id);
}

#[test]
fn a_share_of_the_connections_ends_and_the_others_live() {
    requires!(root);
    let scenario = Scenario::new("answer-share");
    let server = Server::new(&scenario.peer, Family::V4);
    let mut connections: Vec<Connection> =
        (0..60).map(|_| server.connect(&scenario.target)).collect();
    let id = scenario.start("reset --probability 50%");
    let mut alive = 0;
    for connection in &mut connections {
        if connection.carry(b"first").is_ok() {
            alive += 1;
            for _ in 0..5 {
                connection.carry(b"and for good").unwrap();
            }
        }
    }
    scenario.stop(&id);
    let expected = Binomial {
        n: 60,
        p: 0.5,
        z: 4.0,
    };
    assert!(
        expected.contains(alive),
        "{alive} live, expected {expected}"
    );
}
