//! Peers: addresses and CIDRs of the other side, and names of what has addresses.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{InvalidQuantity, Problem};

/// Who is on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An address or CIDR, as written.
    Address(String),
    /// Something that has addresses.
    Named(PeerName),
}

/// Something that has addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerName {
    /// A service of a cluster: `svc/NAME`, or `svc/NAME.NAMESPACE`.
    Service {
        /// Its name.
        name: String,
        /// Its namespace, where it was said.
        namespace: Option<String>,
    },
    /// A pod: `pod/NAME`, or `pod/NAME.NAMESPACE`; a name may have dots, so only the cluster can tell.
    Pod(String),
    /// All pods of a namespace: `ns/NAME`.
    Namespace(String),
    /// A node: `node/NAME`.
    Node(String),
    /// Pods by their labels: `label/KEY=VALUE`, or `label/KEY=VALUE@NAMESPACE`; written `-l KEY=VALUE`, too.
    Label {
        /// The label selector.
        selector: String,
        /// Their namespace, where it was said.
        namespace: Option<String>,
    },
    /// A host name, for DNS.
    Host(String),
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service {
                name,
                namespace: None,
            } => write!(f, "svc/{name}"),
            Self::Service {
                name,
                namespace: Some(namespace),
            } => write!(f, "svc/{name}.{namespace}"),
            Self::Pod(name) => write!(f, "pod/{name}"),
            Self::Namespace(name) => write!(f, "ns/{name}"),
            Self::Node(name) => write!(f, "node/{name}"),
            Self::Label {
                selector,
                namespace: None,
            } => write!(f, "label/{selector}"),
            Self::Label {
                selector,
                namespace: Some(namespace),
            } => write!(f, "label/{selector}@{namespace}"),
            Self::Host(name) => f.write_str(name),
        }
    }
}

/// Peers, as one option has them.
pub type Peers = Vec<Peer>;

/// Reads peers with commas between them. What is no peer by itself, and comes after labels, is one more of the labels.
pub fn peers(text: &str) -> Result<Peers, InvalidQuantity> {
    split(text).iter().map(|one| read("peer", one)).collect()
}

/// The same for those that are not to match.
pub fn exceptions(text: &str) -> Result<Peers, InvalidQuantity> {
    split(text)
        .iter()
        .map(|one| read("exception", one))
        .collect()
}

fn split(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in text.split(',').map(str::trim) {
        match found.last_mut() {
            Some(labels) if is_of_labels(labels) && read("peer", part).is_err() => {
                labels.push(',');
                labels.push_str(part);
            }
            Some(_) | None => found.push(part.to_owned()),
        }
    }
    found
}

fn is_of_labels(text: &str) -> bool {
    ["label/", "l/", "-l "]
        .iter()
        .any(|kind| text.starts_with(kind))
}

fn read(name: &'static str, text: &str) -> Result<Peer, InvalidQuantity> {
    if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return Ok(Peer::Address(text.to_owned()));
    }
    named(text)
        .map(Peer::Named)
        .map_err(|problem| InvalidQuantity {
            name,
            value: text.to_owned(),
            problem,
            accepted: "give an address or CIDR, such as 10.0.0.7, 10.0.0.0/8 or fd00::/64, a host name with a dot, or in a cluster svc/NAME, pod/NAME, ns/NAME, node/NAME or -l LABELS",
        })
}

fn named(text: &str) -> Result<PeerName, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if let Some(labels) = text.strip_prefix("-l ") {
        return label(labels.trim());
    }
    let Some((kind, name)) = text.split_once('/') else {
        return host(text).map(PeerName::Host);
    };
    let whole = |name: &str| {
        let name = is_name(name).then(|| name.to_owned());
        name.ok_or(Problem::Malformed)
    };
    match kind {
        "svc" | "service" => {
            let (name, namespace) = match name.split_once('.') {
                Some((name, namespace)) => (name, Some(whole(namespace)?)),
                None => (name, None),
            };
            Ok(PeerName::Service {
                name: whole(name)?,
                namespace,
            })
        }
        "pod" => whole(name).map(PeerName::Pod),
        "ns" | "namespace" => whole(name).map(PeerName::Namespace),
        "node" => whole(name).map(PeerName::Node),
        "label" | "l" => label(name),
        _ => Err(Problem::Malformed),
    }
}

/// One or several requirements, each with a value or not: that a label is there may be enough. What a selector is, is
/// for the API server to say.
fn label(text: &str) -> Result<PeerName, Problem> {
    let (selector, namespace) = match text.rsplit_once('@') {
        Some((selector, namespace)) if is_name(namespace) => (selector, Some(namespace.to_owned())),
        Some(_) => return Err(Problem::Malformed),
        None => (text, None),
    };
    let known = |c: char| c.is_ascii_alphanumeric() || "-_./=!, ()".contains(c);
    if selector.is_empty() || !selector.chars().all(known) {
        return Err(Problem::Malformed);
    }
    Ok(PeerName::Label {
        selector: selector.to_owned(),
        namespace,
    })
}

/// A name without a dot is more likely a service's that lacks `svc/`; what ends in a number is a broken address.
fn host(text: &str) -> Result<String, Problem> {
    let last = text.trim_end_matches('.').rsplit('.').next();
    let is_number = last.is_none_or(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let name = text.strip_suffix('.').unwrap_or(text);
    if !text.contains('.') || is_number || !is_name(&name.to_ascii_lowercase()) {
        return Err(Problem::Malformed);
    }
    Ok(text.to_owned())
}

/// As Kubernetes names things: labels of letters, digits and minus signs with dots between them.
pub fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        label.bytes().all(|b| inner(b) || b == b'-')
            && label.bytes().next().is_some_and(inner)
            && label.bytes().next_back().is_some_and(inner)
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_cidrs_pass() {
        for text in ["10.0.0.7", "10.0.0.0/8", "fd00::/64", "::1", "0.0.0.0/0"] {
            assert_eq!(peers(text), Ok(vec![Peer::Address(text.to_owned())]));
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "10.0.0.",
            "host",
            "-1",
            "svc/",
            "svc/a.b.",
            "svc/A",
            "pod/-a",
            "ns/a/b",
            "label/",
            "label/app=web@",
            "-l ",
            "label/app=\"web\"",
            "deployment/web",
            "-a.example",
        ] {
            assert!(peers(text).is_err(), "{text}");
            assert_eq!(exceptions(text).map_err(|e| e.name), Err("exception"));
        }
    }

    #[test]
    fn names_are_read_and_written() {
        for text in [
            "svc/db",
            "svc/db.shop",
            "pod/db-0",
            "pod/db-0.shop",
            "ns/shop",
            "node/ip-10-0-0-5.ec2.internal",
            "label/app=web",
            "label/app.kubernetes.io/name=web@shop",
            "label/!canary",
            "label/app=web,tier!=db,track in (canary,beta),!old",
            "label/app.kubernetes.io/name notin (a,b),x@shop",
            "db.example.com",
            "Db.example.com.",
        ] {
            let read = peers(text).unwrap();
            let [Peer::Named(name)] = &read[..] else {
                panic!("{text}: {read:?}");
            };
            assert_eq!(name.to_string(), text);
        }
        let service = PeerName::Service {
            name: "db".to_owned(),
            namespace: Some("shop".to_owned()),
        };
        assert_eq!(peers("service/db.shop"), Ok(vec![Peer::Named(service)]));
        assert_eq!(peers("namespace/a"), peers("ns/a"));
        assert_eq!(peers("l/a=b"), peers("label/a=b"));
        assert_eq!(peers("-l a=b,c!=d"), peers("label/a=b,c!=d"));
    }

    #[test]
    fn a_comma_in_labels_does_not_end_them() {
        let text = "10.0.0.7,-l app=web,tier in (a,b), !old,svc/db,label/x@shop,db.example.com";
        let read: Vec<_> = peers(text)
            .unwrap()
            .into_iter()
            .map(|peer| match peer {
                Peer::Address(address) => address,
                Peer::Named(name) => name.to_string(),
            })
            .collect();
        let wanted = [
            "10.0.0.7",
            "label/app=web,tier in (a,b),!old",
            "svc/db",
            "label/x@shop",
            "db.example.com",
        ];
        assert_eq!(read, wanted);
        assert!(peers("10.0.0.7,db").is_err());
        assert!(peers("10.0.0.7,").is_err());
    }
}
