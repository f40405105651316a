//! The real binary's command line and environment, as far as it needs no privileges.

use std::process::{Command, Output, Stdio};

/// Where no agent can serve, so that one that starts ends at once and says so.
const NO_SOCKET: &str = "/proc/self/status";

fn chaos_daemon(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chaos-daemon"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the binary was built for this test")
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let empty = [
        "CHAOS_SOCKET",
        "CHAOS_LISTEN",
        "CHAOS_INVENTORY",
        "CHAOS_GRACE",
        "CHAOS_LINE_ENGINE",
        "CHAOS_ATTACH_MODE",
        "NODE_NAME",
        "CHAOS_CGROUP_ROOT",
        "CHAOS_PROTECT",
        "CHAOS_KUBERNETES",
        "CHAOS_KUBECONFIG",
        "POD_NAMESPACE",
        "CHAOS_AUDIENCE",
        "CHAOS_POLICY",
        "CHAOS_AUDIT_LOG",
        "CHAOS_TLS_CERT",
        "CHAOS_TLS_KEY",
        "CHAOS_CLIENT_CA",
        "CHAOS_METRICS",
        "CHAOS_XDP",
        "CHAOS_EXISTING",
        "CHAOS_LOG",
        "CHAOS_LOG_FORMAT",
    ]
    .map(|name| (name, ""));
    let output = chaos_daemon(&["--socket", NO_SOCKET], &empty);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("/proc/self/status exists and is no socket"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
    let help = chaos_daemon(&["--help"], &[]);
    let help = String::from_utf8_lossy(&help.stdout);
    assert_eq!(
        help.matches("[env: ").count(),
        empty.len(),
        "a variable that is not tried here: {help}"
    );
}

#[test]
fn a_grace_period_that_no_experiment_may_have_is_refused_at_the_start() {
    let long = "a grace period is at most 5 min, not 10m";
    for output in [
        chaos_daemon(&["--grace", "10m", "--socket", NO_SOCKET], &[]),
        chaos_daemon(&["--socket", NO_SOCKET], &[("CHAOS_GRACE", "10m")]),
    ] {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(long), "{said}");
        assert_eq!(output.status.code(), Some(2));
    }
    let longest = chaos_daemon(&["--grace", "5m", "--socket", NO_SOCKET], &[]);
    assert_eq!(longest.status.code(), Some(1), "5m is allowed: {longest:?}");
}
