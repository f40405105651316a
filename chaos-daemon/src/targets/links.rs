//! From a namespace to the interface that a fault goes onto.

use std::io;

use super::{TargetError, Workload};
use crate::{
    engine::Target,
    netlink::{self, Link},
    netns::Netns,
};

/// The interface asked for; else the default route's; else the only one that there is.
pub(super) fn target(workload: Workload, interface: Option<&str>) -> Result<Target, TargetError> {
    let Workload { name, netns, .. } = workload;
    let (links, default_routes) = look(&netns).map_err(|source| TargetError::Namespace {
        name: name.clone(),
        source,
    })?;
    let link = choose(&name, &links, &default_routes, interface)?;
    on(name, netns, link)
}

/// All interfaces of a namespace, and the numbers of those that have a default route.
pub(super) fn look(netns: &Netns) -> io::Result<(Vec<Link>, Vec<u32>)> {
    netns.enter(|_| {
        netlink::with(async |netlink| {
            Ok((
                netlink.links().await?,
                netlink.default_route_interfaces().await?,
            ))
        })
    })?
}

/// An interface of a namespace as a target.
pub(super) fn on(name: String, netns: Netns, link: &Link) -> Result<Target, TargetError> {
    if !link.ethernet {
        return Err(TargetError::NotEthernet {
            name,
            interface: link.name.clone(),
        });
    }
    Ok(Target {
        name,
        interface: link.name.clone(),
        ifindex: link.index,
        cgroup: None,
        pod: None,
        spared: Vec::new(),
        netns,
    })
}

fn choose<'a>(
    name: &str,
    links: &'a [Link],
    default_routes: &[u32],
    interface: Option<&str>,
) -> Result<&'a Link, TargetError> {
    if let Some(interface) = interface {
        return named(name, links, interface);
    }
    let by_route = default_routes
        .iter()
        .find_map(|index| links.iter().find(|link| link.index == *index));
    if let Some(link) = by_route {
        return Ok(link);
    }
    let candidates: Vec<&Link> = links
        .iter()
        .filter(|link| !link.loopback && link.up && !link.is_line())
        .collect();
    match candidates[..] {
        [only] => Ok(only),
        _ => Err(TargetError::WhichInterface {
            name: name.to_owned(),
            there: names(candidates.into_iter()),
        }),
    }
}

/// The interface of this name.
pub(super) fn named<'a>(
    name: &str,
    links: &'a [Link],
    interface: &str,
) -> Result<&'a Link, TargetError> {
    links
        .iter()
        .find(|link| link.name == interface)
        .ok_or_else(|| TargetError::NoInterface {
            name: name.to_owned(),
            interface: interface.to_owned(),
            there: names(links.iter()),
        })
}

pub(super) fn names<'a>(links: impl Iterator<Item = &'a Link>) -> String {
    let names: Vec<&str> = links.map(|link| link.name.as_str()).collect();
    if names.is_empty() {
        "none that is up".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.into(),
            alias: String::new(),
            up: true,
            loopback: name == "lo",
            ethernet: true,
            is_tun: false,
        }
    }

    #[test]
    fn asked_for_beats_default_route_beats_only() {
        let links = [link(1, "lo"), link(2, "eth0"), link(3, "eth1")];
        assert_eq!(choose("a", &links, &[3], Some("lo")).unwrap().name, "lo");
        assert_eq!(choose("a", &links, &[3], None).unwrap().name, "eth1");
        assert_eq!(choose("a", &links[..2], &[], None).unwrap().name, "eth0");
    }

    #[test]
    fn doubt_is_an_error_that_names_the_choices() {
        let links = [link(1, "lo"), link(2, "eth0"), link(3, "eth1")];
        let error = choose("a", &links, &[], None).unwrap_err().to_string();
        assert!(error.contains("eth0, eth1"), "{error}");
        let error = choose("a", &links, &[], Some("eth9"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no interface eth9; it has lo, eth0, eth1"),
            "{error}"
        );
        let error = choose("a", &links[..1], &[], None).unwrap_err().to_string();
        assert!(error.contains("none that is up"), "{error}");
    }

    #[test]
    fn our_own_devices_are_no_targets() {
        let mut line = link(4, "chaos00010001o");
        line.alias = format!("{}12", netlink::LINE_ALIAS);
        assert_eq!(
            choose("a", &[link(2, "eth0"), line], &[], None)
                .unwrap()
                .name,
            "eth0"
        );
    }
}
