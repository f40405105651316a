//! Relays with real sockets on the loopback interface, without a door: the relay listens where clients connect, and is
//! told where the application is.

mod ending;
mod http2;
mod streams;
mod upgrade;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as Listener},
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{Place, RelayId, Relays, ServiceRule, Tally, Upstream, Window, rules::Clients};
use crate::{
    engine::{ErrorAnswer, Http, Pause, Ppm, Requests},
    relay::ServiceFault,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PATIENCE: Duration = Duration::from_secs(10);

struct Plain(SocketAddr);

impl Upstream for Plain {
    fn socket(&self, _: SocketAddr, server: SocketAddr) -> io::Result<Socket> {
        Socket::new(Domain::for_address(server), Type::STREAM, None)
    }

    fn application(&self, _: SocketAddr) -> SocketAddr {
        self.0
    }

    fn connected(&self, _: SocketAddr) {}
}

/// A relay in front of an application.
struct Scene {
    relays: Relays,
    id: RelayId,
    address: SocketAddr,
    tally: Arc<Tally>,
}

impl Scene {
    fn new(application: SocketAddr, fault: impl Into<Option<ServiceFault>>) -> Self {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut relays = Relays::new();
        let place = Place {
            namespace: 1,
            enter: Box::new(|| Ok(())),
        };
        let id = relays
            .open(place, listener, Arc::new(Plain(application)))
            .unwrap();
        let scene = Self {
            relays,
            id,
            address,
            tally: Arc::new(Tally::default()),
        };
        scene.set(fault);
        scene
    }

    /// Replaces the rules.
    fn set(&self, fault: impl Into<Option<ServiceFault>>) {
        let fault = fault.into();
        let rules: Vec<_> = fault
            .into_iter()
            .map(|fault| rule(fault, &self.tally))
            .collect();
        self.set_all(&rules);
    }

    /// Replaces them by rules that count elsewhere.
    fn set_all(&self, rules: &[ServiceRule]) {
        let port = self.address.port();
        self.relays.set_rules(self.id, port, rules.into());
    }

    fn counted(&self) -> Requests {
        let open = self.relays.open_connections(self.id, self.address.port());
        self.tally.read(open)
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn rule(fault: ServiceFault, tally: &Arc<Tally>) -> ServiceRule {
    ServiceRule {
        clients: Clients::all(),
        window: Window {
            start: Instant::now(),
            deadline: Instant::now() + Duration::from_hours(1),
            pulse: None,
        },
        fault,
        seed: 1,
        tally: Arc::clone(tally),
    }
}

fn http(http: Http) -> ServiceFault {
    ServiceFault::Http(Box::new(http))
}

fn error() -> ErrorAnswer {
    ErrorAnswer {
        share: Ppm::ALL,
        first: 0,
        code: 500,
        headers: Vec::new(),
        body: b"broken".into(),
    }
}

async fn application() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn hear(stream: &mut TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    timeout(PATIENCE, stream.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        heard.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

/// How a connection ends, when nothing more is said on it.
async fn end(stream: &mut TcpStream) -> io::Result<usize> {
    timeout(PATIENCE, stream.read(&mut [0; 64])).await.unwrap()
}

/// Waits until something is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
}

#[tokio::test]
async fn requests_pass_and_are_counted() {
    let (application, address) = application().await;
    let scene = Scene::new(address, http(Http::default()));
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    for _ in 0..3 {
        client.write_all(GET).await.unwrap();
        hear(&mut served, GET).await;
        served.write_all(OK).await.unwrap();
        hear(&mut client, OK).await;
    }
    let expected = Requests {
        seen: 3,
        passed: 3,
        connections: 1,
        open_connections: 1,
        ..Requests::default()
    };
    assert_eq!(scene.counted(), expected);
    drop(client);
    assert_eq!(end(&mut served).await.unwrap(), 0);
    drop(served);
    until(|| scene.counted().open_connections == 0).await;
}

#[tokio::test]
async fn rules_are_swapped_between_two_requests_of_a_connection() {
    let (application, address) = application().await;
    let scene = Scene::new(address, None);
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    client.write_all(GET).await.unwrap();
    hear(&mut served, GET).await;
    served.write_all(OK).await.unwrap();
    hear(&mut client, OK).await;
    scene.set(http(Http {
        error: Some(error()),
        ..Http::default()
    }));
    client.write_all(GET).await.unwrap();
    hear(&mut client, b"HTTP/1.1 500 Internal Server Error\r\n").await;
}

#[tokio::test]
async fn what_is_not_http_passes_and_is_counted() {
    let (application, address) = application().await;
    let scene = Scene::new(address, http(Http::default()));
    // TLS, and the client ends before the server does.
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    client.write_all(b"\x16\x03\x01hello").await.unwrap();
    hear(&mut served, b"\x16\x03\x01hello").await;
    client.shutdown().await.unwrap();
    assert_eq!(end(&mut served).await.unwrap(), 0);
    served.write_all(b"after").await.unwrap();
    drop(served);
    hear(&mut client, b"after").await;
    assert_eq!(end(&mut client).await.unwrap(), 0);
    // Something else.
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    client.write_all(b"*1\r\n$4\r\nPING\r\n").await.unwrap();
    hear(&mut served, b"*1\r\n$4\r\nPING\r\n").await;
    served.write_all(b"+PONG\r\n").await.unwrap();
    hear(&mut client, b"+PONG\r\n").await;
    // The server speaks first.
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    served.write_all(b"220 mail\r\n").await.unwrap();
    hear(&mut client, b"220 mail\r\n").await;
    client.write_all(b"QUIT\r\n").await.unwrap();
    hear(&mut served, b"QUIT\r\n").await;
    // A check whether somebody listens is neither.
    let client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    drop(client);
    assert_eq!(end(&mut served).await.unwrap(), 0);
    let counted = scene.counted();
    assert_eq!(counted.encrypted_connections, 1);
    assert_eq!(counted.other_connections, 2);
    assert_eq!((counted.connections, counted.seen), (4, 0));
}

#[tokio::test]
async fn a_reset_goes_on_as_a_reset() {
    let is_reset = |ended: io::Result<usize>| {
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    };
    // Nobody listens.
    let (application, address) = application().await;
    drop(application);
    let scene = Scene::new(address, http(Http::default()));
    match TcpStream::connect(scene.address).await {
        Ok(mut client) => is_reset(end(&mut client).await),
        Err(error) => is_reset(Err(error)),
    }
    assert_eq!(scene.counted().upstream_failed, 1);

    // The fault.
    let (application, address) = self::application().await;
    let scene = Scene::new(
        address,
        http(Http {
            abort: Ppm::ALL,
            ..Http::default()
        }),
    );
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    client.write_all(GET).await.unwrap();
    is_reset(end(&mut client).await);
    is_reset(end(&mut served).await);

    // The client's own, and the application's own.
    scene.set(None);
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    client.write_all(GET).await.unwrap();
    hear(&mut served, GET).await;
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    is_reset(end(&mut served).await);
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    client.write_all(GET).await.unwrap();
    hear(&mut served, GET).await;
    socket2::SockRef::from(&served)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(served);
    is_reset(end(&mut client).await);
}

#[tokio::test]
async fn a_drained_port_ends_what_is_idle_finishes_what_runs_and_then_ends_all() {
    let (application, address) = application().await;
    let mut scene = Scene::new(
        address,
        http(Http {
            error: Some(error()),
            ..Http::default()
        }),
    );
    scene.set(None);
    let mut idle = scene.connect().await;
    let (mut idle_served, _) = application.accept().await.unwrap();
    idle.write_all(GET).await.unwrap();
    hear(&mut idle_served, GET).await;
    idle_served.write_all(OK).await.unwrap();
    hear(&mut idle, OK).await;
    let mut running = scene.connect().await;
    let (mut running_served, _) = application.accept().await.unwrap();
    running.write_all(GET).await.unwrap();
    hear(&mut running_served, GET).await;
    let mut hanging = scene.connect().await;
    let (mut hanging_served, _) = application.accept().await.unwrap();
    hanging.write_all(b"\x16\x03\x01hello").await.unwrap();
    hear(&mut hanging_served, b"\x16\x03\x01hello").await;

    let port = scene.address.port();
    scene
        .relays
        .drain(scene.id, port, Duration::from_millis(600));
    // Still taken: it was on its way when the door closed.
    let mut late = scene.connect().await;
    let (mut late_served, _) = application.accept().await.unwrap();
    late.write_all(GET).await.unwrap();
    hear(&mut late_served, GET).await;
    let closed = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    late_served.write_all(OK).await.unwrap();
    hear(&mut late, closed).await;
    running_served.write_all(OK).await.unwrap();
    hear(&mut running, closed).await;
    hanging_served.write_all(b"still").await.unwrap();
    hear(&mut hanging, b"still").await;
    assert!(matches!(end(&mut hanging).await, Ok(0) | Err(_)));
    assert_eq!(end(&mut idle).await.unwrap(), 0);
    assert_eq!(end(&mut idle_served).await.unwrap(), 0);
    // And the listener is gone.
    let mut refused = false;
    let address = scene.address;
    until(|| {
        refused |= std::net::TcpStream::connect(address).is_err();
        refused
    })
    .await;
}

#[tokio::test]
async fn an_aborted_relay_ends_at_once_with_its_thread() {
    let (application, address) = application().await;
    let mut scene = Scene::new(
        address,
        http(Http {
            pause: Some(Pause {
                delay: Duration::from_mins(1),
                variation: Duration::ZERO,
                share: Ppm::ALL,
            }),
            ..Http::default()
        }),
    );
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    client.write_all(GET).await.unwrap();
    hear(&mut served, GET).await;
    served.write_all(OK).await.unwrap();
    scene.relays.abort(scene.id);
    assert!(matches!(end(&mut client).await, Ok(0) | Err(_)));
    let address = scene.address;
    until(|| std::net::TcpStream::connect(address).is_err()).await;
}

#[tokio::test]
async fn a_thread_ends_with_its_last_relay() {
    thread_local! {
        static HELD: std::cell::RefCell<Option<Arc<()>>> = const { std::cell::RefCell::new(None) };
    }
    let (_application, address) = application().await;
    let held = Arc::new(());
    let mut relays = Relays::new();
    let open = |relays: &mut Relays| {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Arc::clone(&held);
        let place = Place {
            namespace: 5,
            enter: Box::new(move || {
                HELD.set(Some(held));
                Ok(())
            }),
        };
        let id = relays
            .open(place, listener, Arc::new(Plain(address)))
            .unwrap();
        relays.set_rules(id, port, [].into());
        (id, port)
    };
    for drains in [true, false] {
        let ids = [open(&mut relays), open(&mut relays)];
        // One thread for both.
        until(|| Arc::strong_count(&held) == 2).await;
        for (id, port) in ids {
            if drains {
                relays.drain(id, port, Duration::ZERO);
            } else {
                relays.abort(id);
            }
        }
        until(|| ids.iter().all(|(id, _)| !relays.is_running(*id))).await;
        until(|| Arc::strong_count(&held) == 1).await;
    }
    // What drains can still be ended at once.
    let (id, port) = open(&mut relays);
    let _hangs = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    until(|| relays.open_connections(id, port) == 1).await;
    let draining = relays.drain(id, port, Duration::from_mins(5));
    assert!(!draining.is_over() && relays.is_running(id));
    relays.abort(id);
    until(|| draining.is_over()).await;
    until(|| Arc::strong_count(&held) == 1).await;
    let place = Place {
        namespace: 6,
        enter: Box::new(|| Err(io::ErrorKind::NotFound.into())),
    };
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert!(
        relays
            .open(place, listener, Arc::new(Plain(address)))
            .is_err()
    );
}

#[tokio::test]
async fn a_gigabyte_passes_in_constant_memory() {
    const LENGTH: usize = 1 << 30;
    let (application, address) = application().await;
    let scene = Scene::new(address, http(Http::default()));
    let mut client = scene.connect().await;
    let (mut served, _) = application.accept().await.unwrap();
    let head = format!("PUT / HTTP/1.1\r\nContent-Length: {LENGTH}\r\n\r\n");
    let sends = tokio::spawn(async move {
        client.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![7; 1 << 20];
        for _ in 0..LENGTH / piece.len() {
            client.write_all(&piece).await.unwrap();
        }
        hear(&mut client, OK).await;
    });
    let before = resident();
    let mut most = before;
    let mut piece = vec![0; 1 << 20];
    let mut left = LENGTH + format!("PUT / HTTP/1.1\r\nContent-Length: {LENGTH}\r\n\r\n").len();
    while left > 0 {
        let count = served.read(&mut piece).await.unwrap();
        assert!(count > 0);
        left -= count;
        most = most.max(resident());
    }
    served.write_all(OK).await.unwrap();
    sends.await.unwrap();
    // Other tests run beside this one, in one process if nobody separates them.
    assert!(most - before < 64 << 20, "{before} {most}");
}

/// Bytes of memory of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
