//! Which module of `chaos-daemon` may name what: one knows aya, one tonic, one kube, and `engine` knows
//! neither the world nor the time. Of `chaos-ctl`: the command line as a whole knows the verbs, and none of them knows it.

use super::code::{NamedPath, before_tests, paths, without_comments_and_literals};
use super::{Finding, is_rust, is_unit_tests};

const DAEMON: &str = "chaos-daemon/src/";
const CONTROL: &str = "chaos-ctl/src/";

/// Files of the control that know the command line as a whole.
const WHOLE_LINE: &[&str] = &["cli.rs", "usage.rs", "lib.rs"];

/// What `engine` must not name, as pieces of paths, and where to go instead.
const NOT_IN_ENGINE: &[(&[&str], &str)] = &[
    (&["tokio"], "it is pure: let its caller wait"),
    (
        &["std", "fs"],
        "it does no I/O: let its caller read and pass values",
    ),
    (
        &["std", "net"],
        "it does no I/O: addresses are in core::net",
    ),
    (
        &["Instant", "now"],
        "it reads no clock: take the time as an argument",
    ),
    (
        &["SystemTime", "now"],
        "it reads no clock: take the time as an argument",
    ),
];

/// Crates that read requests.
const HTTP: &[&str] = &["hyper", "hyper_util", "httparse", "h2", "http_body"];

/// Files of `relay` that look at bytes and wait for nothing.
const PURE: &[&str] = &[
    "relay/decide.rs",
    "relay/rules.rs",
    "relay/sniff.rs",
    "relay/http1/body.rs",
    "relay/http1/edit.rs",
    "relay/http1/head.rs",
    "relay/http1/made.rs",
];

/// Looks at one file of the repository.
pub(super) fn check(file: &str, text: &str) -> Vec<Finding> {
    let is_code =
        |inner: &&str| is_rust(inner) && !is_unit_tests(inner) && !inner.contains("/tests/");
    if let Some(inner) = file.strip_prefix(CONTROL).filter(is_code) {
        return in_control(file, inner, text);
    }
    let Some(inner) = file.strip_prefix(DAEMON).filter(is_code) else {
        return Vec::new();
    };
    let code = without_comments_and_literals(text);
    let module = inner.split(['/', '.']).next().unwrap_or_default();
    let is_top = !inner.contains('/');
    let mut findings = Vec::new();
    let mut find = |path: &NamedPath, sentence: String| {
        findings.push(Finding::new(file, path.line, sentence));
    };
    for path in paths(before_tests(&code)) {
        let first = path.segments[0].as_str();
        if ["aya", "aya_log", "aya_obj"].contains(&first) && module != "attach" {
            find(
                &path,
                format!(
                    "{first} is named here, and only attach knows it: put this behind a function of attach"
                ),
            );
        }
        let serves = module == "api" || (is_top && ["main", "lib"].contains(&module));
        if first == "tonic" && !serves {
            find(&path, "tonic is named here, and only api knows it: use the types of engine, and convert in api".to_owned());
        }
        if ["kube", "k8s_openapi"].contains(&first) && module != "cluster" {
            find(
                &path,
                format!(
                    "{first} is named here, and only cluster knows it: put this behind a function of cluster"
                ),
            );
        }
        if HTTP.contains(&first) && module != "relay" {
            find(
                &path,
                format!(
                    "{first} is named here, and only relay knows it: use the types of engine, and read requests in relay"
                ),
            );
        }
        if module == "relay" {
            for outer in ["attach", "api", "plane"] {
                if path.enters(outer) {
                    find(
                        &path,
                        format!(
                            "relay names {outer}, and the arrow goes the other way: own a trait here that others implement"
                        ),
                    );
                }
            }
        }
        if first == "tokio" && PURE.contains(&inner) {
            find(
                &path,
                "tokio is named here, and this file only looks at bytes: let its caller wait"
                    .to_owned(),
            );
        }
        if module != "engine" {
            continue;
        }
        for (piece, instead) in NOT_IN_ENGINE {
            if path.contains(piece) {
                find(
                    &path,
                    format!("engine names {}: {instead}", piece.join("::")),
                );
            }
        }
        for outer in ["attach", "api"] {
            if path.enters(outer) {
                find(
                    &path,
                    format!(
                        "engine names {outer}, and the arrow goes the other way: own a trait here that {outer} implements or calls"
                    ),
                );
            }
        }
    }
    findings
}

fn in_control(file: &str, inner: &str, text: &str) -> Vec<Finding> {
    if WHOLE_LINE.contains(&inner) {
        return Vec::new();
    }
    let code = without_comments_and_literals(text);
    let paths = paths(before_tests(&code)).into_iter();
    let whole = paths.filter(|path| path.enters("cli"));
    let found = whole.map(|path| {
        Finding::new(
            file,
            path.line,
            "this names cli, which knows all verbs: options that verbs share are in global"
                .to_owned(),
        )
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(file: &str, text: &str) -> Vec<String> {
        check(&format!("{DAEMON}{file}"), text)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn only_attach_names_aya() {
        assert_eq!(sentences("attach/tcx.rs", "use aya::Ebpf;").len(), 0);
        assert_eq!(sentences("attach.rs", "use aya::Ebpf;").len(), 0);
        let found = sentences("engine/mod.rs", "//! About aya.\nuse aya::Ebpf;");
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("chaos-daemon/src/engine/mod.rs:2: aya is named"),
            "{found:?}"
        );
        assert_eq!(
            sentences("main.rs", "fn main() { aya_log::EbpfLogger::init(x) }").len(),
            1
        );
    }

    #[test]
    fn only_api_and_the_entry_name_tonic() {
        for file in ["api/mod.rs", "main.rs", "lib.rs"] {
            assert_eq!(sentences(file, "use tonic::Status;").len(), 0, "{file}");
        }
        for file in ["engine/error.rs", "targets/mod.rs", "config.rs"] {
            assert_eq!(sentences(file, "use tonic::Status;").len(), 1, "{file}");
        }
    }

    #[test]
    fn no_verb_knows_the_whole_command_line() {
        let code = "use crate::cli::Cli;\n";
        let found = |file: &str| check(&format!("{CONTROL}{file}"), code).len();
        assert_eq!(found("commands/delay.rs"), 1);
        assert_eq!(found("way.rs"), 1);
        assert_eq!(found("usage.rs"), 0);
        let tests = format!("#[cfg(test)]\nmod tests {{\n    {code}}}\n");
        assert_eq!(check(&format!("{CONTROL}way.rs"), &tests).len(), 0);
    }

    #[test]
    fn only_cluster_names_kube() {
        for code in ["use kube::Client;", "use k8s_openapi::api::core::v1::Pod;"] {
            assert_eq!(sentences("cluster/pods.rs", code).len(), 0, "{code}");
            assert_eq!(sentences("access/mod.rs", code).len(), 1, "{code}");
        }
    }

    #[test]
    fn only_relay_reads_requests_and_it_knows_no_door() {
        for code in [
            "use hyper::body;",
            "use httparse::Request;",
            "use h2::Reason;",
        ] {
            assert_eq!(sentences("relay/http2/mod.rs", code).len(), 0, "{code}");
            assert_eq!(sentences("plane/mod.rs", code).len(), 1, "{code}");
        }
        for code in ["use crate::attach::Kernel;", "use crate::{plane, api};"] {
            assert!(!sentences("relay/mod.rs", code).is_empty(), "{code}");
            assert_eq!(sentences("plane/mod.rs", code).len(), 0, "{code}");
        }
        let waits = "use tokio::time::sleep;";
        assert_eq!(sentences("relay/http1/head.rs", waits).len(), 1);
        assert_eq!(sentences("relay/http1/flow.rs", waits).len(), 0);
    }

    #[test]
    fn engine_does_no_io_and_reads_no_clock() {
        for code in [
            "use tokio::sync::watch;",
            "use std::{fmt, fs};",
            "use std::net::IpAddr;",
            "let now = Instant::now();",
            "let now = std::time::SystemTime::now();",
            "use crate::attach::tcx;",
            "use crate::{api, expiry};",
        ] {
            assert_eq!(sentences("engine/experiment.rs", code).len(), 1, "{code}");
            assert_eq!(sentences("expiry/mod.rs", code).len(), 0, "{code}");
        }
        let fine = "use core::net::IpAddr;\nuse std::time::Instant;\nuse super::fault;\n";
        assert_eq!(sentences("engine/mod.rs", fine).len(), 0);
    }

    #[test]
    fn tests_of_engine_may_use_the_world() {
        let code = "#[cfg(test)]\nmod tests {\n    use tokio::time;\n}\n";
        assert_eq!(sentences("engine/mod.rs", code).len(), 0);
        assert_eq!(sentences("engine/tests.rs", "use tokio::time;").len(), 0);
        assert_eq!(
            sentences("engine/tests/ends.rs", "use tokio::time;").len(),
            0
        );
    }
}
