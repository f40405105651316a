//! Ports of a service, by number, name and range.

use serde_json::json;

use super::*;
use crate::arguments::Names;

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
    let asked = Asked::new(&service, std::slice::from_ref(draft));
    asked
        .map(|asked| asked.in_pod(pod))
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
    for (draft, ports) in [
        (draft(&[(80, 80)], &[], any), vec![8080]),
        (draft(&[], &["http"], any), vec![8080]),
        (draft(&[(53, 53)], &[], any), vec![53, 5353]),
        (draft(&[(53, 53)], &[], Protocol::Udp), vec![5353]),
        (draft(&[(1, 100)], &[], Protocol::Tcp), vec![53, 8080]),
        (draft(&[(80, 80)], &["dns"], any), vec![5353, 8080]),
    ] {
        let wanted = ports.into_iter().collect();
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
    let asked = Asked::new(&service, &drafts).unwrap();
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
    let mut filter = draft(&[(80, 80)], &[], Protocol::Tcp).rule.filter.unwrap();
    apply(&mut filter, &[3000].into());
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
