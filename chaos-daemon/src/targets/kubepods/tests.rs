//! Every form of a pod's directory that kubelets and runtimes make.

use super::*;

const UID: &str = "0d3f9c1e-6a1b-4c1e-9d2f-0a1b2c3d4e5f";
const OTHER: &str = "11111111-6a1b-4c1e-9d2f-0a1b2c3d4e5f";
/// Of a static pod: the hash of its file.
const HASH: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const ID: &str = "4f5e6d7c8b9a4f5e6d7c8b9a4f5e6d7c8b9a4f5e6d7c8b9a4f5e6d7c8b9a4f5e";

/// A hierarchy with these directories, each with a process.
fn hierarchy(directories: &[(String, u32)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, pid) in directories {
        let path = root.path().join(path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("cgroup.procs"), format!("{pid}\n")).unwrap();
    }
    root
}

fn found(root: &tempfile::TempDir, uid: &str) -> Option<Place> {
    find(&[root.path().to_owned()], &[uid]).remove(uid)
}

/// A pod's directory, and that of its container below it.
fn forms(uid: &str) -> Vec<(String, String)> {
    let slice = uid.replace('-', "_");
    let systemd = |before: &str, prefix: &str, class: &str, container: &str| {
        let pods = format!("{before}{prefix}kubepods.slice");
        let pod = if class.is_empty() {
            format!("{pods}/{prefix}kubepods-pod{slice}.slice")
        } else {
            let class = format!("{prefix}kubepods-{class}");
            format!("{pods}/{class}.slice/{class}-pod{slice}.slice")
        };
        (pod, container.to_owned())
    };
    let cgroupfs =
        |before: &str, class: &str| (format!("{before}kubepods/{class}pod{uid}"), ID.to_owned());
    let containerd = format!("cri-containerd-{ID}.scope");
    vec![
        systemd("", "", "burstable", &containerd),
        systemd("", "", "besteffort", &format!("crio-{ID}.scope")),
        systemd("", "", "besteffort", &format!("crio-{ID}.scope/container")),
        systemd("", "", "", &format!("docker-{ID}.scope")),
        systemd("kubelet.slice/", "kubelet-", "burstable", &containerd),
        systemd("kubelet.slice/", "kubelet-", "", &containerd),
        systemd(
            "system.slice/docker-abc.scope/",
            "",
            "besteffort",
            &containerd,
        ),
        cgroupfs("", "burstable/"),
        cgroupfs("", "besteffort/"),
        cgroupfs("", ""),
        cgroupfs("unified/", "burstable/"),
        cgroupfs("memory/", "besteffort/"),
        cgroupfs("kubelet/", "burstable/"),
        cgroupfs("docker/abc/kubelet/", ""),
        cgroupfs(
            "user.slice/user-1000.slice/user@1000.service/k3s/",
            "burstable/",
        ),
    ]
}

#[test]
fn every_form_is_found_and_no_neighbour() {
    for (uid, other) in [(UID, OTHER), (HASH, UID)] {
        for ((pod, container), (neighbour, _)) in forms(uid).into_iter().zip(forms(other)) {
            let root = hierarchy(&[
                (format!("{neighbour}/{ID}"), 7),
                (pod.clone(), 0),
                (format!("{pod}/crio-conmon-{ID}.scope"), 9),
                (format!("{pod}/{container}"), 42),
                ("system.slice/sshd.service".to_owned(), 3),
            ]);
            let place = found(&root, uid).unwrap_or_else(|| panic!("not found: {pod}"));
            assert_eq!(place.directories, [root.path().join(&pod)]);
            assert_eq!(place.processes, [42], "{pod}");
            assert!(place.has_unseen, "{pod}");
            let found = super::container(&place.directories[0], ID).unwrap();
            let scope = container.split('/').next().unwrap();
            assert_eq!(found, place.directories[0].join(scope));
            assert!(super::container(&place.directories[0], &"0".repeat(64)).is_none());
        }
    }
}

#[test]
fn what_only_looks_like_a_pod_is_none() {
    let slice = UID.replace('-', "_");
    let root = hierarchy(&[
        // Outside of what a kubelet has.
        (format!("system.slice/pod{UID}"), 1),
        (format!("kubepods-burstable-pod{slice}.slice"), 1),
        // Another kubelet's, inside a pod.
        (
            format!("kubepods/pod{OTHER}/{ID}/kubelet/kubepods/pod{UID}"),
            1,
        ),
        // Not the whole UID.
        (format!("kubepods/pod{UID}0"), 1),
        (format!("kubepods/burstable/pod{}", &UID[1..]), 1),
        (format!("kubepods/besteffort/{UID}"), 1),
    ]);
    assert!(found(&root, UID).is_none());
    let place = found(&root, OTHER).unwrap();
    assert_eq!(place.processes, [1]);
}

#[test]
fn hierarchies_are_searched_until_processes_are_found() {
    let empty = hierarchy(&[(format!("kubepods/pod{UID}"), 0)]);
    let (second, third) = (
        hierarchy(&[(format!("kubepods/pod{UID}/{ID}"), 42)]),
        hierarchy(&[(format!("kubepods/pod{UID}/{ID}"), 43)]),
    );
    let roots = [&empty, &second, &third].map(|root| root.path().to_owned());
    let places = find(&roots, &[UID, OTHER]);
    assert_eq!(places[UID].processes, [42]);
    assert_eq!(places[UID].directories.len(), 2);
    assert!(!places.contains_key(OTHER));
    assert!(find(&[PathBuf::from("/nowhere")], &[UID]).is_empty());
}

#[test]
fn a_root_may_be_the_kubelets_own() {
    let root = hierarchy(&[(format!("kubepods/burstable/pod{UID}/{ID}"), 42)]);
    let places = find(&[root.path().join("kubepods")], &[UID]);
    assert_eq!(places[UID].processes, [42]);
}

#[test]
fn a_monitor_beside_a_container_is_not_the_container() {
    assert!(is_container(&format!("crio-{ID}.scope"), ID));
    assert!(is_container(ID, ID));
    assert!(!is_container(&format!("crio-conmon-{ID}.scope"), ID));
    assert!(!is_container(&format!("{ID}0"), ID));
    assert!(!is_container(&format!("a{ID}"), ID));
}

#[test]
fn version_2_comes_first() {
    let mounts = "\
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
41 31 0:38 / /host/sys/fs/c\\040group/unified rw,relatime shared:1 - cgroup2 cgroup2 rw
";
    assert_eq!(
        mounted(mounts),
        [
            PathBuf::from("/host/sys/fs/c group/unified"),
            PathBuf::from("/sys/fs/cgroup/cpu")
        ]
    );
}
