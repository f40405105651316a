//! Ports of a service, by number, name and range.

use serde_json::json;

use super::*;
use crate::cluster::Names;

fn service() -> Service {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "demo"},
        "spec": {"ports": [
            {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"},
            {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "targetPort": 5353, "protocol": "TCP"},
            {"name": "sctp", "port": 90, "targetPort": 90, "protocol": "SCTP"},
        ]},
    }))
    .unwrap()
}

fn pod(ports: &[(&str, &str, Option<u16>)]) -> Candidate {
    let mut pod = Candidate {
        namespace: "demo".to_owned(),
        name: "web-1".to_owned(),
        uid: "1".to_owned(),
        node: "a".to_owned(),
        ports: BTreeMap::new(),
    };
    for (name, protocol, port) in ports {
        let key = ((*name).to_owned(), (*protocol).to_owned());
        pod.ports.entry(key).or_default().insert(*port);
    }
    pod
}

fn draft(ports: &[(u32, u32)], names: &[&str], protocol: Protocol) -> Draft {
    let ports = ports.iter().map(|&(first, last)| PortRange { first, last });
    Draft {
        rule: chaos_proto::v1::Rule {
            filter: Some(Filter {
                ports: ports.collect(),
                protocol: protocol.into(),
                ..Filter::default()
            }),
            ..chaos_proto::v1::Rule::default()
        },
        names: Names {
            ports: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Names::default()
        },
    }
}

fn translated(draft: &Draft, pod: &Candidate) -> Result<Option<Translated>, String> {
    let service = service();
    let asked = ServicePorts::new(&service, std::slice::from_ref(draft));
    asked
        .and_then(|asked| asked.in_pod(pod))
        .map_err(|error| error.to_string())
}

#[test]
fn numbers_names_and_ranges_become_ports_of_the_pod() {
    let any = Protocol::Unspecified;
    let pod = pod(&[
        ("http", "TCP", Some(8080)),
        ("dns", "UDP", Some(5353)),
        ("dns-tcp", "TCP", None),
    ]);
    let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
    for (draft, protocol, ports) in [
        (draft(&[(80, 80)], &[], any), tcp, vec![8080]),
        (draft(&[], &["http"], any), tcp, vec![8080]),
        (draft(&[(53, 53)], &[], udp), udp, vec![5353]),
        (draft(&[], &["dns"], any), udp, vec![5353]),
        (draft(&[(1, 100)], &[], tcp), tcp, vec![53, 8080]),
    ] {
        let wanted = PodPorts {
            protocol,
            numbers: ports.into_iter().collect(),
        };
        assert_eq!(
            translated(&draft, &pod),
            Ok(Some(vec![Some(wanted)])),
            "{draft:?}"
        );
    }
    assert_eq!(
        translated(&draft(&[], &[], any), &pod),
        Ok(Some(vec![None]))
    );
}

#[test]
fn a_port_of_one_protocol_does_not_hit_the_other() {
    let any = draft(&[(53, 53)], &[], Protocol::Unspecified);
    let of = |ports: &[_]| translated(&any, &pod(ports));
    let ports = |protocol| {
        let numbers = [5353].into();
        Ok(Some(vec![Some(PodPorts { protocol, numbers })]))
    };
    let (udp, tcp) = (("dns", "UDP", Some(5353)), ("dns-tcp", "TCP", Some(5353)));
    assert_eq!(of(&[udp]), ports(Protocol::Udp));
    assert_eq!(of(&[tcp]), ports(Protocol::Tcp));
    assert_eq!(of(&[udp, tcp]), ports(Protocol::Unspecified));
    let error = of(&[udp, ("dns-tcp", "TCP", Some(53))]).unwrap_err();
    assert!(
        error.starts_with("--port 53 of service web means other ports"),
        "{error}"
    );
}

#[test]
fn a_port_that_the_service_does_not_have_is_refused_with_those_that_it_has() {
    let pod = pod(&[("http", "TCP", Some(8080))]);
    for (draft, sentence) in [
        (
            draft(&[(8080, 8080)], &[], Protocol::Unspecified),
            "service web has no port 8080: its ports are 80 (http), 53/UDP (dns), 53 (dns-tcp), 90/SCTP (sctp)",
        ),
        (
            draft(&[(80, 80)], &[], Protocol::Udp),
            "service web has no port 80 of UDP: ",
        ),
        (
            draft(&[], &["https"], Protocol::Unspecified),
            "service web has no port https: ",
        ),
        (
            draft(&[(90, 90)], &[], Protocol::Unspecified),
            "service web has no port 90: ",
        ),
    ] {
        let error = translated(&draft, &pod).unwrap_err();
        assert!(error.starts_with(sentence), "{error}");
    }
    let mut twice = draft(&[(80, 80)], &[], Protocol::Tcp);
    let target = PortRange { first: 1, last: 1 };
    twice
        .rule
        .filter
        .as_mut()
        .unwrap()
        .target_ports
        .push(target);
    assert!(
        translated(&twice, &pod)
            .unwrap_err()
            .contains("give one of them")
    );
}

#[test]
fn pods_without_the_port_are_left_out() {
    let service = service();
    let drafts = [draft(&[(80, 80)], &[], Protocol::Unspecified)];
    let asked = ServicePorts::new(&service, &drafts).unwrap();
    let (with, without) = (pod(&[("http", "TCP", Some(8080))]), pod(&[]));
    let mut notes = Vec::new();
    let kept = asked
        .in_pods(vec![with.clone(), without.clone()], &mut notes)
        .unwrap();
    assert_eq!(kept.len(), 1);
    assert!(
        notes[0].starts_with("1 of 2 pods of service web do not have its port 80"),
        "{notes:?}"
    );
    assert!(asked.in_pods(vec![without], &mut notes).is_err());
    let translations = asked.translations([&with]);
    assert_eq!(
        (translations[0].target_port, translations[0].pods),
        (8080, 1)
    );
}

#[test]
fn a_translated_filter_has_ports_of_the_pod_only() {
    let filter = |protocol| draft(&[(80, 80)], &[], protocol).rule.filter.unwrap();
    let of = |protocol| PodPorts {
        protocol,
        numbers: [3000].into(),
    };
    let mut given = filter(Protocol::Tcp);
    apply(&mut given, &of(Protocol::Unspecified));
    assert_eq!(given.protocol(), Protocol::Tcp);
    let mut filter = filter(Protocol::Unspecified);
    apply(&mut filter, &of(Protocol::Udp));
    assert_eq!(filter.protocol(), Protocol::Udp);
    assert!(filter.ports.is_empty());
    let wanted = PortRange {
        first: 3000,
        last: 3000,
    };
    assert_eq!(filter.target_ports, [wanted]);
}

#[test]
fn names_of_ports_need_a_service() {
    let named = draft(&[], &["http"], Protocol::Unspecified);
    assert!(without_service(&[named]).is_err());
    assert!(without_service(&[draft(&[(80, 80)], &[], Protocol::Tcp)]).is_ok());
}
