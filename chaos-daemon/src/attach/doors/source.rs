//! What lets the agent talk to an application under a client's address: answers to that address come back to the agent.
//!
//! The agent's connections carry a mark. The namespace gives the application's sockets the mark of the connection that they
//! take, and packets with the mark stay in the namespace, whoever they are for. All of that is undone with the last door of
//! the namespace; what an agent that died leaves touches no packet without the mark, and [`sweep`] removes it.

use std::{fs, io, process};

use super::procfs;
use crate::netlink::{self, MarkRule};

/// Mark of the agent's connections to applications: no plain bit of it means anything to others that set single bits.
pub(super) const MARK: u32 = 0x6368_616f;
/// Tables of agents: the lower bits are the agent's process.
const TABLES: u32 = 0x6300_0000;
const PROCESS_BITS: u32 = 0x00ff_ffff;
/// Of the rules; the lower bits say which [`SETTINGS`] were off before.
const PRIORITY: u32 = 0x40;

/// Switches of the namespace: sockets get the mark of the connection that they take, and refusals that of what is refused.
const SETTINGS: [&str; 3] = [
    "net/ipv4/tcp_fwmark_accept",
    "net/ipv4/fwmark_reflect",
    "net/ipv6/fwmark_reflect",
];

/// The two families.
const FAMILIES: [bool; 2] = [false, true];

/// Why a client's address cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    /// Somebody's rules are in the way.
    #[error("another rule for packets with the mark {MARK:#x} is there")]
    Taken,
    /// A switch could not be turned on.
    #[error("cannot turn {name} on: {source}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A rule or a route could not be added.
    #[error("cannot add a routing rule: {0}")]
    Routing(#[from] io::Error),
}

/// What was changed in a namespace.
#[derive(Debug)]
pub(super) struct Kept {
    rules: Vec<MarkRule>,
}

/// Makes the changes in the calling thread's namespace. On error none of them stays.
pub(super) fn keep() -> Result<Kept, SourceError> {
    let there = netlink::with(async |netlink| netlink.mark_rules().await)?;
    if there.iter().any(|rule| rule.mark == MARK) {
        return Err(SourceError::Taken);
    }
    let mut off = 0;
    for (bit, name) in SETTINGS.into_iter().enumerate() {
        if is_off(name) {
            off |= 1 << bit;
        }
    }
    // The rules first: they say what is to be turned off again.
    let rule = |v6| MarkRule {
        v6,
        mark: MARK,
        table: TABLES | process::id() & PROCESS_BITS,
        priority: PRIORITY + off,
    };
    let mut kept = Kept { rules: Vec::new() };
    for rule in FAMILIES.map(rule) {
        match netlink::with(async |netlink| netlink.deliver_here(rule).await) {
            Ok(()) => kept.rules.push(rule),
            Err(error) if rule.v6 && is_missing(&error) => {}
            Err(error) => {
                kept.undo();
                return Err(error.into());
            }
        }
    }
    for name in of_bits(off) {
        if let Err(source) = procfs::write_setting(name, "1") {
            kept.undo();
            return Err(SourceError::Setting { name, source });
        }
    }
    Ok(kept)
}

impl Kept {
    /// Takes the changes back, in the namespace of [`keep`]; gives how many rules there were.
    pub(super) fn undo(self) -> usize {
        undo(&self.rules)
    }
}

/// Takes back what an agent that is gone has changed in the calling thread's namespace; gives how many rules there were.
pub(in crate::attach) fn sweep(is_other_agent: impl Fn(u32) -> bool) -> io::Result<usize> {
    let there = netlink::with(async |netlink| netlink.mark_rules().await)?;
    let left: Vec<MarkRule> = there
        .into_iter()
        .filter(|rule| rule.mark == MARK && rule.table & !PROCESS_BITS == TABLES)
        .filter(|rule| !is_other_agent(rule.table & PROCESS_BITS))
        .collect();
    Ok(undo(&left))
}

fn undo(rules: &[MarkRule]) -> usize {
    // Those of one namespace say the same.
    let off = rules.first().map_or(0, |rule| rule.priority ^ PRIORITY);
    for name in of_bits(off) {
        if let Err(error) = procfs::write_setting(name, "0") {
            tracing::debug!(name, %error, "cannot turn it off again");
        }
    }
    let mut undone = 0;
    for &rule in rules {
        match netlink::with(async |netlink| netlink.deliver_here_no_more(rule).await) {
            Ok(()) => undone += 1,
            Err(error) => tracing::debug!(?rule, %error, "cannot remove a routing rule"),
        }
    }
    undone
}

fn of_bits(bits: u32) -> impl Iterator<Item = &'static str> {
    let all = SETTINGS.into_iter().enumerate();
    all.filter_map(move |(bit, name)| (bits & 1 << bit != 0).then_some(name))
}

/// What is not there is not off: an IPv6 setting where there is no IPv6.
fn is_off(name: &str) -> bool {
    let value = fs::read_to_string(format!("/proc/sys/{name}"));
    value.is_ok_and(|value| value.trim() == "0")
}

fn is_missing(error: &io::Error) -> bool {
    let missing = [libc::EOPNOTSUPP, libc::EAFNOSUPPORT, libc::EINVAL];
    error
        .raw_os_error()
        .is_some_and(|code| missing.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Scratch;

    fn rules() -> usize {
        let there = netlink::with(async |netlink| netlink.mark_rules().await);
        there.unwrap().len()
    }

    fn settings() -> [bool; 3] {
        SETTINGS.map(|name| !is_off(name))
    }

    #[test]
    fn all_is_as_before_when_it_is_undone() {
        let scratch = Scratch::new().unwrap();
        let check = || {
            netlink::with(async |netlink| netlink.set_up(1).await).unwrap();
            procfs::write_setting(SETTINGS[1], "1").unwrap();
            let kept = keep().unwrap();
            assert_eq!((rules(), settings()), (2, [true; 3]));
            assert!(matches!(keep(), Err(SourceError::Taken)));
            assert_eq!(kept.undo(), 2);
            assert_eq!((rules(), settings()), (0, [false, true, false]));
        };
        scratch.run(check).unwrap();
    }

    #[test]
    fn what_an_agent_left_is_swept_and_what_one_has_is_not() {
        let scratch = Scratch::new().unwrap();
        let check = || {
            netlink::with(async |netlink| netlink.set_up(1).await).unwrap();
            let _left = keep().unwrap();
            assert_eq!(sweep(|process| process == process::id()).unwrap(), 0);
            assert_eq!((rules(), settings()), (2, [true; 3]));
            assert_eq!(sweep(|_| false).unwrap(), 2);
            assert_eq!((rules(), settings()), (0, [false; 3]));
        };
        scratch.run(check).unwrap();
    }
}
