//! The node itself: the interfaces by which its packets come and go.

use super::{TargetError, links};
use crate::{
    engine::{Cgroup, Target},
    netlink::Link,
    netns::Netns,
};

/// The interface asked for; else each one that is up and has a default route. Never the loopback. Of the node, or of a
/// workload that shares them with it.
pub(super) fn of(
    name: &str,
    cgroup: Option<&Cgroup>,
    interface: Option<&str>,
) -> Result<Vec<Target>, TargetError> {
    let failed = |source| TargetError::Namespace {
        name: name.to_owned(),
        source,
    };
    // By its number, because the path is shown to people whose own process is another.
    let path = format!("/proc/{}/ns/net", std::process::id());
    let netns = Netns::at(path).map_err(failed)?;
    let (links, default_routes) = links::look(&netns).map_err(failed)?;
    let uplinks = choose(name, &links, &default_routes, interface)?;
    uplinks
        .into_iter()
        .map(|link| {
            let target = links::on(name.to_owned(), netns.clone(), link)?;
            Ok(Target {
                cgroup: cgroup.cloned(),
                spared: Vec::new(),
                ..target
            })
        })
        .collect()
}

fn choose<'a>(
    name: &str,
    links: &'a [Link],
    default_routes: &[u32],
    interface: Option<&str>,
) -> Result<Vec<&'a Link>, TargetError> {
    if let Some(interface) = interface {
        let link = links::named(name, links, interface)?;
        if link.loopback {
            return Err(TargetError::Loopback {
                interface: link.name.clone(),
            });
        }
        return Ok(vec![link]);
    }
    let uplinks: Vec<&Link> = links
        .iter()
        .filter(|link| link.up && !link.loopback && default_routes.contains(&link.index))
        .collect();
    if uplinks.is_empty() {
        let others = links.iter().filter(|link| !link.loopback);
        return Err(TargetError::NoUplink {
            there: links::names(others),
        });
    }
    Ok(uplinks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.into(),
            alias: String::new(),
            up: name != "down0",
            loopback: name == "lo",
            ethernet: true,
            is_tun: false,
        }
    }

    fn links() -> [Link; 5] {
        let names = ["lo", "eth0", "cni0", "eth1", "down0"];
        std::array::from_fn(|at| link(u32::try_from(at + 1).unwrap(), names[at]))
    }

    fn chosen(default_routes: &[u32], interface: Option<&str>) -> Result<Vec<String>, String> {
        choose("node-1", &links(), default_routes, interface)
            .map(|links| links.into_iter().map(|link| link.name.clone()).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_uplink_unless_one_is_asked_for() {
        // IPv6 has an unreachable default route on the loopback where it has no other.
        assert_eq!(chosen(&[4, 2, 1, 5], None).unwrap(), ["eth0", "eth1"]);
        assert_eq!(chosen(&[4, 2], Some("cni0")).unwrap(), ["cni0"]);
    }

    #[test]
    fn what_is_no_uplink_is_said() {
        assert_eq!(
            chosen(&[1, 5], None).unwrap_err(),
            "no interface of this node that is up has a default route; it has eth0, cni0, eth1, down0: \
             choose one with --interface IF"
        );
        assert!(chosen(&[2], Some("lo")).unwrap_err().contains("loopback"));
        assert!(
            chosen(&[2], Some("eth9"))
                .unwrap_err()
                .contains("node-1 has no interface eth9; it has lo")
        );
    }
}
