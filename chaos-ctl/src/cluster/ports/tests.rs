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
            end: End::Pod,
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
        let end = End::Pod;
        Ok(Some(vec![Some(PodPorts {
            protocol,
            numbers,
            end,
        })]))
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
        end: End::Pod,
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

#[test]
fn requests_arrive_at_the_only_port_of_tcp() {
    let mut http = draft(&[], &[], Protocol::Tcp);
    http.rule.fault = Some(Fault::Http(chaos_proto::v1::Http::default()));
    let several = ServicePorts::new(&service(), std::slice::from_ref(&http)).err();
    assert_eq!(
        several.unwrap().to_string(),
        "service web has several ports, so that it is not clear which is meant: give --port with one of 80 (http), 53 (dns-tcp)"
    );
    let mut one = service();
    let ports = one.spec.as_mut().unwrap().ports.as_mut().unwrap();
    ports.retain(|port| port.port == 80 || protocol(port) == "UDP");
    let asked = ServicePorts::new(&one, std::slice::from_ref(&http)).unwrap();
    let pod = pod(&[("http", "TCP", Some(8080)), ("dns", "UDP", Some(5353))]);
    let wanted = PodPorts {
        end: End::Pod,
        protocol: Protocol::Tcp,
        numbers: [8080].into(),
    };
    assert_eq!(asked.in_pod(&pod).unwrap(), Some(vec![Some(wanted)]));
    assert!(matches!(
        without_service(std::slice::from_ref(&http)),
        Err(ResolveError::WhichPort)
    ));
    // On one host a port is the target's own.
    let mut rule = http.rule;
    rule.filter.as_mut().unwrap().ports = vec![PortRange {
        first: 80,
        last: 80,
    }];
    settle(&mut rule);
    let filter = rule.filter.unwrap();
    assert_eq!((filter.ports.len(), filter.target_ports[0].first), (0, 80));
}

#[test]
fn names_of_containers_are_ports_of_pods_that_have_them() {
    let any = Protocol::Unspecified;
    let web = pod(&[("http", "TCP", Some(8080)), ("dns", "UDP", Some(53))]);
    let both = pod(&[("dns", "UDP", Some(53)), ("dns", "TCP", Some(53))]);
    let other = pod(&[("dns", "UDP", Some(53)), ("dns", "TCP", Some(5353))]);
    let filter = |draft: Draft, pods: &[Candidate]| {
        let drafts = [draft];
        let asked = ContainerPorts::new(&drafts, "app=web".to_owned()).unwrap();
        let mut notes = Vec::new();
        let found = asked.in_pods(pods, &mut notes);
        let found = found.map_err(|error| error.to_string())?;
        let mut filter = drafts[0].rule.filter.clone().unwrap();
        if let Some(ports) = &found[0].1[0] {
            apply(&mut filter, ports);
        }
        let ports = filter.ports.iter().map(|range| range.first);
        Ok::<_, String>((ports.collect::<Vec<_>>(), filter.protocol(), notes))
    };
    for (draft, pods, ports, protocol) in [
        (
            draft(&[], &["http"], any),
            &[&web],
            vec![8080],
            Protocol::Tcp,
        ),
        (
            draft(&[(90, 90)], &["http"], any),
            &[&web],
            vec![90, 8080],
            Protocol::Tcp,
        ),
        (draft(&[], &["dns"], any), &[&web], vec![53], Protocol::Udp),
        (draft(&[], &["dns"], any), &[&both], vec![53], any),
        (
            draft(&[], &["dns"], Protocol::Tcp),
            &[&other],
            vec![5353],
            Protocol::Tcp,
        ),
        (draft(&[(1, 9)], &[], any), &[&web], vec![1], any),
    ] {
        let pods: Vec<_> = pods.iter().map(|&pod| pod.clone()).collect();
        let found = filter(draft, &pods);
        assert_eq!(found, Ok((ports, protocol, Vec::new())));
    }
    let (_, _, notes) = filter(draft(&[], &["http"], any), &[web.clone(), both.clone()]).unwrap();
    let note = "1 of 2 pods have no container port http, and are left out";
    assert_eq!(notes, [note]);
    for (names, sentence) in [
        (
            ["https"],
            "no pod of app=web has a container port named https: there are dns, http",
        ),
        (
            ["dns"],
            "--port dns means other ports of a pod of app=web for TCP than for UDP: ",
        ),
    ] {
        let error = filter(draft(&[], &names, any), &[web.clone(), other.clone()]).unwrap_err();
        assert!(error.starts_with(sentence), "{error}");
    }
}
