//! Drops of packets that arrive at the sockets of a cgroup, where workloads share the node's network.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use aya::programs::{CgroupAttachMode, CgroupSkbAttachType, cgroup_skb::CgroupSkbLink};
use chaos_abi::{
    maps::PROGRAM_SOCKET,
    rule::{INGRESS, Rule as KernelRule, SOCKET},
};

use super::{
    attached::kernel,
    loader::{LoadError, Object},
};
use crate::engine::{Cgroup, DatapathError, Spec, Way};

/// Whether rules of the experiment act on packets that arrive at sockets; an error where one would do more than drop them.
pub(super) fn is_needed(cgroup: Option<&Cgroup>, spec: &Spec) -> Result<bool, DatapathError> {
    let mut arriving = spec
        .rules
        .iter()
        .filter(|rule| rule.filter.direction.ways().contains(&Way::Ingress))
        .peekable();
    if cgroup.is_none() || arriving.peek().is_none() {
        return Ok(false);
    }
    if arriving.all(|rule| rule.fault.drops()) {
        Ok(true)
    } else {
        Err(DatapathError::OnlyDrops)
    }
}

/// Whether the cgroup has been removed. Another of its name has another number.
pub(super) fn is_gone(cgroup: &Cgroup) -> bool {
    match fs::metadata(&cgroup.path) {
        Ok(there) => there.ino() != cgroup.id,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Attaches the program to the root of all cgroups, once: it sees the packets of all sockets, and each packet once, however
/// cgroups are nested. It is off again when the link is dropped, also with the process.
pub(super) fn attach(object: &mut Object, root: &Path) -> Result<CgroupSkbLink, DatapathError> {
    let root = File::open(root).map_err(kernel)?;
    let failed = |source| LoadError::Program {
        name: PROGRAM_SOCKET,
        source,
    };
    let program = object.socket_mut().map_err(kernel)?;
    // Links share a cgroup in any case, and the kernel takes no flag that says so.
    let id = program
        .attach(root, CgroupSkbAttachType::Ingress, CgroupAttachMode::Single)
        .map_err(|source| kernel(failed(source)))?;
    program
        .take_link(id)
        .map_err(|source| kernel(failed(source)))
}

/// Has a rule take only the packets of a cgroup's sockets.
pub(super) const fn narrow(rule: &mut KernelRule, cgroup: &Cgroup) {
    rule.cgroup_id = cgroup.id;
    rule.cgroup_level = cgroup.level;
    if rule.directions & INGRESS != 0 {
        rule.directions = rule.directions & !INGRESS | SOCKET;
    }
}
