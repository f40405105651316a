//! Which connections a door takes, as the kernel runs its program.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    os::fd::{AsFd as _, AsRawFd as _},
};

use chaos_abi::{
    door::{Door, DoorCounters, REMEMBERS},
    maps::LIVENESS_LIMIT_NS,
};
use chaos_daemon::{
    attach::{Words, doors::Copy, monotonic_ns},
    engine::{Protected, Spared},
};
use chaos_tests::progrun::{Lookup, run_lookup};

const TCP: u8 = 6;
const UDP: u8 = 17;
const PORT: u16 = 80;
const PLACE: u32 = 3;
/// The kernel's `SK_PASS`.
const PASS: u32 = 1;

struct Tested {
    copy: Copy,
    words: Words,
    listener: TcpListener,
}

impl Tested {
    /// A door for [`PORT`] that acts.
    fn new() -> Self {
        let words = Words::default();
        let mut copy = Copy::load(&words).unwrap();
        let listener = TcpListener::bind("[::]:0").unwrap();
        copy.set_listener(PLACE, &listener).unwrap();
        let mut tested = Self {
            copy,
            words,
            listener,
        };
        tested.door(u64::MAX, 0);
        tested
    }

    fn door(&mut self, deadline_ns: u64, flags: u32) {
        let door = Door {
            deadline_ns,
            place: PLACE,
            flags,
        };
        self.copy.set_door(PORT, door).unwrap();
    }

    fn takes(&mut self, asked: Lookup) -> bool {
        let program = self.copy.program().unwrap().fd().unwrap();
        let (verdict, chosen, _) = run_lookup(program.as_fd(), &asked, 1).unwrap();
        assert_eq!(verdict, PASS, "a connection was refused: {asked:?}");
        assert!(chosen == 0 || chosen == cookie(&self.listener), "{asked:?}");
        chosen != 0
    }
}

fn cookie(listener: &TcpListener) -> u64 {
    let (mut cookie, mut length) = (0_u64, 8);
    // SAFETY: the descriptor is open, and the kernel writes at most eight bytes.
    let result = unsafe {
        libc::getsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    assert_eq!((result, length), (0, 8));
    cookie
}

fn asked(peer: &str, local: &str) -> Lookup {
    Lookup {
        peer: peer.parse().unwrap(),
        local: local.parse().unwrap(),
        protocol: TCP,
    }
}

fn v4() -> Lookup {
    asked("10.0.0.2:40000", "10.0.0.1:80")
}

fn v6() -> Lookup {
    asked("[fd00::2]:40000", "[fd00::1]:80")
}

#[test]
fn takes_connections_for_its_port_of_both_families() {
    let mut tested = Tested::new();
    assert!(tested.takes(v4()) && tested.takes(v6()));
    assert!(!tested.takes(asked("10.0.0.2:80", "10.0.0.1:81")));
    assert!(!tested.takes(asked("[fd00::2]:80", "[fd00::1]:20480")));
    for asked in [v4(), v6()] {
        let protocol = UDP;
        assert!(!tested.takes(Lookup { protocol, ..asked }));
    }
    let counters = tested.copy.counters(PLACE).unwrap();
    assert_eq!(
        counters,
        DoorCounters {
            taken: 2,
            spared: 0
        }
    );
}

#[test]
fn ends_by_itself() {
    let mut tested = Tested::new();
    tested.door(0, 0);
    assert!(!tested.takes(v4()), "it was not armed");
    tested.door(monotonic_ns(), 0);
    assert!(!tested.takes(v4()), "its deadline has come");
    tested.door(monotonic_ns() + 60_000_000_000, 0);
    assert!(tested.takes(v4()));
    // A second of play: the test's clock and the program's are read one after the other.
    let long_ago = monotonic_ns() - LIVENESS_LIMIT_NS;
    tested.words.renew(long_ago + 1_000_000_000).unwrap();
    assert!(tested.takes(v4()));
    tested.words.renew(long_ago).unwrap();
    assert!(!tested.takes(v4()), "its agent hangs");
    tested.words.renew(monotonic_ns()).unwrap();
    assert!(tested.takes(v4()));
    tested.copy.remove_door(PORT).unwrap();
    assert!(!tested.takes(v4()));
}

#[test]
fn without_a_listener_the_application_gets_it() {
    let mut tested = Tested::new();
    tested.copy.clear_listener(PLACE);
    assert!(!tested.takes(v4()));
    tested.copy.clear_listener(PLACE);
    let mut tested = Tested::new();
    tested.listener = TcpListener::bind("[::]:0").unwrap();
    assert!(!tested.takes(v4()), "the old listener was closed");
}

#[test]
fn spares_probes_and_the_protected() {
    let mut tested = Tested::new();
    let peer = |address: &str| -> IpAddr { address.parse().unwrap() };
    let kubelet = [peer("10.0.0.9"), peer("fd00::9")].map(|peer| Spared {
        peer,
        own_port: PORT,
    });
    for spared in &kubelet {
        tested.copy.spare(spared).unwrap();
    }
    let port = |text: &str| -> SocketAddr { text.parse().unwrap() };
    let protected = [
        Protected::Peers("10.1.0.0/16".parse().unwrap()),
        Protected::Peers("fd01::/32".parse().unwrap()),
        Protected::PeerPort(port("10.0.0.8:6443")),
        Protected::NodesPeerPort(port("10.0.0.7:6443")),
    ];
    tested.copy.protect(&protected, false).unwrap();
    let mut takes = |peer: &str| {
        let local = if port(peer).is_ipv4() {
            "10.0.0.1:80"
        } else {
            "[fd00::1]:80"
        };
        tested.takes(asked(peer, local))
    };
    for spared in [
        "10.0.0.9:1000",
        "[fd00::9]:1000",
        "10.1.2.3:1000",
        "[fd01::5]:1000",
        "10.0.0.8:6443",
    ] {
        assert!(!takes(spared), "{spared}");
    }
    for other in [
        "10.0.0.10:1000",
        "[fd00::a]:1000",
        "10.2.2.3:1000",
        "[fd02::5]:1000",
        "10.0.0.8:6444",
        "10.0.0.7:6443",
    ] {
        assert!(takes(other), "{other}");
    }
    let counters = tested.copy.counters(PLACE).unwrap();
    assert_eq!(
        counters,
        DoorCounters {
            taken: 6,
            spared: 5
        }
    );
    for spared in &kubelet {
        tested.copy.no_longer_spare(spared);
    }
    assert!(tested.takes(asked("10.0.0.9:1000", "10.0.0.1:80")));
    tested.copy.protect(&protected, true).unwrap();
    assert!(!tested.takes(asked("10.0.0.7:6443", "10.0.0.1:80")));
}

#[test]
fn remembers_whom_it_takes_only_where_it_is_told() {
    let mut tested = Tested::new();
    assert!(tested.takes(v4()));
    assert!(tested.copy.taken().is_empty());
    tested.door(u64::MAX, REMEMBERS);
    assert!(tested.takes(v4()) && tested.takes(v6()) && tested.takes(v4()));
    let ports: Vec<_> = tested.copy.taken().iter().map(|it| it.peer_port).collect();
    assert_eq!(ports, [40_000, 40_000]);
    tested.copy.forget_taken();
    assert!(tested.copy.taken().is_empty());
}
