//! Finds what agents that are gone have left behind: our filters in clsact and the routing of clients' addresses, which it
//! removes at once, and devices that bear our alias, which may still hold packets.
//!
//! All carry the number of the process that made them; what a living agent made is left alone.

use std::{fs, io, process};

use aya::programs::{TcAttachType, TcHandle};
use tracing::warn;

use super::{doors::source, hook::detach_filter};
use crate::{
    PROCESS_NAME,
    netlink::{self, FAR_END_ALIAS, Filter, LINE_ALIAS, Link},
    netns::{self, Netns},
};

/// What was found.
#[derive(Debug, Default)]
pub struct Swept {
    /// Delay-line devices, still there.
    pub devices: Vec<Leftover>,
    /// Filters in clsact, removed.
    pub filters: usize,
    /// Routing rules of clients' addresses, removed.
    pub rules: usize,
}

/// A delay line's device that no living agent answers for.
#[derive(Debug)]
pub struct Leftover {
    pub(super) netns: Netns,
    pub(super) ifindex: u32,
    pub(super) is_tap: bool,
}

/// Looks through every network namespace that can be reached.
pub fn sweep() -> Swept {
    let mut swept = Swept::default();
    for netns in netns::all() {
        match sweep_namespace(&netns) {
            Ok(here) => {
                swept.devices.extend(here.devices);
                swept.filters += here.filters;
                swept.rules += here.rules;
            }
            // Namespaces come and go while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                warn!(netns = %netns.path().display(), %error, "cannot look for leftovers");
            }
        }
    }
    swept
}

fn sweep_namespace(netns: &Netns) -> io::Result<Swept> {
    netns.enter(|_| {
        let links = netlink::with(async |netlink| netlink.links().await)?;
        let mut filters = 0;
        for link in &links {
            filters += sweep_filters(link)?;
        }
        let devices = links.iter().filter(|link| is_leftover(link));
        let devices = devices.map(|link| Leftover {
            netns: netns.clone(),
            ifindex: link.index,
            is_tap: link.is_tun,
        });
        Ok(Swept {
            devices: devices.collect(),
            filters,
            rules: source::sweep(is_other_agent)?,
        })
    })?
}

fn sweep_filters(link: &Link) -> io::Result<usize> {
    let filters = netlink::with(async |netlink| netlink.bpf_filters(link.index).await)?;
    let leftovers: Vec<&Filter> = filters
        .iter()
        .filter(|filter| {
            filter.name == chaos_abi::maps::PROGRAM_ENTRY && !is_other_agent(filter.handle)
        })
        .collect();
    for filter in &leftovers {
        let direction = if filter.egress {
            TcAttachType::Egress
        } else {
            TcAttachType::Ingress
        };
        detach_filter(
            &link.name,
            direction,
            filter.priority,
            TcHandle::from(filter.handle),
        )
        .map_err(io::Error::other)?;
    }
    if !leftovers.is_empty() {
        netlink::with(async |netlink| netlink.delete_empty_clsact(link.index).await)?;
    }
    Ok(leftovers.len())
}

/// A far end goes with its near end, which may still hold packets.
fn is_leftover(link: &Link) -> bool {
    link.alias
        .strip_prefix(LINE_ALIAS)
        .filter(|owner| !owner.ends_with(FAR_END_ALIAS))
        .is_some_and(|owner| owner.parse().map_or(true, |owner| !is_other_agent(owner)))
}

/// Whether another agent runs under this process number. One that has ended, but whose parent has not asked how, has
/// no program any more.
fn is_other_agent(pid: u32) -> bool {
    let process = |file| format!("/proc/{pid}/{file}");
    pid != process::id()
        && fs::read_to_string(process("comm")).is_ok_and(|name| name.trim_end() == PROCESS_NAME)
        && fs::read_link(process("exe")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(alias: &str) -> Link {
        Link {
            index: 9,
            name: "chaos".into(),
            alias: alias.into(),
            up: true,
            loopback: false,
            ethernet: true,
            is_tun: false,
        }
    }

    #[test]
    fn only_what_we_signed_is_a_leftover() {
        assert!(is_leftover(&link(&format!(
            "{LINE_ALIAS}{}",
            process::id()
        ))));
        assert!(is_leftover(&link(&format!("{LINE_ALIAS}4294967295"))));
        assert!(!is_leftover(&link(&format!(
            "{LINE_ALIAS}4294967295{FAR_END_ALIAS}"
        ))));
        assert!(!is_leftover(&link("")));
        assert!(!is_leftover(&link(
            "somebody's chaos-daemon delay line of process 1"
        )));
    }
}
