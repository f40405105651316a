//! Rewritten packets over real connections: what applications and their kernels make of them.

use std::{
    io::{ErrorKind, Read, Result, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
};

use chaos_tests::{
    lab::{Family, Host},
    requires,
};
use nix::sys::socket::{getsockopt, sockopt};

use crate::scenario::{PATIENCE, Scenario};

const PORT: u16 = 7000;
const OTHER_PORT: u16 = 7001;

fn listen(host: &Host, family: Family, port: u16) -> TcpListener {
    let address = host.socket_address(family, port);
    host.run(|| TcpListener::bind(address)).unwrap().unwrap()
}

fn connect(from: &Host, to: SocketAddr) -> Result<TcpStream> {
    let stream = from
        .run(|| TcpStream::connect_timeout(&to, PATIENCE))
        .unwrap()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends one way and back.
fn exchange(client: &mut TcpStream, server: &mut TcpStream) {
    let send = |from: &mut TcpStream, to: &mut TcpStream| {
        from.write_all(b"some bytes").unwrap();
        to.read_exact(&mut [0; 10]).unwrap();
    };
    send(client, server);
    send(server, client);
}

fn udp(host: &Host, family: Family, port: u16) -> UdpSocket {
    let address = host.socket_address(family, port);
    let socket = host.run(|| UdpSocket::bind(address)).unwrap().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
fn connections_go_elsewhere_and_come_back() {
    requires!(root);
    let mut scenario = Scenario::new("rewrite-steer");
    let other = scenario.lab.host("other").unwrap();
    for family in Family::BOTH {
        let there = listen(&scenario.peer, family, PORT);
        let elsewhere = listen(&other, family, OTHER_PORT);
        let asked = scenario.peer.socket_address(family, PORT);
        let mut open = connect(&scenario.target, asked).unwrap();
        let mut open_there = accept(&there);
        let id = scenario.start(&format!(
            "rewrite --dst-addr {} --dst-port {OTHER_PORT} --port {PORT}",
            other.address(family)
        ));

        let mut client = connect(&scenario.target, asked).unwrap();
        assert_eq!(client.peer_addr().unwrap(), asked);
        let mut server = accept(&elsewhere);
        exchange(&mut client, &mut server);
        exchange(&mut open, &mut open_there);

        let question = udp(&scenario.target, family, 0);
        question.connect(asked).unwrap();
        question.send(b"where are you").unwrap();
        let answering = udp(&other, family, OTHER_PORT);
        question.send(b"where are you").unwrap();
        let mut bytes = [0; 32];
        let (length, from) = answering.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"where are you");
        answering.send_to(b"elsewhere", from).unwrap();
        // The first one found nobody there, which its sender may be told first.
        let length = question
            .recv(&mut bytes)
            .or_else(|_| question.recv(&mut bytes))
            .unwrap();
        assert_eq!(&bytes[..length], b"elsewhere");

        let ended = scenario.stop(&id);
        assert!(
            ended["totals"]["rewritten_packets"].as_u64().unwrap() >= 6,
            "{ended}"
        );
        let mut client = connect(&scenario.target, asked).unwrap();
        exchange(&mut client, &mut accept(&there));
    }
    scenario.leaves_nothing();
}

#[test]
fn an_update_breaks_no_connection_that_was_sent_elsewhere() {
    requires!(root);
    let scenario = Scenario::new("rewrite-update");
    let other = scenario.lab.host("other").unwrap();
    let family = Family::V4;
    let elsewhere = listen(&other, family, OTHER_PORT);
    let asked = scenario.peer.socket_address(family, PORT);
    let options = format!(
        "rewrite --dst-addr {} --dst-port {OTHER_PORT}",
        other.address(family)
    );
    let id = scenario.start(&format!("{options} --port {PORT}"));
    let mut client = connect(&scenario.target, asked).unwrap();
    let mut server = accept(&elsewhere);
    for ttl in [9, 10, 11] {
        exchange(&mut client, &mut server);
        scenario.ask(&format!("update {id} {options} --ttl {ttl}"));
    }
    exchange(&mut client, &mut server);
    scenario.stop(&id);
}

#[test]
fn connections_to_the_target_find_another_port() {
    requires!(root);
    let scenario = Scenario::new("rewrite-port");
    for family in Family::BOTH {
        let another = listen(&scenario.target, family, OTHER_PORT);
        let asked = scenario.target.socket_address(family, PORT);
        let id = scenario.start(&format!(
            "rewrite --dst-port {OTHER_PORT} --direction ingress --proto tcp --target-port {PORT}"
        ));
        let mut client = connect(&scenario.peer, asked).unwrap();
        exchange(&mut client, &mut accept(&another));
        scenario.stop(&id);
        let refused = connect(&scenario.peer, asked).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn a_payload_is_replaced_and_the_receiver_takes_it() {
    requires!(root);
    let scenario = Scenario::new("rewrite-payload");
    let id = scenario.start("rewrite --replace OK=NO --payload 8:21 --port 7000");
    for family in Family::BOTH {
        let listener = listen(&scenario.peer, family, PORT);
        let to = scenario.peer.socket_address(family, PORT);
        let mut client = connect(&scenario.target, to).unwrap();
        client.write_all(b"200 OK, thanks").unwrap();
        let mut bytes = [0; 14];
        accept(&listener).read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"200 NO, !hanks", "{family:?}");

        let receiver = udp(&scenario.peer, family, PORT);
        let sender = udp(&scenario.target, family, 0);
        sender.send_to(b"200 OK", to).unwrap();
        let (length, _) = receiver.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"200 NO");
    }
    scenario.stop(&id);
}

#[test]
fn a_smaller_segment_is_announced() {
    requires!(root);
    let scenario = Scenario::new("rewrite-mss");
    for family in Family::BOTH {
        let listener = listen(&scenario.peer, family, PORT);
        let to = scenario.peer.socket_address(family, PORT);
        let id = scenario.start("rewrite --mss 500");
        let _client = connect(&scenario.target, to).unwrap();
        let small = largest_segment(&accept(&listener));
        scenario.stop(&id);
        let _client = connect(&scenario.target, to).unwrap();
        let large = largest_segment(&accept(&listener));
        // What options take of it depends on the kernel.
        assert!(
            (400..=500).contains(&small) && large > 1000,
            "{small}, {large}"
        );
    }
}

/// What the kernel would send in one segment.
fn largest_segment(stream: &TcpStream) -> u32 {
    getsockopt(stream, sockopt::TcpMaxSeg).unwrap()
}
