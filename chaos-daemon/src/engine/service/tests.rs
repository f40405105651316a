//! What makes sense.

use super::*;
use crate::engine::spec::Selector;

fn port(port: u16) -> (Side, PortRange) {
    let range = PortRange {
        first: port,
        last: port,
    };
    (Side::Target, range)
}

fn filter() -> Filter {
    Filter {
        direction: Direction::Ingress,
        protocol: Some(Protocol::Tcp),
        ports: vec![port(80)],
        ..Filter::default()
    }
}

fn pause() -> Pause {
    Pause {
        delay: Duration::from_millis(100),
        variation: Duration::from_millis(50),
        share: Ppm::ALL,
    }
}

fn http() -> Http {
    Http {
        pause: Some(pause()),
        ..Http::default()
    }
}

fn error(code: u16, share: u32) -> ErrorAnswer {
    ErrorAnswer {
        share: Ppm(share),
        first: 0,
        code,
        headers: vec![],
        body: vec![],
    }
}

fn spec(rules: Vec<(Filter, Fault)>, at: Where) -> Spec {
    let rule = |(filter, fault)| Rule {
        filter,
        fault,
        pulse: None,
    };
    Spec {
        selector: Selector {
            at,
            interface: None,
        },
        rules: rules.into_iter().map(rule).collect(),
        duration: Duration::from_secs(1),
        detached: true,
        grace: Duration::ZERO,
        seed: 1,
        include_probes: false,
    }
}

#[test]
fn requests_are_found_by_single_ports_of_the_target() {
    assert_eq!(http().check(&filter()), Ok(()));
    let either = (Side::Either, port(80).1);
    let range = PortRange {
        first: 80,
        last: 81,
    };
    for ports in [vec![], vec![either], vec![port(80), (Side::Target, range)]] {
        let filter = Filter { ports, ..filter() };
        assert_eq!(http().check(&filter), Err(ServiceError::Ports.into()));
    }
}

#[test]
fn what_only_packets_have_is_named() {
    let with = |change: fn(&mut Filter)| {
        let mut filter = filter();
        change(&mut filter);
        http().check(&filter)
    };
    let refused = |field| Err(ServiceError::Filter(field).into());
    assert_eq!(
        with(|filter| filter.direction = Direction::Both),
        refused("direction")
    );
    assert_eq!(
        with(|filter| filter.protocol = Some(Protocol::Udp)),
        refused("protocol")
    );
    assert_eq!(with(|filter| filter.dscp = Some(0)), refused("dscp"));
    assert_eq!(with(|filter| filter.length = (1, 2)), refused("length"));
    assert_eq!(with(|filter| filter.syn_only = true), refused("syn_only"));
}

#[test]
fn a_fault_does_something_that_is_in_bounds() {
    let check = |http: Http| http.check(&filter());
    assert_eq!(check(Http::default()), Err(ServiceError::Nothing.into()));
    let variation = Duration::from_millis(101);
    let uneven = Pause {
        variation,
        ..pause()
    };
    let uneven = Http {
        pause: Some(uneven),
        ..Http::default()
    };
    let delay = pause().delay;
    assert_eq!(
        check(uneven),
        Err(ServiceError::Variation { variation, delay }.into())
    );
    for (error, why) in [
        (error(0, 1), ServiceError::ErrorCode(0)),
        (error(199, 1), ServiceError::ErrorCode(199)),
        (error(600, 1), ServiceError::ErrorCode(600)),
        (error(500, 0), ServiceError::NoErrorShare),
        (
            ErrorAnswer {
                body: b"a".to_vec(),
                ..error(304, 1)
            },
            ServiceError::NoBody(304),
        ),
    ] {
        let http = Http {
            error: Some(error),
            ..Http::default()
        };
        assert_eq!(check(http), Err(why.into()));
    }
    let too_many = Http {
        abort: Ppm(1_000_001),
        ..Http::default()
    };
    assert!(matches!(check(too_many), Err(SpecError::Share { .. })));
    let still = Pause {
        delay: Duration::ZERO,
        variation: Duration::ZERO,
        share: Ppm::ALL,
    };
    let still = Http {
        pause: Some(still),
        ..Http::default()
    };
    assert_eq!(check(still), Ok(()));
}

#[test]
fn a_call_fails_with_a_status() {
    let check = |code, share| {
        let error = ErrorStatus {
            share: Ppm(share),
            first: 0,
            code,
            message: String::new(),
        };
        let grpc = Grpc {
            error: Some(error),
            ..Grpc::default()
        };
        grpc.check(&filter())
    };
    assert_eq!(check(14, 1), Ok(()));
    assert_eq!(check(0, 1), Err(ServiceError::StatusCode(0).into()));
    assert_eq!(check(17, 1), Err(ServiceError::StatusCode(17).into()));
    assert_eq!(check(14, 0), Err(ServiceError::NoErrorShare.into()));
    assert_eq!(
        Grpc::default().check(&filter()),
        Err(ServiceError::Nothing.into())
    );
}

#[test]
fn one_port_has_one_door() {
    let kept = Http {
        door: Door {
            keep_existing: true,
            ..Door::default()
        },
        ..http()
    };
    let fault = |http| Fault::Http(Box::new(http));
    let elsewhere = Filter {
        ports: vec![port(81)],
        ..filter()
    };
    let at = || Where::Netns("a".into());
    let two = |filter_of_second| {
        let rules = vec![
            (filter(), fault(http())),
            (filter_of_second, fault(kept.clone())),
        ];
        spec(rules, at()).check()
    };
    assert_eq!(two(filter()), Err(ServiceError::TwoDoors(80).into()));
    assert_eq!(two(elsewhere), Ok(()));
    let of_node = spec(vec![(filter(), fault(http()))], Where::Node);
    assert_eq!(of_node.check(), Err(ServiceError::OfNode.into()));
}
