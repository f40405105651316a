//! Every kind of traffic goes through, over IPv4 and IPv6, and is counted right.

use std::time::Duration;

use chaos_tests::{
    lab::{Family, Host, Lab},
    packet::{Frame, FrameSocket},
    pauses::Times,
    requires,
    traffic::{
        NetCounters, PATIENCE, Series, TcpInfo, TcpServer, UdpProbe, bulk_tcp, iperf3, ping_rtt,
        tcp_connect_time, tcp_rtt,
    },
};

/// What no round trip between two hosts of one machine takes, also of an emulated one, unless a CPU stands still meanwhile:
/// the shortest of many is asked.
const FAR_TOO_LONG: Duration = Duration::from_millis(500);

/// The shortest of round trips.
fn shortest(times: &Times) -> Duration {
    times.all().into_iter().min().unwrap()
}

fn two_hosts(lab: &Lab) -> (Host, Host) {
    (lab.host("a").unwrap(), lab.host("b").unwrap())
}

#[test]
fn udp_datagrams_are_counted_one_by_one() {
    requires!(root);
    let lab = Lab::new("udp").unwrap();
    let (a, b) = two_hosts(&lab);
    for family in Family::BOTH {
        let report = UdpProbe {
            family,
            series: Series::new(200, 1000),
            ..UdpProbe::default()
        }
        .run(&a, &b)
        .unwrap();
        assert_eq!(
            (report.sent.len(), report.lost(), report.send_errors),
            (200, 0, 0)
        );
        assert_eq!(report.unanswered(), [0_usize; 0]);
        assert!(report.is_in_order(), "{:?}", report.order);
        assert!(shortest(&report.rtts()) < FAR_TOO_LONG);
    }
}

#[test]
fn udp_datagrams_that_are_lost_are_missed() {
    requires!(root);
    let lab = Lab::new("udp-lost").unwrap();
    let (a, b) = two_hosts(&lab);
    // Datagrams to an address that nobody has: the report must not invent answers.
    b.namespace().ip("address del 10.77.0.2/24 dev eth0\naddress add 10.77.0.2/32 dev lo\nlink set eth0 down\n").unwrap();
    let probe = UdpProbe {
        series: Series {
            count: 20,
            rate: 200,
            patience: Duration::from_millis(100),
        },
        ..UdpProbe::default()
    };
    let report = probe.run(&a, &b).unwrap();
    assert_eq!(
        (
            report.lost(),
            report.unanswered().len(),
            report.rtts().count()
        ),
        (20, 20, 0)
    );
}

#[test]
fn tcp_goes_through() {
    requires!(root);
    let lab = Lab::new("tcp").unwrap();
    let (a, b) = two_hosts(&lab);
    for family in Family::BOTH {
        let server = TcpServer::echo(&b, family, 0).unwrap();
        let times = tcp_rtt(&a, &server, Series::new(50, 200)).unwrap();
        assert_eq!(times.count(), 50);
        assert!(shortest(&times) < FAR_TOO_LONG);
        assert_eq!(server.received(), 50 * 4);
        assert_eq!(tcp_connect_time(&a, &server, 10).unwrap().count(), 10);
    }
}

#[test]
fn icmp_goes_through() {
    requires!(root);
    let lab = Lab::new("icmp").unwrap();
    let (a, b) = two_hosts(&lab);
    for family in Family::BOTH {
        let times = ping_rtt(&a, b.address(family), Series::new(20, 200)).unwrap();
        assert_eq!(times.count(), 20);
        assert!(shortest(&times) < FAR_TOO_LONG);
    }
    let nobody = "10.77.0.99".parse().unwrap();
    assert_eq!(
        ping_rtt(
            &a,
            nobody,
            Series {
                count: 2,
                rate: 200,
                patience: Duration::from_millis(50)
            }
        )
        .unwrap()
        .count(),
        0
    );
}

#[test]
fn bulk_data_is_measured() {
    requires!(root, "iperf3");
    let lab = Lab::new("bulk").unwrap();
    let (a, b) = two_hosts(&lab);
    let (warm_up, duration) = (Duration::from_millis(100), Duration::from_secs(1));
    for family in Family::BOTH {
        let plain = bulk_tcp(&a, &b, family, warm_up, duration).unwrap();
        assert!(plain.gbit_per_s() > 0.01, "{plain:?}");
    }
    let other = iperf3(&a, &b, Family::V4, Duration::ZERO, duration).unwrap();
    assert!(other.gbit_per_s() > 0.01, "{other:?}");
}

#[test]
fn a_vlan_frame_passes_the_switch() {
    requires!(root);
    let lab = Lab::new("vlan").unwrap();
    let (a, b) = two_hosts(&lab);
    let (from, to) = (
        FrameSocket::open(&a).unwrap(),
        FrameSocket::open(&b).unwrap(),
    );
    let frame = Frame::v4(a.address_v4(), b.address_v4());
    let tagged = frame.clone().vlan(7).udp(1000, 2000, b"tagged");
    from.send(&tagged).unwrap();
    let received = to
        .receive(PATIENCE, |frame| frame.bytes.ends_with(b"tagged"))
        .unwrap()
        .unwrap();
    assert_eq!(received.vlan, Some(7));
    assert_eq!(received.bytes, frame.udp(1000, 2000, b"tagged"));
    assert!(
        to.receive(Duration::from_millis(20), |frame| frame.vlan == Some(8))
            .unwrap()
            .is_none()
    );
}

#[test]
fn the_kernels_counters_are_read() {
    requires!(root);
    let lab = Lab::new("counters").unwrap();
    let (a, b) = two_hosts(&lab);
    let before = NetCounters::of(&a).unwrap();
    UdpProbe {
        series: Series::new(10, 1000),
        ..UdpProbe::default()
    }
    .run(&a, &b)
    .unwrap();
    UdpProbe {
        family: Family::V6,
        series: Series::new(10, 1000),
        ..UdpProbe::default()
    }
    .run(&a, &b)
    .unwrap();
    let after = NetCounters::of(&a).unwrap();
    assert_eq!(after.grew(&before, "Udp.OutDatagrams"), 10);
    assert_eq!(after.grew(&before, "Udp6OutDatagrams"), 10);
    let server = TcpServer::sink(&b, Family::V4, 0).unwrap();
    let stream = a
        .run(|| std::net::TcpStream::connect(server.address()))
        .unwrap()
        .unwrap();
    let info = TcpInfo::of(&stream).unwrap();
    assert_eq!(
        (info.retransmits, info.congestion_state, info.unacked),
        (0, 0, 0)
    );
}
