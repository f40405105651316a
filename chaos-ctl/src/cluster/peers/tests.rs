//! Addresses in place of names; the API server's part is tested end to end.

use chaos_proto::v1::Filter;
use k8s_openapi::List;

use super::*;
use crate::cluster::Names;

const SERVICE: &str = include_str!("../../../../tests/recorded/real_service_get.json");
const SLICES: &str = include_str!("../../../../tests/recorded/real_endpointslices_list.json");
const PODS: &str = include_str!("../../../../tests/recorded/real_pods_list_by_label.json");

fn draft(given: &[&str], peers: &[&str], except: &[&str]) -> Draft {
    let hosts = |names: &[&str]| {
        let names = names.iter().map(|name| PeerName::Host((*name).to_owned()));
        names.collect::<Vec<_>>()
    };
    Draft {
        rule: Rule {
            filter: Some(Filter {
                peers: given.iter().map(|peer| (*peer).to_owned()).collect(),
                ..Filter::default()
            }),
            ..Rule::default()
        },
        names: Names {
            ports: Vec::new(),
            peers: hosts(peers),
            except: hosts(except),
        },
    }
}

fn known(all: &[(&str, &[&str])]) -> Known {
    let addresses = |addresses: &[&str]| {
        addresses
            .iter()
            .map(|address| (*address).to_owned())
            .collect()
    };
    Known {
        addresses: all
            .iter()
            .map(|(name, of)| ((*name).to_owned(), addresses(of)))
            .collect(),
        notes: Vec::new(),
    }
}

#[tokio::test]
async fn a_service_is_its_own_addresses_and_its_endpoints() {
    let slices: List<EndpointSlice> = serde_json::from_str(SLICES).unwrap();
    let mut endpoints = Endpoints {
        service: serde_json::from_str(SERVICE).unwrap(),
        slices: slices.items,
    };
    let addresses = service(&endpoints).await.unwrap();
    let wanted = [
        "10.96.238.137",
        "10.244.0.2",
        "10.244.0.3",
        "10.244.0.4",
        "10.244.0.5",
        "10.244.0.6",
    ];
    assert_eq!(addresses, wanted.map(str::to_owned).into());
    let spec = endpoints.service.spec.as_mut().unwrap();
    spec.cluster_ip = Some("None".to_owned());
    spec.cluster_ips = Some(vec!["None".to_owned()]);
    assert_eq!(service(&endpoints).await.unwrap().len(), 5);
}

#[test]
fn pods_on_the_host_network_are_left_out_and_named() {
    let pods: List<Pod> = serde_json::from_str(PODS).unwrap();
    let mut pods = pods.items;
    pods[0].spec.as_mut().unwrap().host_network = Some(true);
    let name = pods[0].name_any();
    let (addresses, note) = of_pods("ns/real", &pods);
    assert_eq!(addresses.len(), 4);
    assert!(note.unwrap().ends_with(&format!("of whole nodes: {name}")));
}

#[test]
fn names_become_addresses_each_once() {
    let known = known(&[
        ("a.x", &["10.0.0.1", "10.0.0.2"]),
        ("b.x", &["10.0.0.2", "fd00::1"]),
    ]);
    let draft = draft(&["10.0.0.1"], &["a.x", "b.x"], &["b.x"]);
    assert!(known.check(std::slice::from_ref(&draft)).is_ok());
    let filter = known.apply(&draft).filter.unwrap();
    assert_eq!(filter.peers, ["10.0.0.1", "10.0.0.2", "fd00::1"]);
    assert_eq!(filter.except_peers, ["10.0.0.2", "fd00::1"]);
}

#[test]
fn a_rule_whose_peers_have_no_address_is_refused() {
    let known = known(&[("a.x", &[]), ("b.x", &["10.0.0.2"])]);
    assert!(known.check(&[draft(&[], &["a.x"], &[])]).is_err());
    assert!(known.check(&[draft(&[], &["a.x", "b.x"], &[])]).is_ok());
    assert!(known.check(&[draft(&["10.0.0.1"], &["a.x"], &[])]).is_ok());
    assert!(known.check(&[draft(&[], &[], &["a.x"])]).is_ok());
}

#[tokio::test]
async fn one_host_knows_no_names_of_a_cluster() {
    let mut named = draft(&[], &[], &[]);
    named
        .names
        .except
        .push(PeerName::Namespace("shop".to_owned()));
    let error = without_cluster(vec![named]).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("peer `ns/shop` is of a cluster, ")
    );
    let plain = draft(&["10.0.0.1"], &[], &[]);
    assert_eq!(
        without_cluster(vec![plain.clone()]).await.unwrap(),
        [plain.rule]
    );
}
