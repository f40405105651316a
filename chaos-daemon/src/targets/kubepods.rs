//! From a pod's UID to its cgroup: how kubelets and container runtimes name directories.
//!
//! Below some directory, often the root of a hierarchy, the kubelet has one of its own, and in it pods, those of two
//! classes of quality one level further down. In a pod's are those of its containers.
//!
//! | driver | pod | container |
//! | --- | --- | --- |
//! | systemd | `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice`, `_` for `-` in the UID | `cri-containerd-ID.scope`, `crio-ID.scope` |
//! | cgroupfs | `kubepods/burstable/podUID` | `ID` |
//!
//! A kubelet with a cgroup root of its own, such as that of kind, puts its name before `kubepods`. Which hierarchy it is,
//! of version 1 or 2, makes no difference to the names.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use tracing::{debug, warn};

/// A kubelet's directory is found within so many; a node has some hundreds.
const MOST_DIRECTORIES: usize = 100_000;

/// How CRI-O names the scope in which it watches a container.
const MONITOR: &str = "crio-conmon-";

/// Where a pod is.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Its directories, those of version 2 first.
    pub(super) directories: Vec<PathBuf>,
    /// Its processes, as they are numbered here.
    pub(super) processes: Vec<u32>,
    /// Whether it has some that are not numbered here.
    pub(super) has_unseen: bool,
}

impl Place {
    /// Whether the process is still one of the pod's: its number may be another's by now.
    pub(super) fn still_has(&self, pid: u32) -> bool {
        let mut now = Self::default();
        for directory in &self.directories {
            collect(directory, &mut now);
        }
        now.processes.contains(&pid)
    }
}

/// Where hierarchies are mounted, those of version 2 first.
pub(super) fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounted(&mounts)
}

fn mounted(mounts: &str) -> Vec<PathBuf> {
    let mut found: Vec<(&str, PathBuf)> = mounts
        .lines()
        .filter_map(|line| {
            // man 5 proc: field 5 is the mount point, the type follows the separator "-".
            let (fields, rest) = line.split_once(" - ")?;
            let kind = rest.split(' ').next()?;
            let point = fields.split(' ').nth(4)?;
            kind.starts_with("cgroup")
                .then(|| (kind, PathBuf::from(point.replace("\\040", " "))))
        })
        .collect();
    found.sort_by_key(|(kind, _)| *kind != "cgroup2");
    found.into_iter().map(|(_, point)| point).collect()
}

/// Looks for pods below each of these roots, until those that are wanted have been found with their processes.
pub(super) fn find<'a>(roots: &[PathBuf], wanted: &[&'a str]) -> HashMap<&'a str, Place> {
    let mut places: HashMap<&str, Place> = HashMap::new();
    for root in roots {
        let missing: Vec<&str> = wanted
            .iter()
            .copied()
            .filter(|uid| {
                places
                    .get(uid)
                    .is_none_or(|place| place.processes.is_empty())
            })
            .collect();
        if missing.is_empty() {
            break;
        }
        for (uid, directory) in search(root, &missing) {
            let place = places.entry(uid).or_default();
            collect(&directory, place);
            place.directories.push(directory);
        }
    }
    places
}

/// Directories of these pods below a root, nearest first.
fn search<'a>(root: &Path, wanted: &[&'a str]) -> Vec<(&'a str, PathBuf)> {
    let mut found = Vec::new();
    let mut ahead = VecDeque::from([(root.to_owned(), is_kubepods(&name_of(root)))]);
    let mut seen = 0;
    while let Some((directory, within)) = ahead.pop_front() {
        seen += 1;
        if seen > MOST_DIRECTORIES {
            warn!(root = %root.display(), "too many directories to look for pods in: is it a hierarchy of cgroups?");
            break;
        }
        for child in children(&directory) {
            let name = name_of(&child);
            match uid_of(&name) {
                // What else is in a pod is its own, also where that is another kubelet.
                Some(uid) if within => {
                    if let Some(wanted) = wanted.iter().find(|wanted| **wanted == uid) {
                        found.push((*wanted, child));
                    }
                }
                _ if !within => {
                    let is_kubelet = is_kubepods(&name);
                    ahead.push_back((child, is_kubelet));
                }
                _ if is_class(&name) => ahead.push_back((child, true)),
                Some(_) | None => {}
            }
        }
    }
    found
}

/// Directories in a directory; none where they may not be read, or are gone.
fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            debug!(directory = %directory.display(), %error, "passed over");
            return Vec::new();
        }
    };
    entries
        .flatten()
        // A link leads to what is found by itself.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn name_of(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Whether a kubelet has its pods there.
fn is_kubepods(name: &str) -> bool {
    name == "kubepods" || name == "kubepods.slice" || name.ends_with("-kubepods.slice")
}

/// Whether it has the pods of a class there.
fn is_class(name: &str) -> bool {
    ["burstable", "besteffort"].iter().any(|class| {
        name == *class
            || name
                .strip_suffix(".slice")
                .and_then(|name| name.strip_suffix(class))
                .is_some_and(|rest| rest.ends_with("kubepods-"))
    })
}

/// The UID of the pod whose directory has this name.
fn uid_of(name: &str) -> Option<String> {
    if let Some(name) = name.strip_suffix(".slice") {
        // A dash is a level of slices, so that a UID has none.
        let (before, uid) = name.rsplit_once("-pod")?;
        let is_kubelets =
            is_kubepods(&format!("{before}.slice")) || is_class(&format!("{before}.slice"));
        return (is_kubelets && !uid.is_empty()).then(|| uid.replace('_', "-"));
    }
    name.strip_prefix("pod")
        .filter(|uid| !uid.is_empty())
        .map(str::to_owned)
}

/// Adds the processes of a directory and of those below it; what may not be read, or is gone, has none.
fn collect(directory: &Path, place: &mut Place) {
    // A threaded cgroup does not list processes; they are listed further up.
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for line in text.lines() {
        match line.parse() {
            Ok(0) => place.has_unseen = true,
            Ok(pid) => place.processes.push(pid),
            Err(_) => {}
        }
    }
    for child in children(directory) {
        // A monitor of CRI-O's is on the node's network, whatever the pod is on, and may outlive it.
        if !name_of(&child).starts_with(MONITOR) {
            collect(&child, place);
        }
    }
}

/// The directory of a container, wherever below the pod's it is.
pub(super) fn container(pod: &Path, id: &str) -> Option<PathBuf> {
    let mut ahead = VecDeque::from([pod.to_owned()]);
    while let Some(directory) = ahead.pop_front() {
        for child in children(&directory) {
            if is_container(&name_of(&child), id) {
                return Some(child);
            }
            ahead.push_back(child);
        }
    }
    None
}

/// Whether a directory of this name is the container's.
fn is_container(name: &str, id: &str) -> bool {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    name == id
        || name
            .strip_suffix(id)
            .is_some_and(|runtime| runtime.ends_with('-') && runtime != MONITOR)
}

#[cfg(test)]
mod tests;
