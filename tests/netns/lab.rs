//! Hosts reach each other, services answer, and nothing is left: after a drop, a panic, and a kill of the owner.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use chaos_tests::{
    lab::{Family, Lab, Output, Process, hierarchy, sweep},
    requires, services,
    wait::{wait_for, wait_until},
};

/// Environment variable that turns `owner_that_is_killed` from a test into the program that gets killed.
const OWNER: &str = "CHAOS_LAB_OWNER";

/// Everything that carries the prefix of a lab: namespaces and cgroups.
fn traces(prefix: &str) -> Vec<String> {
    let names = |directory: &Path| -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let mut found = names(Path::new("/run/netns"));
    found.extend(hierarchy().map(|top| names(&top)).unwrap_or_default());
    found.extend(names(Path::new("/run")));
    found.retain(|name| name.contains(prefix));
    found
}

#[test]
fn hosts_reach_each_other() {
    requires!(root, "ping");
    let lab = Lab::new("reach").unwrap();
    let (a, b) = (lab.host("a").unwrap(), lab.host("b").unwrap());
    for family in Family::BOTH {
        let address = b.address(family).to_string();
        let ping = a
            .output("ping", &["-c1", "-W5", &address], Duration::from_secs(30))
            .unwrap();
        ping.success().unwrap();
    }
    assert_eq!(lab.host("a").unwrap().netns_name(), a.netns_name());
    assert!(lab.host("switch").is_err() && lab.host("a b").is_err());
}

#[test]
fn processes_are_in_the_hosts_namespace_and_cgroup() {
    requires!(root);
    let lab = Lab::new("processes").unwrap();
    let host = lab.host("a").unwrap();
    let process = host.spawn("sleep", &["60"]).unwrap();
    let pid = process.pid();
    let namespace = |path: &Path| {
        fs::metadata(path)
            .map(|meta| std::os::unix::fs::MetadataExt::ino(&meta))
            .ok()
    };
    let theirs = namespace(Path::new(&format!("/proc/{pid}/ns/net")));
    assert_eq!(theirs, namespace(&host.netns_path()));
    let procs = fs::read_to_string(host.cgroup().join("cgroup.procs")).unwrap();
    assert_eq!(procs.trim(), pid.to_string());
    drop(process);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_panic_inside_a_host_is_the_callers() {
    requires!(root);
    let lab = Lab::new("panic").unwrap();
    let host = lab.host("a").unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| host.run(|| panic!("inside"))));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"inside"));
}

#[test]
fn services_answer() {
    requires!(root, "curl");
    let lab = Lab::new("services").unwrap();
    let providers = [
        lab.host("provider-1").unwrap(),
        lab.host("provider-2").unwrap(),
    ];
    let consumer = lab.host("consumer").unwrap();
    let mut running: Vec<Process> = providers
        .iter()
        .map(|host| services::provider(host).unwrap())
        .collect();
    let _consumer = services::consumer(&consumer, &providers).unwrap();
    let call = |url: String| -> Output {
        consumer
            .output(
                "curl",
                &["-sS", "-w", " %{http_code}", &url],
                Duration::from_secs(30),
            )
            .unwrap()
    };
    let time = call(format!("http://{}:3000/", providers[0].address_v4())).stdout;
    let seconds = time
        .strip_prefix("Current time is: ")
        .and_then(|rest| rest.strip_suffix(" 200"));
    assert!(
        seconds.is_some_and(|seconds| seconds.parse::<u64>().is_ok()),
        "{time}"
    );
    let consuming = format!("http://{}:3000/consuming", consumer.address_v4());
    assert_eq!(
        call(consuming.clone()).stdout,
        "Successfully consuming message 200"
    );
    running.clear();
    assert_eq!(call(consuming).stdout, "Internal server error 500");
}

#[test]
fn teardown_leaves_nothing_after_a_panic() {
    requires!(root);
    let mut prefix = String::new();
    let mut pid = 0;
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let lab = Lab::new("teardown").unwrap();
        prefix = lab.prefix().to_owned();
        // A process whose guard is never dropped: the lab itself must end it.
        let process = lab.host("a").unwrap().spawn("sleep", &["600"]).unwrap();
        pid = process.pid();
        std::mem::forget(process);
        assert_eq!(
            traces(&prefix).len(),
            4,
            "two namespaces, a cgroup, a directory"
        );
        panic!("a test that fails");
    }));
    assert!(caught.is_err());
    assert_eq!(traces(&prefix), Vec::<String>::new());
    // Nobody reaps it any more, so what may be left of it is a zombie.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    assert!(
        status.is_empty() || status.contains("State:\tZ"),
        "{status}"
    );
}

/// In a test run: starts itself as the owner of a lab, kills it, and sweeps.
#[test]
fn owner_that_is_killed() {
    requires!(root);
    if std::env::var_os(OWNER).is_some() {
        be_the_owner();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "lab::owner_that_is_killed", "--nocapture"])
        .env(OWNER, "1");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut owner = Process::spawn(command).unwrap();
    let prefix = format!("lab-{}-1-", owner.pid());
    let host = Path::new("/run/netns").join(format!("{prefix}a"));
    let top = wait_for(
        "the cgroup hierarchy is there",
        Duration::from_mins(1),
        hierarchy,
    )
    .unwrap();
    let procs = top
        .join(format!("chaos-{}", prefix.trim_end_matches('-')))
        .join("a/cgroup.procs");
    let sleeper = wait_for("the owner's process runs", Duration::from_mins(1), || {
        let pids = fs::read_to_string(&procs).ok()?;
        pids.lines().next().map(str::to_owned)
    })
    .unwrap();
    assert!(host.exists());
    owner.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    owner.wait(Duration::from_secs(10)).unwrap();
    wait_until(
        "the owner's process died with it",
        Duration::from_secs(10),
        || !Path::new("/proc").join(&sleeper).exists(),
    )
    .unwrap();
    // A lab that another test makes may have swept before we do.
    sweep().unwrap();
    assert_eq!(traces(&prefix), Vec::<String>::new());
}

fn be_the_owner() -> ! {
    let lab = Lab::new("owner").unwrap();
    let _process = lab.host("a").unwrap().spawn("sleep", &["600"]).unwrap();
    loop {
        std::thread::park();
    }
}
