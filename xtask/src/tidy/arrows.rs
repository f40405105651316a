//! Which crate may depend on which: the arrows of ARCHITECTURE.md, read off cargo's metadata.

use serde_json::Value;

use super::Finding;

/// What a member of the workspace may depend on.
struct Arrows {
    member: &'static str,
    /// Other members, as ordinary dependencies.
    members: &'static [&'static str],
    /// Other members, for its tests and its build script.
    members_aside: &'static [&'static str],
    /// All crates from elsewhere that it may have; `None`: any.
    outside: Option<&'static [&'static str]>,
}

const ARROWS: &[Arrows] = &[
    Arrows {
        member: "chaos-abi",
        members: &[],
        members_aside: &[],
        outside: Some(&["zerocopy"]),
    },
    Arrows {
        member: "chaos-ebpf",
        members: &["chaos-abi"],
        members_aside: &[],
        outside: Some(&["aya-ebpf", "zerocopy"]),
    },
    Arrows {
        member: "chaos-daemon",
        members: &["chaos-abi", "chaos-proto"],
        members_aside: &["chaos-ebpf"],
        outside: None,
    },
    Arrows {
        member: "chaos-proto",
        members: &[],
        members_aside: &[],
        outside: None,
    },
    Arrows {
        member: "chaos-toolkit",
        members: &[],
        members_aside: &[],
        outside: None,
    },
    Arrows {
        member: "chaos-ctl",
        members: &["chaos-proto", "chaos-toolkit"],
        members_aside: &[],
        outside: None,
    },
    Arrows {
        member: "chaos-tests",
        members: &[
            "chaos-abi",
            "chaos-ctl",
            "chaos-daemon",
            "chaos-ebpf",
            "chaos-proto",
            "chaos-toolkit",
        ],
        members_aside: &[],
        outside: None,
    },
    Arrows {
        member: "xtask",
        members: &[],
        members_aside: &[],
        outside: None,
    },
];

/// Looks at every member in `metadata`, the output of `cargo metadata --no-deps`.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    let names: Vec<&str> = packages()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut findings = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = format!("the manifest of {name}");
        let Some(arrows) = ARROWS.iter().find(|arrows| arrows.member == name) else {
            let sentence = "no arrow of ARCHITECTURE.md starts here: say there, and in xtask/src/tidy/arrows.rs, what it may depend on";
            findings.push(Finding::new(&manifest, None, sentence));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let aside = dependency["kind"].is_string();
            if let Some(sentence) = arrows.judge(to, aside, names.contains(&to)) {
                findings.push(Finding::new(&manifest, None, sentence));
            }
        }
    }
    findings
}

impl Arrows {
    /// What is wrong with a dependency on `to`, if anything is.
    fn judge(&self, to: &str, aside: bool, is_member: bool) -> Option<String> {
        let from = self.member;
        if is_member {
            let allowed = self.members.contains(&to) || (aside && self.members_aside.contains(&to));
            return (!allowed).then(|| {
                format!("{from} depends on {to}, and no arrow goes there: move what both need to a crate that both may know")
            });
        }
        let list = self.outside.filter(|list| !aside && !list.contains(&to))?;
        Some(format!(
            "{from} depends on {to}, and may have only {}: do without it",
            list.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn findings(packages: &Value) -> Vec<String> {
        check(&json!({ "packages": packages }))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<Value> = dependencies
            .iter()
            .map(|(name, kind)| json!({ "name": name, "kind": kind }))
            .collect();
        json!({ "name": name, "dependencies": dependencies })
    }

    #[test]
    fn arrows_that_are_drawn_are_allowed() {
        let found = findings(&json!([
            package(
                "chaos-abi",
                &[("zerocopy", None), ("proptest", Some("dev"))]
            ),
            package("chaos-ebpf", &[("chaos-abi", None), ("aya-ebpf", None)]),
            package(
                "chaos-daemon",
                &[
                    ("chaos-abi", None),
                    ("chaos-ebpf", Some("build")),
                    ("tokio", None)
                ]
            ),
        ]));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found() {
        let found = findings(&json!([
            package("chaos-daemon", &[]),
            package("chaos-ctl", &[("chaos-daemon", Some("dev"))]),
        ]));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("chaos-ctl depends on chaos-daemon"),
            "{found:?}"
        );
    }

    #[test]
    fn a_build_arrow_is_no_ordinary_one() {
        let found = findings(&json!([
            package("chaos-ebpf", &[]),
            package("chaos-daemon", &[("chaos-ebpf", None)]),
        ]));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_crate_from_elsewhere_is_found_where_few_are_allowed() {
        let found = findings(&json!([package("chaos-abi", &[("serde", None)])]));
        assert!(found[0].contains("may have only zerocopy"), "{found:?}");
    }

    #[test]
    fn the_commands_of_the_project_build_before_its_crates() {
        let found = findings(&json!([
            package("chaos-tests", &[]),
            package("xtask", &[("chaos-tests", None)]),
        ]));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn the_programs_write_no_log() {
        let found = findings(&json!([package("chaos-ebpf", &[("aya-log-ebpf", None)])]));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_member_without_arrows_is_found() {
        let found = findings(&json!([package("chaos-new", &[])]));
        assert_eq!(found.len(), 1);
    }
}
